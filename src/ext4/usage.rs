//! What a tree will take, known before there is a filesystem to put it in. Checks every number on the way.

use super::BLOCK_SIZE;
use super::directory::{DOTS_BYTES, LEAF_ROOM, entry_bytes};
use super::error::Error;
use super::extent::{MAX_LEN, tree_blocks};
use super::htree;
use super::inode::INLINE_TARGET;
use super::namespace::{LOST_AND_FOUND, Namespace};
use super::tree::{Data, From, Inode, Kind, Timestamp, Tree};
use super::xattr::Attributes;

/// mke2fs gives `lost+found` 16 KiB, so that e2fsck can fill it without looking for blocks.
pub const LOST_AND_FOUND_BLOCKS: u64 = 4;
/// File blocks have 32 bits.
const MOST_FILE_BLOCKS: u64 = u32::MAX as u64;
/// The longest symlink target, which needs a NUL after it in its block.
const LONGEST_TARGET: usize = 4095;

/// Upper bounds, in blocks of 4 KiB, and the exact number of inodes, `lost+found` included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub inodes: u64,
    pub data_blocks: u64,
    pub directory_blocks: u64,
    pub symlink_blocks: u64,
    pub xattr_blocks: u64,
    pub extent_blocks: u64,
}

impl Usage {
    pub fn blocks(&self) -> u64 {
        self.data_blocks + self.directory_blocks + self.symlink_blocks + self.xattr_blocks + self.extent_blocks
    }
}

/// Checks the whole tree and says what it takes.
pub fn measure(tree: &Tree) -> Result<Usage, Error> {
    measure_walked(tree, &Namespace::walk(tree)?)
}

pub fn measure_walked(tree: &Tree, names: &Namespace) -> Result<Usage, Error> {
    let mut usage = Usage { inodes: tree.inodes.len() as u64, ..Usage::default() }; // a length
    usage.inodes += u64::from(names.lost_and_found.is_none());
    usage.directory_blocks += LOST_AND_FOUND_BLOCKS;
    for (index, inode) in tree.inodes.iter().enumerate() {
        check_numbers(index, inode)?;
        usage.xattr_blocks += u64::from(Attributes::divide(index, &inode.xattrs)?.needs_block());
        usage.add_content(index, &inode.kind)?;
    }
    Ok(usage)
}

fn check_numbers(index: usize, inode: &Inode) -> Result<(), Error> {
    if inode.permissions > 0o7777 {
        return Err(Error::Permissions { index, permissions: inode.permissions });
    }
    for Timestamp { nanoseconds, .. } in [inode.accessed, inode.changed, inode.modified, inode.created] {
        if nanoseconds >= 1_000_000_000 {
            return Err(Error::Nanoseconds { index, nanoseconds });
        }
    }
    Ok(())
}

impl Usage {
    fn add_content(&mut self, index: usize, kind: &Kind) -> Result<(), Error> {
        match kind {
            Kind::Directory(entries) => self.add_directory(index, entries)?,
            Kind::Regular(data) => self.add_file(index, data)?,
            Kind::Symlink(target) => self.symlink_blocks += symlink_blocks(index, target)?,
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                if *major >= 1 << 12 || *minor >= 1 << 20 {
                    return Err(Error::Device { index, major: *major, minor: *minor });
                }
            }
            Kind::Fifo | Kind::Socket => {}
        }
        Ok(())
    }

    /// The root may get a name more than it was given, `lost+found`.
    fn add_directory(&mut self, directory: usize, entries: &[(Vec<u8>, usize)]) -> Result<(), Error> {
        let lost_and_found = if directory == 0 { entry_bytes(LOST_AND_FOUND.len()) } else { 0 };
        let names = lost_and_found + entries.iter().map(|(name, _)| entry_bytes(name.len())).sum::<usize>();
        if names + DOTS_BYTES <= LEAF_ROOM {
            self.directory_blocks += 1;
            return Ok(());
        }
        let leaves = htree::most_leaves(names as u64); // a length
        if leaves > htree::LEAF_LIMIT {
            return Err(Error::DirectoryTooLarge { directory, leaves, limit: htree::LEAF_LIMIT });
        }
        let blocks = htree::most_blocks(leaves);
        self.directory_blocks += blocks;
        self.extent_blocks += tree_blocks(extents_of(blocks));
        Ok(())
    }

    fn add_file(&mut self, index: usize, data: &Data) -> Result<(), Error> {
        if data.len.div_ceil(BLOCK_SIZE) > MOST_FILE_BLOCKS {
            return Err(Error::FileTooLarge { index, len: data.len });
        }
        let (mut extents, mut free_from) = (0, 0);
        for piece in &data.pieces {
            let (at, len) = (piece.at, piece.len);
            if !at.is_multiple_of(BLOCK_SIZE) || at < free_from {
                return Err(Error::PieceMisplaced { index, at });
            }
            let end = at.checked_add(len).filter(|end| *end <= data.len);
            free_from = end.ok_or(Error::PieceOutside { index, at, piece: len, len: data.len })?;
            check_brought(index, at, len, &piece.from)?;
            let blocks = len.div_ceil(BLOCK_SIZE);
            self.data_blocks += blocks;
            extents += extents_of(blocks);
            free_from = free_from.next_multiple_of(BLOCK_SIZE);
        }
        self.extent_blocks += tree_blocks(extents);
        Ok(())
    }
}

fn check_brought(index: usize, at: u64, said: u64, from: &From) -> Result<(), Error> {
    let brought = match from {
        From::Bytes(bytes) => bytes.len() as u64,   // a length
        From::Source(offset) => u64::MAX - *offset, // what offsets can address
    };
    let right = match from {
        From::Bytes(_) => brought == said,
        From::Source(_) => said <= brought,
    };
    if right { Ok(()) } else { Err(Error::PieceLength { index, at, said, brought }) }
}

/// Extents of blocks in a row.
fn extents_of(blocks: u64) -> u64 {
    blocks.div_ceil(u64::from(MAX_LEN))
}

fn symlink_blocks(index: usize, target: &[u8]) -> Result<u64, Error> {
    if !(1..=LONGEST_TARGET).contains(&target.len()) {
        return Err(Error::SymlinkLength { index, len: target.len() });
    }
    if target.contains(&0) {
        return Err(Error::SymlinkNul { index });
    }
    Ok(u64::from(target.len() > INLINE_TARGET))
}
