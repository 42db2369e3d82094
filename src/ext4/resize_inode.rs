//! Inode 7, which owns the blocks kept for the descriptors of groups to come, in the superblock copies of all groups.
//!
//! Not described in the kernel's documents; `ext2fs_create_resize_inode` in libext2fs is the spec.

use super::geometry::{ADDRESSES_PER_BLOCK, BLOCKS_PER_GROUP, Geometry};
use super::inode::RawInode;
use super::{BLOCK_BYTES, BLOCK_SIZE};

pub const RESIZE_INODE: u32 = 7;
const MODE: u16 = 0o100600;
/// Index in `i_block` of the doubly indirect block, the only one in use.
const DOUBLY_INDIRECT: usize = 13;
/// As if all direct, indirect and doubly indirect blocks were there.
const SIZE: u64 = (12 + ADDRESSES_PER_BLOCK as u64 + (ADDRESSES_PER_BLOCK as u64).pow(2)) * BLOCK_SIZE;

/// The inode; `doubly_indirect` is the place of [`doubly_indirect_block`].
pub fn inode(geometry: &Geometry, doubly_indirect: u32, time: i64) -> RawInode {
    let mut inode = RawInode::special(MODE, 1).with_time(time);
    inode.set_size(SIZE);
    inode.i_block[4 * DOUBLY_INDIRECT..][..4].copy_from_slice(&doubly_indirect.to_le_bytes());
    let copies = geometry.super_groups().count() as u64; // a few
    inode.add_blocks(1 + u64::from(geometry.reserved_descriptor_blocks) * copies);
    inode
}

/// Points to the reserved blocks of group 0, each at the index its descriptors would have.
pub fn doubly_indirect_block(geometry: &Geometry) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    for reserved in 0..geometry.reserved_descriptor_blocks {
        let index = (geometry.descriptor_blocks + reserved) % ADDRESSES_PER_BLOCK;
        put(&mut block, index, first_reserved(geometry) + reserved);
    }
    block
}

/// The reserved blocks of group 0: each points to its copies in the groups that have backups.
pub fn reserved_blocks(geometry: &Geometry) -> Vec<u8> {
    let mut blocks = vec![0; geometry.reserved_descriptor_blocks as usize * BLOCK_BYTES]; // at most 4 MiB
    for (reserved, block) in (first_reserved(geometry)..).zip(blocks.chunks_mut(BLOCK_BYTES)) {
        for (index, group) in (0..).zip(geometry.super_groups().skip(1)) {
            put(block, index, reserved + group * BLOCKS_PER_GROUP);
        }
    }
    blocks
}

pub fn first_reserved(geometry: &Geometry) -> u32 {
    1 + geometry.descriptor_blocks
}

fn put(block: &mut [u8], index: u32, address: u32) {
    let at = 4 * index as usize; // below 4096
    block[at..at + 4].copy_from_slice(&address.to_le_bytes());
}
