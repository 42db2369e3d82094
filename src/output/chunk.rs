//! The disk cut into pieces of two megabytes, of which only those that are not holes are visited.

use std::ops::Range;
use std::sync::Arc;

use super::{Disk, Extent, OutputError};
use crate::disk::From;
use crate::page_buffer::PageBuffer;
use crate::spool::Spool;

/// A multiple of every sink's own unit.
pub const CHUNK: u64 = 2 << 20;

/// The bytes of one piece of the disk.
pub struct Chunk {
    /// Position in the list of chunks that are not holes.
    pub index: usize,
    /// Byte offset on the disk, a multiple of [`CHUNK`].
    pub at: u64,
    /// All of it, the disk's last chunk may be shorter.
    pub bytes: Arc<PageBuffer>,
    /// The parts of `bytes` that are not holes: increasing, disjoint, joined where they touch.
    pub data: Vec<Range<usize>>,
}

/// Which chunks there are, and the extents of each.
pub struct Chunks<'a> {
    disk: &'a Disk,
    /// Offset of each chunk, and the extents that reach into it.
    list: Vec<(u64, Range<usize>)>,
}

impl<'a> Chunks<'a> {
    pub fn of(disk: &'a Disk) -> Chunks<'a> {
        let mut list: Vec<(u64, Range<usize>)> = Vec::new();
        for (index, extent) in disk.extents.iter().enumerate().filter(|(_, extent)| extent.len > 0) {
            let mut at = extent.at / CHUNK * CHUNK;
            while at < extent.end() {
                match list.last_mut() {
                    Some((last, extents)) if *last == at => extents.end = index + 1,
                    _ => list.push((at, index..index + 1)),
                }
                at += CHUNK;
            }
        }
        Chunks { disk, list }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The pieces of the spool that a chunk is read from: offset and length.
    pub fn spooled(&self, index: usize) -> impl Iterator<Item = (u64, u64)> {
        let (at, extents) = &self.list[index];
        self.disk.extents[extents.clone()].iter().filter_map(move |extent| {
            let (from, to) = part(extent, *at, at + CHUNK);
            match extent.from {
                From::Bytes(_) => None,
                From::Spool(offset) => Some((offset + from - extent.at, to - from)),
            }
        })
    }

    /// Gathers a chunk's bytes.
    pub fn read(&self, index: usize, spool: &Spool, buffers: &mut Buffers) -> Result<Chunk, OutputError> {
        let (at, extents) = &self.list[index];
        let len = CHUNK.min(self.disk.bytes - at) as usize; // at most CHUNK
        let mut data = Vec::new();
        let bytes = buffers.fill(len, |bytes| {
            data = gather(&self.disk.extents[extents.clone()], *at, bytes, spool)?;
            Ok(())
        })?;
        Ok(Chunk { index, at: *at, bytes, data })
    }
}

/// The buffers of one thread. Those that no sink holds any more are used again: fresh memory costs as much as reading into it.
#[derive(Default)]
pub struct Buffers(Vec<Arc<PageBuffer>>);

impl Buffers {
    /// A buffer of `len` bytes that `fill` has written to; it may find others' bytes in it.
    fn fill(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), OutputError>,
    ) -> Result<Arc<PageBuffer>, OutputError> {
        let idle = self.0.iter_mut().position(|buffer| buffer.len() == len && Arc::get_mut(buffer).is_some());
        let mut buffer = idle.map_or_else(|| Arc::new(PageBuffer::new(len)), |idle| self.0.swap_remove(idle));
        // OK to expect: it is new, or nobody else has it.
        fill(Arc::get_mut(&mut buffer).expect("a buffer of one owner"))?;
        self.0.push(Arc::clone(&buffer));
        Ok(buffer)
    }
}

/// Writes every byte of the chunk at `at`, zeros where no extent is; the answer is where extents are.
fn gather(extents: &[Extent], at: u64, bytes: &mut [u8], spool: &Spool) -> Result<Vec<Range<usize>>, OutputError> {
    let mut data: Vec<Range<usize>> = Vec::new();
    let mut done = 0;
    for extent in extents {
        let range = copy(extent, at, bytes, spool)?;
        bytes[done..range.start].fill(0);
        done = range.end;
        match data.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => data.push(range),
        }
    }
    bytes[done..].fill(0);
    Ok(data)
}

/// Begin and end on the disk of what `extent` has between `at` and `end`.
fn part(extent: &Extent, at: u64, end: u64) -> (u64, u64) {
    (extent.at.max(at), extent.end().min(end))
}

/// Copies the part of `extent` that lies in the chunk at `at`; the answer is where it went.
fn copy(extent: &Extent, at: u64, bytes: &mut [u8], spool: &Spool) -> Result<Range<usize>, OutputError> {
    let end = at + bytes.len() as u64; // usize is at most 64 bits
    let (from, to) = part(extent, at, end);
    // Both lie inside a chunk, whose length is a usize.
    let range = (from - at) as usize..(to - at) as usize;
    let skipped = from - extent.at;
    let target = &mut bytes[range.clone()];
    match &extent.from {
        From::Bytes(source) => {
            // The source may be shorter than the extent: what is missing is zero.
            let source = source.get(skipped as usize..).unwrap_or_default();
            let len = source.len().min(target.len());
            target[..len].copy_from_slice(&source[..len]);
            target[len..].fill(0);
        }
        From::Spool(offset) => spool.read_at(offset + skipped, target).map_err(OutputError::Spool)?,
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(at: u64, bytes: &[u8]) -> Extent {
        Extent { at, len: bytes.len() as u64, from: From::Bytes(bytes.into()) }
    }

    #[test]
    fn extents_that_cross_chunks_come_out_whole_and_holes_are_not_visited() {
        let extents = vec![extent(10, &[1; 10]), extent(20, &[2; 5]), extent(CHUNK * 3 - 2, &[3; 4])];
        let disk = Disk { bytes: CHUNK * 5 + 512, extents };
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let chunks = Chunks::of(&disk);
        let mut buffers = Buffers::default();
        assert_eq!(chunks.list.iter().map(|(at, _)| *at / CHUNK).collect::<Vec<_>>(), [0, 2, 3]);
        let first = chunks.read(0, &spool, &mut buffers).unwrap();
        assert_eq!(first.data, vec![10..25; 1]);
        assert_eq!(chunks.read(1, &spool, &mut buffers).unwrap().bytes[CHUNK as usize - 2..], [3, 3]);
        assert_eq!(chunks.read(2, &spool, &mut buffers).unwrap().data, vec![0..2; 1]);
    }

    #[test]
    fn a_buffer_that_is_used_again_keeps_nothing_of_the_chunk_before() {
        let mut extents = vec![extent(0, &[1; CHUNK as usize]), extent(CHUNK + 10, &[2; 10])];
        extents.push(Extent { len: 50, ..extent(CHUNK + 30, &[3; 10]) });
        let disk = Disk { bytes: CHUNK * 2, extents };
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let chunks = Chunks::of(&disk);
        let mut buffers = Buffers::default();
        let first = chunks.read(0, &spool, &mut buffers).unwrap().bytes.as_ptr();
        let second = chunks.read(1, &spool, &mut buffers).unwrap();
        let mut expected = vec![0; CHUNK as usize];
        expected[10..20].fill(2);
        expected[30..40].fill(3);
        assert!(first == second.bytes.as_ptr() && second.bytes[..] == expected[..]);
    }
}
