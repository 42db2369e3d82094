//! Group descriptor, 64-byte form. ext4 docs, "Block Group Descriptors".

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::checksum::Seed;
use super::layout::GroupLayout;

/// No inode of the group is in use; its inode bitmap is not on disk.
pub const INODE_UNINIT: u16 = 1;
/// No block of the group is in use but what is computable; its block bitmap is not on disk.
pub const BLOCK_UNINIT: u16 = 2;
/// The inode table is all zero where it is not in use, so the kernel has nothing to wipe.
pub const INODE_ZEROED: u16 = 4;

#[derive(Clone, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct GroupDescriptor {
    pub bg_block_bitmap_lo: U32,
    pub bg_inode_bitmap_lo: U32,
    pub bg_inode_table_lo: U32,
    pub bg_free_blocks_count_lo: U16,
    pub bg_free_inodes_count_lo: U16,
    pub bg_used_dirs_count_lo: U16,
    pub bg_flags: U16,
    pub bg_exclude_bitmap_lo: U32,
    pub bg_block_bitmap_csum_lo: U16,
    pub bg_inode_bitmap_csum_lo: U16,
    pub bg_itable_unused_lo: U16,
    pub bg_checksum: U16,
    pub bg_block_bitmap_hi: U32,
    pub bg_inode_bitmap_hi: U32,
    pub bg_inode_table_hi: U32,
    pub bg_free_blocks_count_hi: U16,
    pub bg_free_inodes_count_hi: U16,
    pub bg_used_dirs_count_hi: U16,
    pub bg_itable_unused_hi: U16,
    pub bg_exclude_bitmap_hi: U32,
    pub bg_block_bitmap_csum_hi: U16,
    pub bg_inode_bitmap_csum_hi: U16,
    pub bg_reserved: U32,
}

const _: () = assert!(size_of::<GroupDescriptor>() == 64);
const _: () = assert!(std::mem::offset_of!(GroupDescriptor, bg_checksum) == 0x1e);

/// What is counted in a group. No count exceeds 32768, so the high halves of the descriptor stay zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts {
    pub free_blocks: u16,
    pub free_inodes: u16,
    pub used_directories: u16,
    /// Inodes after the last one in use.
    pub unused_inodes: u16,
    pub flags: u16,
    /// Checksums of the bitmaps, 0 for one that is not on disk.
    pub block_bitmap_checksum: u32,
    pub inode_bitmap_checksum: u32,
}

impl GroupDescriptor {
    pub fn new(group: u32, at: GroupLayout, counts: GroupCounts, seed: Seed) -> GroupDescriptor {
        let (block_csum_lo, block_csum_hi) = halves(counts.block_bitmap_checksum);
        let (inode_csum_lo, inode_csum_hi) = halves(counts.inode_bitmap_checksum);
        let mut descriptor = GroupDescriptor {
            bg_block_bitmap_lo: at.block_bitmap.into(),
            bg_inode_bitmap_lo: at.inode_bitmap.into(),
            bg_inode_table_lo: at.inode_table.into(),
            bg_free_blocks_count_lo: counts.free_blocks.into(),
            bg_free_inodes_count_lo: counts.free_inodes.into(),
            bg_used_dirs_count_lo: counts.used_directories.into(),
            bg_flags: counts.flags.into(),
            bg_itable_unused_lo: counts.unused_inodes.into(),
            bg_block_bitmap_csum_lo: block_csum_lo,
            bg_block_bitmap_csum_hi: block_csum_hi,
            bg_inode_bitmap_csum_lo: inode_csum_lo,
            bg_inode_bitmap_csum_hi: inode_csum_hi,
            ..GroupDescriptor::new_zeroed()
        };
        let checksum = seed.then(&group.to_le_bytes()).checksum(descriptor.as_bytes());
        descriptor.bg_checksum = halves(checksum).0;
        descriptor
    }
}

/// The low and the high 16 bits.
pub fn halves(value: u32) -> (U16, U16) {
    let [a, b, c, d] = value.to_le_bytes();
    (U16::from_bytes([a, b]), U16::from_bytes([c, d]))
}
