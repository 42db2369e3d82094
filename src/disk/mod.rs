//! The disk as an ordered list of byte ranges, each of which knows where its bytes come from.
//!
//! Because the list is ordered and holes are known, every output streams from it. `compose` is the one translator between the
//! trees and the filesystem leaves.

mod compose;
mod dos_label;
mod ext4_tree;
mod partition_table;
mod placement;
mod syslinux_file;

use std::sync::Arc;

pub use compose::{Filesystems, compose};
pub use ext4_tree::filesystem_tree;
pub use placement::Placement;

use ext4_tree::filesystem_options;

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("the {what} filesystem cannot be written: {source}")]
    Ext4 { what: &'static str, source: crate::ext4::Error },
    #[error("the EFI system partition cannot be written: {0}")]
    Fat(#[from] crate::fat::Error),
    #[error("GRUB for BIOS cannot be installed: {0}")]
    Grub(#[from] crate::grub_pc::Error),
    #[error("syslinux cannot be installed: {0}")]
    Syslinux(#[from] crate::syslinux::Error),
    #[error("the directory of the boot loader is missing on /boot")]
    NoLoaderDirectory,
    #[error("the partition table cannot be written: {0}")]
    PartitionTable(String),
}

/// Where the bytes of an extent come from.
#[derive(Clone, Debug)]
pub enum From {
    Bytes(Arc<[u8]>),
    /// An offset in the spool.
    Spool(u64),
}

/// `len` bytes of the disk from byte `at`. Bytes between extents are zero.
#[derive(Clone, Debug)]
pub struct Extent {
    pub at: u64,
    pub len: u64,
    pub from: From,
}

impl Extent {
    pub fn end(&self) -> u64 {
        self.at + self.len
    }
}

/// A whole disk: strictly increasing extents that do not overlap.
#[derive(Clone, Debug)]
pub struct Disk {
    pub bytes: u64,
    pub extents: Vec<Extent>,
}

impl Disk {
    /// Bytes that are not holes.
    pub fn data_bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.len).sum()
    }
}
