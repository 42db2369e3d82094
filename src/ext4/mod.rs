//! Writes an ext4 filesystem at one stroke, from a whole tree in memory to a list of extents.
//!
//! Spec: the Linux kernel's `Documentation/filesystems/ext4/`; where it is silent, what `mke2fs` and `e2fsck` do.
//! Knows nothing of disks and partitions, never reads file content that lies in the caller's store, never looks at a
//! clock or at chance: the same input gives the same bytes. Not here: reading ext4, changing an existing filesystem.

mod acl;
mod allocate;
mod bitmap;
mod checksum;
mod data;
mod directory;
mod error;
mod extent;
mod geometry;
mod group_descriptor;
mod groups;
mod hash;
mod htree;
mod inode;
mod journal;
mod layout;
mod namespace;
mod output;
mod resize_inode;
mod superblock;
mod tree;
mod usage;
mod write;
mod xattr;
mod xattr_block;

pub use error::Error;
pub use geometry::Geometry;
pub use tree::{Data, Extent, From, Inode, Kind, Options, Piece, Timestamp, Tree};
pub use usage::{Usage, measure};
pub use write::write;

/// Bytes of a filesystem block; no other size is written.
pub const BLOCK_SIZE: u64 = 4096;
/// The same as a length in memory.
const BLOCK_BYTES: usize = 4096;
