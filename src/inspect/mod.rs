//! `bootwright inspect`: what is on a disk. Reads raw and qcow2 images and changes nothing.
//!
//! [`inspect`] gathers, [`text`] writes it down for people; as data an [`Inspection`] serialises. Every byte of the disk is
//! taken for foreign: what cannot be read becomes a sentence among the problems, and the rest is still shown.
//! Of filesystems, FAT and ext4 are entered; others are only named. Printing is `cli`'s.

mod boot_entry;
mod checks;
mod efi;
mod facts;
mod filesystem;
mod firmware;
mod image;
mod map;
mod partition_type;
mod sysroot;
mod table;
mod text;
mod version;
mod volume;

use std::io;
use std::path::{Path, PathBuf};

pub use facts::{
    BootEntry, Deployment, EfiFile, EfiRole, Filesystem, Format, Inspection, Origin, OriginKind, Partition, Reference,
    Table, TableKind,
};
pub use text::text;

use crate::os::Architecture;
use crate::qcow2;
use image::Image;
use volume::Volume;

/// Why there is nothing to show at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{path}` cannot be read: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("`{path}`: {source}")]
    Qcow2 { path: PathBuf, source: qcow2::Error },
    #[error(
        "`{path}` is not a disk image: its {size} bytes have neither a partition table nor a filesystem that is known"
    )]
    NotADisk { path: PathBuf, size: u64 },
}

/// Everything that can be found out about the disk image at `path`.
///
/// # Errors
/// A file that cannot be read, a qcow2 image that is broken or of a kind not supported, a file that is no disk.
pub fn inspect(path: &Path) -> Result<Inspection, Error> {
    let image = Image::open(path)?;
    let mut problems = Vec::new();
    let (table, mut partitions) = table::read(&image, &mut problems);
    let mut volumes = Vec::new();
    for partition in &mut partitions {
        let slice = image.slice(partition.start, partition.bytes);
        partition.filesystem = filesystem::probe(&slice);
        volumes.extend(open(partition, slice, &mut problems));
    }
    if table.kind == TableKind::None && partitions.iter().all(|whole| whole.filesystem.is_none()) && problems.is_empty()
    {
        return Err(Error::NotADisk { path: path.to_owned(), size: image.size });
    }
    let efi_files = efi::files(&partitions, &volumes, &mut problems);
    let sysroot = sysroot::read(&volumes, &mut problems);
    let boot_entries = boot_entry::read(&volumes, &mut problems);
    let mut inspection = Inspection {
        format: image.format,
        virtual_size: image.size,
        allocated: image.allocated,
        firmware: firmware::firmware(&image, &table, &partitions, &efi_files, &mut problems),
        secure_boot: efi::secure_boot(&efi_files),
        table,
        partitions,
        efi_files,
        boot_entries,
        deployments: sysroot.deployments,
        refs: sysroot.refs,
        aleph: sysroot.aleph,
        problems,
    };
    checks::check(&mut inspection);
    Ok(inspection)
}

/// What a machine has to be to start a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Firmware with Secure Boot would start it by its shim: the ESP holds a signed shim and a signed GRUB or systemd-boot.
    pub secure_boot: bool,
    pub uefi: bool,
    pub bios: bool,
    /// By the program that UEFI starts, else by the root partition's type; nothing when neither says it.
    pub architecture: Option<Architecture>,
}

/// Reads the partition table and the ESP, nothing else.
///
/// # Errors
/// As [`inspect`], but a disk without table or ESP is merely one that nothing starts.
pub fn start(path: &Path) -> Result<Start, Error> {
    let image = Image::open(path)?;
    let mut ignored = Vec::new();
    let (table, partitions) = table::read(&image, &mut ignored);
    let esp = partitions.iter().find(|partition| partition.is_esp());
    let volumes: Vec<_> =
        esp.and_then(|esp| Volume::fat(esp.number, image.slice(esp.start, esp.bytes)).ok()).into_iter().collect();
    let files = efi::files(&partitions, &volumes, &mut ignored);
    let words = firmware::firmware(&image, &table, &partitions, &files, &mut ignored);
    let by_program = files.iter().find_map(firmware::architecture);
    Ok(Start {
        secure_boot: efi::secure_boot(&files),
        uefi: words.contains("UEFI"),
        bios: words.contains("BIOS"),
        architecture: by_program.or_else(|| partitions.iter().find_map(partition_type::root_architecture)),
    })
}

/// The partition's filesystem, if it is one that can be entered.
fn open(partition: &Partition, slice: image::Slice, problems: &mut Vec<String>) -> Option<Volume> {
    let kind = partition.filesystem.as_ref()?.kind;
    let opened = match kind {
        "vfat" => Volume::fat(partition.number, slice),
        "ext2" | "ext3" | "ext4" => Volume::ext4(partition.number, slice),
        _ => return None,
    };
    opened.map_err(|error| problems.push(format!("{} cannot be read as {kind}: {error}", partition.name()))).ok()
}
