//! The fixed part of an inode, compact where its numbers are small enough.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U32, U64};

use super::inode::{Content, Inode, InodeNumber};
use super::on_disk::*;

/// What an inode's record says, besides what the inode itself knows.
pub struct Record<'a> {
    pub number: InodeNumber,
    pub inode: &'a Inode,
    pub xattr_icount: u16,
    /// Length of the body, up to the end of its last block if all of it is in blocks.
    pub size: usize,
    /// Whether the end of the body follows the inode.
    pub has_inline_tail: bool,
    /// The first block of the body, 0 if there is none.
    pub block: u32,
}

/// How many bytes `bytes` will give.
pub fn size(inode: &Inode) -> usize {
    if is_compact(inode) { size_of::<ErofsInodeCompact>() } else { size_of::<ErofsInodeExtended>() }
}

fn is_compact(inode: &Inode) -> bool {
    let size = match inode.content {
        Content::External(size) => size,
        _ => 0, // Directories and symlinks stay below 4 GiB.
    };
    [inode.nlink, inode.uid, inode.gid].into_iter().all(|number| u16::try_from(number).is_ok())
        && u32::try_from(size).is_ok()
}

impl Record<'_> {
    /// The 32 or 64 bytes. Casts to 16 bits cut nothing: `is_compact` looked at them, modes have 16 bits.
    pub fn bytes(&self) -> Vec<u8> {
        match is_compact(self.inode) {
            true => self.compact().as_bytes().to_vec(),
            false => self.extended().as_bytes().to_vec(),
        }
    }

    fn compact(&self) -> ErofsInodeCompact {
        ErofsInodeCompact {
            i_format: (self.data_layout() << 1).into(),
            i_xattr_icount: self.xattr_icount.into(),
            i_mode: (self.inode.mode as u16).into(),
            i_nlink: (self.inode.nlink as u16).into(),
            i_size: (self.i_size() as u32).into(),
            i_reserved: U32::ZERO,
            i_u: self.i_u().into(),
            i_ino: self.i_ino().into(),
            i_uid: (self.inode.uid as u16).into(),
            i_gid: (self.inode.gid as u16).into(),
            i_reserved2: U32::ZERO,
        }
    }

    fn extended(&self) -> ErofsInodeExtended {
        ErofsInodeExtended {
            i_format: (self.data_layout() << 1 | 1).into(),
            i_xattr_icount: self.xattr_icount.into(),
            i_mode: (self.inode.mode as u16).into(),
            i_reserved: 0.into(),
            i_size: self.i_size().into(),
            i_u: self.i_u().into(),
            i_ino: self.i_ino().into(),
            i_uid: self.inode.uid.into(),
            i_gid: self.inode.gid.into(),
            i_mtime: U64::ZERO,
            i_mtime_nsec: U32::ZERO,
            i_nlink: self.inode.nlink.into(),
            i_reserved2: [0; 16],
        }
    }

    fn data_layout(&self) -> u16 {
        match self.inode.content {
            Content::External(_) => EROFS_INODE_CHUNK_BASED,
            _ if self.has_inline_tail => EROFS_INODE_FLAT_INLINE,
            _ => EROFS_INODE_FLAT_PLAIN,
        }
    }

    fn i_size(&self) -> u64 {
        match self.inode.content {
            Content::External(size) => size,
            _ => self.size as u64, // At least as wide as a usize.
        }
    }

    fn i_u(&self) -> u32 {
        match self.inode.content {
            Content::External(size) => chunk_format(size),
            Content::Device(rdev) => rdev,
            _ => self.block,
        }
    }

    fn i_ino(&self) -> u32 {
        u32::try_from(self.number).expect("a tree in memory has fewer than 2^32 inodes")
    }
}

/// How many times a block has to be doubled to hold `size` bytes, which are not 0, in one chunk.
fn chunk_format(size: u64) -> u32 {
    let chunkbits = u64::BITS - (size - 1).leading_zeros();
    chunkbits.saturating_sub(BLOCK.ilog2())
}

#[cfg(test)]
mod tests {
    use super::chunk_format;

    #[test]
    fn chunk_is_the_smallest_power_of_two_that_holds_the_file() {
        let sizes = [1, 4096, 4097, 8192, 8193, 1 << 43];
        assert_eq!(sizes.map(chunk_format), [0, 0, 1, 1, 2, 31]);
    }
}
