//! The journal: an inode full of nothing but its first block. ext4 docs, "Journal (jbd2)".
//!
//! Rest and log are holes of the image; a journal that starts at 0 is never read.

use zerocopy::big_endian::U32;
use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::BLOCK_SIZE;
use super::inode::{RawInode, words};

pub const JOURNAL_INODE: u32 = 8;
const MODE: u16 = 0o100600;
const MAGIC: u32 = 0xc03b_3998;
const SUPERBLOCK_V2: u32 = 4;

/// The one structure of ext4 that is big endian.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct JournalSuperblock {
    pub h_magic: U32,
    pub h_blocktype: U32,
    pub h_sequence: U32,
    pub s_blocksize: U32,
    pub s_maxlen: U32,
    pub s_first: U32,
    pub s_sequence: U32,
    pub s_start: U32,
    pub s_errno: U32,
    pub s_feature_compat: U32,
    pub s_feature_incompat: U32,
    pub s_feature_ro_compat: U32,
    pub s_uuid: [u8; 16],
    pub s_nr_users: U32,
    /// Dynamic superblock, checksum and users, to the end of 1024 bytes.
    pub s_rest: [u8; 0x3bc],
}

const _: () = assert!(size_of::<JournalSuperblock>() == 1024);
const _: () = assert!(std::mem::offset_of!(JournalSuperblock, s_nr_users) == 0x40);

impl JournalSuperblock {
    /// An empty journal of so many blocks.
    pub fn new(blocks: u32, uuid: [u8; 16]) -> JournalSuperblock {
        JournalSuperblock {
            h_magic: MAGIC.into(),
            h_blocktype: SUPERBLOCK_V2.into(),
            s_blocksize: (BLOCK_SIZE as u32).into(), // 4096
            s_maxlen: blocks.into(),
            s_first: 1.into(),
            s_sequence: 1.into(),
            s_uuid: uuid,
            s_nr_users: 1.into(),
            ..JournalSuperblock::new_zeroed()
        }
    }
}

/// The inode, before its blocks are known.
pub fn inode(blocks: u32, time: i64) -> RawInode {
    let mut inode = RawInode::special(MODE, 1).with_time(time);
    inode.set_size(u64::from(blocks) * BLOCK_SIZE);
    inode
}

/// `s_jnl_blocks`: a copy of the journal inode's `i_block`, then the high and the low half of its size.
pub fn backup(i_block: &[u8; 60], blocks: u32) -> [zerocopy::little_endian::U32; 17] {
    let mut copy = [zerocopy::little_endian::U32::ZERO; 17];
    copy[..15].as_mut_bytes().copy_from_slice(i_block);
    [copy[16], copy[15]] = words(u64::from(blocks) * BLOCK_SIZE);
    copy
}
