//! Gives the spool's room back while the disk is written, so that the two never stand beside each other in full: half the
//! room at the peak, and what the kernel has not written out yet of the spool it never has to.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::OutputError;
use super::chunk::Chunks;
use crate::spool::Spool;

/// Knows how often each file of the spool will still be read.
pub struct SpoolRoom<'a> {
    chunks: &'a Chunks<'a>,
    spool: &'a Spool,
    /// By file of the spool: pieces of chunks that are still to be read from it.
    left: Vec<AtomicUsize>,
}

impl<'a> SpoolRoom<'a> {
    pub fn new(chunks: &'a Chunks<'a>, spool: &'a Spool) -> SpoolRoom<'a> {
        let mut left: Vec<AtomicUsize> = Vec::new();
        left.resize_with(spool.files(), AtomicUsize::default);
        for file in (0..chunks.len()).flat_map(|index| files(chunks, index)) {
            *left[file].get_mut() += 1;
        }
        SpoolRoom { chunks, spool, left }
    }

    /// To be called once for each chunk, when its bytes are in memory.
    pub fn was_read(&self, chunk: usize) -> Result<(), OutputError> {
        for file in files(self.chunks, chunk) {
            // Whoever takes the last piece comes after all others have read theirs.
            if self.left[file].fetch_sub(1, Ordering::AcqRel) == 1 {
                self.spool.release(file).map_err(OutputError::Spool)?;
            }
        }
        Ok(())
    }
}

/// The files that a chunk is read from, each as often as there are pieces in it.
fn files(chunks: &Chunks<'_>, index: usize) -> impl Iterator<Item = usize> {
    chunks.spooled(index).flat_map(|(at, len)| Spool::files_of(at, len))
}

#[cfg(test)]
mod tests {
    use super::super::chunk::Buffers;
    use super::*;
    use crate::disk::{Disk, Extent, From};
    use crate::spool::Content;

    #[test]
    fn a_file_of_the_spool_is_gone_after_its_last_reader_and_not_before() {
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let mut writer = spool.writer();
        let content: Content = writer.append(&[7; 8192]).unwrap();
        writer.flush().unwrap();
        let extent = |at| Extent { at, len: 8192, from: From::Spool(content.at) };
        let disk = Disk { bytes: 16 << 20, extents: vec![extent(0), extent(8 << 20)] };
        let chunks = Chunks::of(&disk);
        let room = SpoolRoom::new(&chunks, &spool);
        room.was_read(0).unwrap();
        assert_eq!(chunks.read(1, &spool, &mut Buffers::default()).unwrap().bytes[..8192], [7; 8192]);
        room.was_read(1).unwrap();
        assert!(chunks.read(1, &spool, &mut Buffers::default()).is_err());
    }
}
