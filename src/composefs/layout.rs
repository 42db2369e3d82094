//! Where everything is. The writer runs twice: the first run finds the positions, the second run writes them.

use super::on_disk::{BLOCK, SLOT};

/// What one run of the writer finds out and the next one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// By inode number.
    pub places: Vec<Place>,
    /// Positions of the shared xattrs, in order.
    pub shared_xattrs: Vec<usize>,
    /// Where the shared xattrs start.
    pub inodes_end: usize,
    /// Length of the image.
    pub end: usize,
}

/// Where an inode and its blocks are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub inode: usize,
    pub blocks: usize,
    pub tail_is_inline: bool,
}

impl Layout {
    /// Before the first run nothing is known but how many inodes and shared xattrs there are.
    pub fn unknown(inodes: usize, shared_xattrs: usize) -> Self {
        Layout { places: vec![Place::default(); inodes], shared_xattrs: vec![0; shared_xattrs], inodes_end: 0, end: 0 }
    }

    /// The slot of an inode, counted from the start of the image.
    pub fn nid(&self, inode: usize) -> usize {
        self.places[inode].inode / SLOT
    }

    /// The id of a shared xattr: its distance in units of 4 bytes from the block in which the shared xattrs start.
    pub fn shared_xattr_id(&self, index: usize) -> u32 {
        address(self.shared_xattrs[index] - self.inodes_end / BLOCK * BLOCK, 4)
    }
}

/// `position` in units of `unit`; an image that is held in memory stays below 2^32 units.
pub fn address(position: usize, unit: usize) -> u32 {
    u32::try_from(position / unit).expect("an image in memory has fewer than 2^32 blocks")
}

/// Counts what is written, and keeps it in the second run.
pub struct Out {
    position: usize,
    bytes: Option<Vec<u8>>,
}

impl Out {
    pub fn measure() -> Self {
        Out { position: 0, bytes: None }
    }

    pub fn emit(length: usize) -> Self {
        Out { position: 0, bytes: Some(Vec::with_capacity(length)) }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn put(&mut self, bytes: &[u8]) {
        self.position += bytes.len();
        if let Some(written) = &mut self.bytes {
            written.extend_from_slice(bytes);
        }
    }

    /// Zeros up to `position`.
    pub fn pad_to(&mut self, position: usize) {
        self.position = position;
        if let Some(written) = &mut self.bytes {
            written.resize(position, 0);
        }
    }

    /// Zeros up to the next multiple of `unit`.
    pub fn align(&mut self, unit: usize) {
        self.pad_to(self.position.next_multiple_of(unit));
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.unwrap_or_default()
    }
}
