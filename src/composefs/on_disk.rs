//! The structures of the image, named as in the kernel's `fs/erofs/erofs_fs.h`; the header is composefs's own.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

/// Directories, long symlink targets and the image itself come in blocks of this size.
pub const BLOCK: usize = 4096;
/// Inodes start at multiples of this; an inode's nid is the number of its first slot.
pub const SLOT: usize = 32;
/// Where the superblock is, after the composefs header.
pub const EROFS_SUPER_OFFSET: usize = 1024;

/// `lcfs_erofs_header_s` of libcomposefs, at offset 0. Without it mount-composefs and prepare-root refuse the image.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct ComposefsHeader {
    pub magic: U32,
    pub version: U32,
    pub flags: U32,
    pub composefs_version: U32,
    pub unused: [U32; 4],
}
const _: () = assert!(size_of::<ComposefsHeader>() == 32);

pub const LCFS_EROFS_MAGIC: u32 = 0xd078_629a;
pub const LCFS_EROFS_VERSION: u32 = 1;
/// Some inode has a POSIX ACL; without it composefs mounts with `noacl`.
pub const LCFS_EROFS_FLAGS_HAS_ACL: u32 = 1;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct ErofsSuperBlock {
    pub magic: U32,
    pub checksum: U32,
    pub feature_compat: U32,
    pub blkszbits: u8,
    pub sb_extslots: u8,
    pub root_nid: U16,
    pub inos: U64,
    pub build_time: U64,
    pub build_time_nsec: U32,
    pub blocks: U32,
    pub meta_blkaddr: U32,
    pub xattr_blkaddr: U32,
    pub uuid: [u8; 16],
    pub volume_name: [u8; 16],
    /// 0 although files are chunk based: the kernel does not ask.
    pub feature_incompat: U32,
    pub unused: [u8; 44],
}
const _: () = assert!(size_of::<ErofsSuperBlock>() == 128);

pub const EROFS_SUPER_MAGIC_V1: u32 = 0xe0f5_e1e2;
pub const EROFS_FEATURE_COMPAT_MTIME: u32 = 2;
pub const EROFS_FEATURE_COMPAT_XATTR_FILTER: u32 = 4;

/// The inode of 32 bytes. `i_mtime` is `build_time` of the superblock.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct ErofsInodeCompact {
    pub i_format: U16,
    pub i_xattr_icount: U16,
    pub i_mode: U16,
    pub i_nlink: U16,
    pub i_size: U32,
    pub i_reserved: U32,
    pub i_u: U32,
    pub i_ino: U32,
    pub i_uid: U16,
    pub i_gid: U16,
    pub i_reserved2: U32,
}
const _: () = assert!(size_of::<ErofsInodeCompact>() == 32);

/// The inode of 64 bytes, for what does not fit the compact one.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct ErofsInodeExtended {
    pub i_format: U16,
    pub i_xattr_icount: U16,
    pub i_mode: U16,
    pub i_reserved: U16,
    pub i_size: U64,
    pub i_u: U32,
    pub i_ino: U32,
    pub i_uid: U32,
    pub i_gid: U32,
    pub i_mtime: U64,
    pub i_mtime_nsec: U32,
    pub i_nlink: U32,
    pub i_reserved2: [u8; 16],
}
const _: () = assert!(size_of::<ErofsInodeExtended>() == 64);

/// `i_format` is the layout of the data, shifted by one, and whether the inode is extended.
pub const EROFS_INODE_FLAT_PLAIN: u16 = 0;
pub const EROFS_INODE_FLAT_INLINE: u16 = 2;
pub const EROFS_INODE_CHUNK_BASED: u16 = 4;

/// Follows the inode if it has xattrs; after it the ids of shared xattrs, then the others as `ErofsXattrEntry`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct ErofsXattrIbodyHeader {
    pub h_name_filter: U32,
    pub h_shared_count: u8,
    pub h_reserved2: [u8; 7],
}
const _: () = assert!(size_of::<ErofsXattrIbodyHeader>() == 12);

/// Followed by the name without its prefix, the value, and zeros up to a multiple of 4.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct ErofsXattrEntry {
    pub e_name_len: u8,
    pub e_name_index: u8,
    pub e_value_size: U16,
}
const _: () = assert!(size_of::<ErofsXattrEntry>() == 4);

#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct ErofsDirent {
    pub nid: U64,
    pub nameoff: U16,
    pub file_type: u8,
    pub reserved: u8,
}
const _: () = assert!(size_of::<ErofsDirent>() == 12);
