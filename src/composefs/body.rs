//! The bytes an inode stands for, and how many of them go right behind it.

use zerocopy::IntoBytes;

use super::inode::{Content, Inode, InodeNumber};
use super::on_disk::{BLOCK, ErofsDirent};

const S_IFMT: u32 = 0o170000;
/// `EROFS_NULL_ADDR`: a chunk without blocks, which reads as zeros.
const EROFS_NULL_ADDR: u32 = u32::MAX;

/// Whole blocks, then the tail. `nid` gives where an inode is.
pub struct Body {
    bytes: Vec<u8>,
}

impl Body {
    pub fn of(content: &Content, inodes: &[Inode], nid: impl Fn(InodeNumber) -> u64) -> Self {
        let bytes = match content {
            Content::Directory(entries) => directory(entries, inodes, nid),
            Content::Symlink(target) => target.clone(),
            // The largest chunk is larger than any file the tree may have, so one chunk is enough.
            Content::External(_) => EROFS_NULL_ADDR.to_le_bytes().to_vec(),
            Content::Device(_) | Content::Nothing => Vec::new(),
        };
        Body { bytes }
    }

    /// The end of the body, which wants to be inline: behind the inode.
    pub fn tail(&self) -> &[u8] {
        self.bytes.as_chunks::<BLOCK>().1
    }

    /// What goes to blocks of its own when the tail is inline, or when it is not.
    pub fn blocks(mut self, tail_is_inline: bool) -> Vec<u8> {
        let length = self.bytes.len();
        let tail = self.tail().len();
        self.bytes.resize(if tail_is_inline { length - tail } else { length.next_multiple_of(BLOCK) }, 0);
        self.bytes
    }

    /// Whether there is anything in blocks.
    pub fn has_blocks(&self, tail_is_inline: bool) -> bool {
        self.bytes.len() >= BLOCK || !tail_is_inline
    }

    /// `i_size`: a directory in blocks is counted with the zeros at its end.
    pub fn size(&self, inode: &Inode, tail_is_inline: bool) -> usize {
        match inode.content {
            Content::Directory(_) if !tail_is_inline => self.bytes.len().next_multiple_of(BLOCK),
            _ => self.bytes.len(),
        }
    }
}

/// The entries in blocks, each full but the last.
fn directory(entries: &[(Vec<u8>, InodeNumber)], inodes: &[Inode], nid: impl Fn(InodeNumber) -> u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in split(entries) {
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes.extend(directory_block(block, inodes, &nid));
    }
    // As libcomposefs has it, no more than half a block goes behind the inode.
    if bytes.len() % BLOCK > BLOCK / 2 {
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes
}

/// As many entries in each block as there is room for.
fn split(mut entries: &[(Vec<u8>, InodeNumber)]) -> Vec<&[(Vec<u8>, InodeNumber)]> {
    let mut blocks = Vec::new();
    while !entries.is_empty() {
        let mut room = BLOCK;
        let fits = |(name, _): &&(Vec<u8>, InodeNumber)| {
            let left = room.checked_sub(size_of::<ErofsDirent>() + name.len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let (block, rest) = entries.split_at(entries.iter().take_while(fits).count());
        blocks.push(block);
        entries = rest;
    }
    blocks
}

/// All fixed parts, then all names.
fn directory_block(entries: &[(Vec<u8>, InodeNumber)], inodes: &[Inode], nid: impl Fn(InodeNumber) -> u64) -> Vec<u8> {
    let mut names = Vec::new();
    let mut bytes = Vec::with_capacity(BLOCK);
    for (name, inode) in entries {
        let nameoff = entries.len() * size_of::<ErofsDirent>() + names.len();
        let dirent = ErofsDirent {
            nid: nid(*inode).into(),
            nameoff: (nameoff as u16).into(), // Within a block.
            file_type: file_type(inodes[*inode].mode),
            reserved: 0,
        };
        bytes.extend(dirent.as_bytes());
        names.extend_from_slice(name);
    }
    bytes.extend(names);
    bytes
}

/// `EROFS_FT_*`.
fn file_type(mode: u32) -> u8 {
    match mode & S_IFMT {
        0o100000 => 1,
        0o040000 => 2,
        0o020000 => 3,
        0o060000 => 4,
        0o010000 => 5,
        0o140000 => 6,
        _ => 7, // A symlink; the tree was checked.
    }
}
