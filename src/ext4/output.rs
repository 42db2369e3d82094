//! Collects what goes to the disk as extents: metadata glued together, file content by reference.

use std::sync::Arc;

use super::BLOCK_SIZE;
use super::tree::{Extent, From};

/// Metadata is handed out in extents of about this many bytes, so that one huge buffer never exists twice.
const GLUE_LIMIT: usize = 1 << 20;

/// The growing list of extents. Calls may come in any order of position, but never overlap.
#[derive(Default)]
pub struct Output {
    extents: Vec<Extent>,
    pending_at: u64,
    pending: Vec<u8>,
}

impl Output {
    /// Metadata of whole blocks; a call that goes on where the last one ended shares its extent.
    pub fn metadata(&mut self, block: u32, bytes: &[u8]) {
        let at = u64::from(block) * BLOCK_SIZE;
        let end = self.pending_at + self.pending.len() as u64; // no platform has wider lengths
        if end != at || self.pending.len() >= GLUE_LIMIT {
            self.flush();
            self.pending_at = at;
        }
        self.pending.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let bytes = Arc::from(self.pending.as_slice());
            self.pending.clear();
            self.bytes(self.pending_at, bytes);
        }
    }

    /// Bytes that are shared, not copied.
    pub fn bytes(&mut self, at: u64, bytes: Arc<[u8]>) {
        let len = bytes.len() as u64; // no platform has wider lengths
        self.extents.push(Extent { at, len, from: From::Bytes(bytes) });
    }

    /// `len` bytes from `offset` of the caller's store; goes into the extent before it when both sides continue it.
    pub fn source(&mut self, at: u64, len: u64, offset: u64) {
        if let Some(Extent { at: last_at, len: last_len, from: From::Source(last_offset) }) = self.extents.last_mut() {
            // The store is zero up to the next block after a piece that starts on one, so the seam may be rounded up.
            let aligned = last_offset.is_multiple_of(BLOCK_SIZE);
            let seam = if aligned { last_len.next_multiple_of(BLOCK_SIZE) } else { *last_len };
            if *last_at + seam == at && *last_offset + seam == offset {
                *last_len = seam + len;
                return;
            }
        }
        self.extents.push(Extent { at, len, from: From::Source(offset) });
    }

    /// All extents in order of position.
    pub fn finish(mut self) -> Vec<Extent> {
        self.flush();
        self.extents.sort_unstable_by_key(|extent| extent.at);
        debug_assert!(self.extents.windows(2).all(|pair| pair[0].end() <= pair[1].at), "two extents overlap");
        self.extents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(pieces: &[(u64, u64, u64)]) -> Vec<(u64, u64, From)> {
        let mut output = Output::default();
        pieces.iter().for_each(|&(at, len, offset)| output.source(at, len, offset));
        output.finish().into_iter().map(|extent| (extent.at, extent.len, extent.from)).collect()
    }

    #[test]
    fn neighbours_in_store_and_on_disk_become_one_extent() {
        let merged = sources(&[(8192, 100, 4096), (12288, 5000, 8192)]);
        assert_eq!(merged, [(8192, 4096 + 5000, From::Source(4096))]);
    }

    #[test]
    fn neighbours_in_only_one_of_them_stay_two_extents() {
        assert_eq!(sources(&[(8192, 4096, 0), (12288, 4096, 8192)]).len(), 2);
        assert_eq!(sources(&[(8192, 4096, 0), (16384, 4096, 4096)]).len(), 2);
    }

    #[test]
    fn an_odd_store_offset_is_never_rounded_up() {
        assert_eq!(sources(&[(8192, 100, 1), (12288, 100, 4097)]).len(), 2);
    }

    #[test]
    fn metadata_comes_out_sorted_and_glued() {
        let mut output = Output::default();
        output.metadata(5, &[1; 4096]);
        output.metadata(6, &[2; 4096]);
        output.metadata(1, &[3; 4096]);
        let places: Vec<_> = output.finish().iter().map(|extent| (extent.at, extent.len)).collect();
        assert_eq!(places, [(4096, 4096), (20480, 8192)]);
    }
}
