//! Directory blocks: entries, the checksum at the end, directories of one block. ext4 docs, "Directory Entries".
//!
//! Directories of more blocks have an index, see `htree`.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::BLOCK_BYTES;
use super::checksum::Seed;

const TAIL_BYTES: usize = 12;
const TAIL_FILE_TYPE: u8 = 0xde;
/// Bytes of a block for entries, before the tail.
pub const LEAF_ROOM: usize = BLOCK_BYTES - TAIL_BYTES;
const DIRECTORY: u8 = 2;
/// `.` and `..`, 12 bytes each.
pub const DOTS_BYTES: usize = 24;

/// `ext4_dir_entry_2` without its name.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct DirectoryEntry {
    pub inode: U32,
    pub rec_len: U16,
    pub name_len: u8,
    pub file_type: u8,
}

const _: () = assert!(size_of::<DirectoryEntry>() == 8);

/// A name and what it names.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub inode: u32,
    pub file_type: u8,
    /// 1 to 255 bytes.
    pub name: &'a [u8],
}

/// Bytes of an entry with a name of this length.
pub fn entry_bytes(name_len: usize) -> usize {
    (size_of::<DirectoryEntry>() + name_len).next_multiple_of(4)
}

/// A directory and the checksum seed of its inode.
pub struct Directory<'a> {
    pub inode: u32,
    pub parent: u32,
    pub entries: Vec<Entry<'a>>,
    pub seed: Seed,
}

impl Directory<'_> {
    /// The only block of a directory, or nothing when the entries need more.
    pub fn single_block(&self) -> Option<Vec<u8>> {
        let need: usize = self.entries.iter().map(|entry| entry_bytes(entry.name.len())).sum();
        if DOTS_BYTES + need > LEAF_ROOM {
            return None;
        }
        let mut leaf = Leaf::new(Vec::with_capacity(BLOCK_BYTES));
        self.dots().iter().chain(&self.entries).for_each(|entry| leaf.push(entry));
        Some(leaf.finish(self.seed))
    }

    pub fn dots(&self) -> [Entry<'static>; 2] {
        let dot = |inode, name| Entry { inode, file_type: DIRECTORY, name };
        [dot(self.inode, b"."), dot(self.parent, b"..")]
    }
}

/// A block of entries that grows at the end of `bytes`.
pub struct Leaf {
    bytes: Vec<u8>,
    start: usize,
    last: usize,
}

impl Leaf {
    pub fn new(bytes: Vec<u8>) -> Leaf {
        let start = bytes.len();
        Leaf { bytes, start, last: start }
    }

    pub fn used(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The caller has looked that there is room.
    pub fn push(&mut self, entry: &Entry) {
        self.last = self.bytes.len();
        let len = entry_bytes(entry.name.len());
        let head = DirectoryEntry {
            inode: entry.inode.into(),
            rec_len: (len as u16).into(),     // at most 264
            name_len: entry.name.len() as u8, // at most 255
            file_type: entry.file_type,
        };
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(entry.name);
        self.bytes.resize(self.last + len, 0);
    }

    /// Lets the last entry reach to the tail, adds the tail, and gives the bytes back.
    pub fn finish(mut self, seed: Seed) -> Vec<u8> {
        if self.used() == 0 {
            // No name at all is one entry of inode 0.
            self.bytes.extend_from_slice(&[0; 8]);
        }
        let reach = (self.start + LEAF_ROOM - self.last) as u16; // at most 4084
        self.bytes[self.last + 4..self.last + 6].copy_from_slice(&reach.to_le_bytes());
        self.bytes.resize(self.start + LEAF_ROOM, 0);
        let checksum = seed.checksum(&self.bytes[self.start..]);
        let tail = DirectoryEntry {
            inode: 0.into(),
            rec_len: (TAIL_BYTES as u16).into(), // 12
            name_len: 0,
            file_type: TAIL_FILE_TYPE,
        };
        self.bytes.extend_from_slice(tail.as_bytes());
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[Vec<u8>]) -> Directory<'_> {
        let entries = names.iter().map(|name| Entry { inode: 12, file_type: 1, name }).collect();
        Directory { inode: 2, parent: 2, entries, seed: Seed::of_filesystem(&[0; 16]) }
    }

    #[test]
    fn names_that_fill_4084_bytes_stay_in_one_block_and_one_more_does_not() {
        let full: Vec<Vec<u8>> =
            (0..(LEAF_ROOM - DOTS_BYTES) / 20).map(|i| format!("name-{i:05}").into_bytes()).collect();
        assert_eq!(LEAF_ROOM - DOTS_BYTES, 20 * full.len());
        assert_eq!(directory(&full).single_block().map(|block| block.len()), Some(4096));
        let more = [full, vec![b"x".to_vec()]].concat();
        assert!(directory(&more).single_block().is_none());
    }

    #[test]
    fn the_last_entry_reaches_to_the_tail() {
        let block = directory(&[b"a".to_vec()]).single_block().unwrap();
        assert_eq!(u16::from_le_bytes([block[28], block[29]]), 4084 - 24);
        assert_eq!(block[4084..4092], [0, 0, 0, 0, 12, 0, 0, 0xde]);
    }
}
