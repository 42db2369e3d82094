//! Writes FAT32 volumes (EFI system partition) and reads FAT12, FAT16 and FAT32 ones.
//!
//! Spec: Microsoft "FAT: General Overview of On-Disk Format" 1.03, whose field names are used here.
//! A leaf: it knows nothing of partitions or disks, asks no clock, and imports only std and small crates.
//!
//! Writing is done once, in one direction: [`tree`] sorts the files, [`layout`] gives each directory and file its
//! contiguous clusters, [`write`] emits boot sectors, FATs and clusters in disk order, [`extents`] drops the zeros.
//! Changing an existing volume is not here. Reading is [`read`]; it trusts no byte.

mod boot_sector;
mod directory;
mod entry;
mod error;
mod extents;
mod geometry;
mod layout;
mod listing;
mod name;
mod read;
mod short_name;
mod time;
mod tree;
mod volume;
mod write;

use std::sync::Arc;

pub use error::Error;
pub use read::{Identity, label_and_id, list, read_file};
pub use write::image;

/// What one volume is to be. Equal options and files give equal bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of the whole volume, a multiple of 512.
    pub size: u64,
    /// `BS_VolID`, shown as the serial number and used by Linux as `UUID=XXXX-XXXX`.
    pub volume_id: u32,
    /// At most 11 characters of what DOS allows, no lower case; empty for no label.
    pub label: String,
    /// Seconds since 1970 in UTC, written into every entry; FAT holds 1980 to 2107, other times are clamped.
    pub time: i64,
    /// Sectors of the disk before the volume: the first LBA of its partition.
    pub hidden_sectors: u32,
}

/// A file to put on the volume.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative, with `/` between names: `EFI/BOOT/BOOTX64.EFI`. Parents are made.
    /// Names differing only in case are one name.
    pub path: String,
    /// The whole content, below 4 GiB.
    pub bytes: Arc<[u8]>,
}

/// A stretch of the volume that is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes from the start of the volume, a multiple of 4096.
    pub at: u64,
    /// At most 1 MiB.
    pub bytes: Vec<u8>,
}

/// Number of a cluster; the first one of the data area is 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cluster(u32);

impl Cluster {
    /// The first cluster of the data area.
    const FIRST: Self = Self(2);
}
