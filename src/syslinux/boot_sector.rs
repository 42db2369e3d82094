//! The first sector of the partition, which loads `ldlinux.sys`, and the disk's first sector, which loads that one.

use super::ldlinux_sys::first_sector_at;
use super::{Error, Loader, SECTOR};

/// The code area of the disk's first sector; a disk signature and the partition table follow.
pub const MBR_CODE: usize = 440;

/// The filesystem that the boot sector is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Leaves the first 1024 bytes to a loader.
    Ext4,
    /// Its own parameters are in the sector and stay.
    Fat32,
}

/// Where the filesystem lies, in sectors of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    pub first_sector: u64,
    pub sectors: u64,
    pub volume: Volume,
}

/// The partition's boot sector over what is there. `ldlinux_first` is the first sector of `ldlinux.sys` in the partition.
pub fn boot_sector(
    loader: &Loader,
    partition: &Partition,
    ldlinux_first: u64,
    existing: &[u8; SECTOR],
) -> Result<[u8; SECTOR], Error> {
    let mut sector = loader.boot_sector;
    let [low, high] = first_sector_at(&loader.ldlinux_sys)?;
    for (at, half) in [(low, ldlinux_first), (high, ldlinux_first >> 32)] {
        let half = (half as u32).to_le_bytes(); // the lower half of it
        let place = sector.get_mut(at..at + 4).ok_or(Error::Malformed("it names a place behind the boot sector"))?;
        place.copy_from_slice(&half);
    }
    match partition.volume {
        Volume::Ext4 => put_geometry(&mut sector, partition),
        // BIOS parameter block, FAT32 (fatgen103): jump and name before it, code behind it.
        Volume::Fat32 => sector[11..0x5a].copy_from_slice(&existing[11..0x5a]),
    }
    Ok(sector)
}

/// The parameters that a FAT volume would have there; the code reads the partition's place among them.
fn put_geometry(sector: &mut [u8; SECTOR], partition: &Partition) {
    let total = u32::try_from(partition.sectors).unwrap_or(u32::MAX);
    let small = u16::try_from(total).unwrap_or(0);
    let hidden = u32::try_from(partition.first_sector).unwrap_or(u32::MAX);
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    put(11, &512_u16.to_le_bytes());
    put(19, &small.to_le_bytes());
    put(24, &63_u16.to_le_bytes());
    put(26, &255_u16.to_le_bytes());
    put(28, &hidden.to_le_bytes());
    put(32, &total.to_le_bytes());
}

/// `mbr.bin` or `gptmbr.bin`, filled up to the code area. `file` names it in errors.
pub fn mbr_code(file: &str, bytes: &[u8]) -> Result<[u8; MBR_CODE], Error> {
    let too_long = || Error::MbrTooLong { file: file.to_owned(), bytes: bytes.len() };
    let mut code = [0; MBR_CODE];
    code.get_mut(..bytes.len()).ok_or_else(too_long)?.copy_from_slice(bytes);
    Ok(code)
}
