//! syslinux on /boot: its file is laid out before its bytes are known, because they say where it lies.

use super::DiskError;
use super::compose::written;
use crate::bootloader::SyslinuxCode;
use crate::ext4::{self, From};
use crate::plan::{PlannedPartition, SECTOR};
use crate::syslinux::{self, Partition, Volume};

const FILE: &str = "ldlinux.sys";
/// Where the file would lie in the spool, behind all that is there.
const RESERVED: u64 = 1 << 62;

/// The filesystem with `ldlinux.sys` in its directory, and the partition's boot sector.
pub fn with_syslinux(
    options: &ext4::Options,
    geometry: &ext4::Geometry,
    tree: &ext4::Tree,
    code: &SyslinuxCode,
    partition: &PlannedPartition,
) -> Result<Vec<ext4::Extent>, DiskError> {
    let mut tree = tree.clone();
    reserve(&mut tree, code)?;
    let mut extents = written("/boot", options, geometry, &tree)?;
    let sectors = sectors(&extents);
    let file = syslinux::patch(&code.loader.ldlinux_sys, &sectors, &code.directory)?;
    fill(&mut extents, &file);
    let place = Partition { first_sector: partition.first_lba, sectors: partition.sectors, volume: Volume::Ext4 };
    let first = sectors.first().copied().unwrap_or_default();
    let boot_sector = syslinux::boot_sector(&code.loader, &place, first, &[0; syslinux::SECTOR])?;
    put_boot_sector(&mut extents, &boot_sector);
    Ok(extents)
}

/// Adds the file with its length, owned and dated as its directory.
fn reserve(tree: &mut ext4::Tree, code: &SyslinuxCode) -> Result<(), DiskError> {
    let number = tree.inodes.len();
    let mut at = 0;
    for name in code.directory.split('/').filter(|name| !name.is_empty()) {
        let ext4::Kind::Directory(entries) = &tree.inodes[at].kind else { break };
        let child = entries.iter().find(|(entry, _)| entry == name.as_bytes());
        at = child.ok_or(DiskError::NoLoaderDirectory)?.1;
    }
    let len = syslinux::file_bytes(&code.loader.ldlinux_sys) as u64; // usize is at most 64 bits
    let kind = ext4::Kind::Regular(ext4::Data::source(RESERVED, len));
    let file = ext4::Inode { kind, permissions: 0o400, ..tree.inodes[at].clone() };
    match &mut tree.inodes[at].kind {
        ext4::Kind::Directory(entries) => entries.push((FILE.into(), number)),
        _ => return Err(DiskError::NoLoaderDirectory),
    }
    tree.inodes.push(file);
    Ok(())
}

/// The file's place in an extent: from which of its bytes on.
fn offset(extent: &ext4::Extent) -> Option<u64> {
    match extent.from {
        From::Source(at) => at.checked_sub(RESERVED),
        From::Bytes(_) => None,
    }
}

/// The partition's sector for each of the file's, in the file's order.
fn sectors(extents: &[ext4::Extent]) -> Vec<u64> {
    let mut runs: Vec<(u64, u64, u64)> =
        extents.iter().filter_map(|extent| Some((offset(extent)?, extent.at, extent.len))).collect();
    runs.sort_unstable();
    runs.iter().flat_map(|(_, at, len)| (at / SECTOR)..(at + len).div_ceil(SECTOR)).collect()
}

fn fill(extents: &mut [ext4::Extent], file: &[u8]) {
    for extent in extents {
        // The file is in memory, so its offsets fit a usize.
        if let Some(from) = offset(extent).and_then(|from| usize::try_from(from).ok()) {
            let end = (from + extent.len as usize).min(file.len());
            extent.from = From::Bytes(file[from.min(end)..end].into());
        }
    }
}

/// The first 1024 bytes of ext4 belong to a loader; where metadata begins, they are part of its extent.
fn put_boot_sector(extents: &mut Vec<ext4::Extent>, boot_sector: &[u8; syslinux::SECTOR]) {
    let len = boot_sector.len() as u64; // 512
    match extents.first_mut() {
        Some(ext4::Extent { at: 0, from: From::Bytes(bytes), .. }) if bytes.len() >= boot_sector.len() => {
            let mut with = bytes.to_vec();
            with[..boot_sector.len()].copy_from_slice(boot_sector);
            *bytes = with.into();
        }
        _ => extents.insert(0, ext4::Extent { at: 0, len, from: From::Bytes(boot_sector.as_slice().into()) }),
    }
}
