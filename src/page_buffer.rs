//! A buffer that begins at a page of memory, for reading much at a time.
//!
//! What `malloc` maps for a large buffer begins 16 bytes after a page. The kernel's copy out of the page cache (`rep movsb`)
//! goes there at a seventh of the speed on an AMD EPYC: 2 instead of 14 GB/s.

use std::ops::{Deref, DerefMut};

const PAGE: usize = 4096;

/// Bytes of a length that stays.
#[derive(Debug)]
pub struct PageBuffer {
    /// One page longer than `len`.
    bytes: Vec<u8>,
    begin: usize,
    len: usize,
}

impl PageBuffer {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE];
        // The answer may be useless by its contract; then any place does.
        let begin = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, begin, len }
    }
}

impl Deref for PageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.begin..][..self.len]
    }
}

impl DerefMut for PageBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_any_length_begins_at_a_page() {
        for len in [0, 1, 4095, 128 << 10, 2 << 20] {
            let mut buffer = PageBuffer::new(len);
            buffer.fill(7);
            assert_eq!((buffer.as_ptr().addr() % PAGE, &*buffer), (0, &*vec![7; len]));
        }
    }
}
