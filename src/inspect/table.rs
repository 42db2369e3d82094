//! The partition table: GPT (UEFI 2.10, chapter 5) through the `gpt` crate, or the four entries of a DOS label.

use gpt::disk::LogicalBlockSize;

use super::image::{Image, Slice};
use super::partition_type::{attributes, dos_type_name, gpt_type_name};
use super::{Partition, Table, TableKind};

const GPT_SIGNATURE: [u8; 8] = *b"EFI PART";
const ENTRY_SIZE: u32 = 128;
/// UEFI asks for room for 128; more than this many are no table that anybody made.
const MOST_ENTRIES: u32 = 1024;
const MBR_ENTRIES: u64 = 446;
const MBR_SIGNATURE: [u8; 2] = [0x55, 0xaa];
const DISK_SIGNATURE: u64 = 440;
const PROTECTIVE: u8 = 0xee;

/// The table and its partitions; without a table, the whole disk as partition 0.
pub fn read(image: &Image, problems: &mut Vec<String>) -> (Table, Vec<Partition>) {
    let disk = image.slice(0, image.size);
    for sector in [512, 4096] {
        if has_gpt(&disk, sector) {
            match gpt(&disk, sector, problems) {
                Ok(found) => return found,
                Err(error) => problems.push(format!("the GPT cannot be read: {error}")),
            }
        }
    }
    dos(&disk, problems).unwrap_or_else(|| (Table { kind: TableKind::None, id: None, sector: 512 }, vec![whole(&disk)]))
}

fn has_gpt(disk: &Slice, sector: u64) -> bool {
    let signature = |at: Option<u64>| at.and_then(|at| disk.bytes(at)) == Some(GPT_SIGNATURE);
    signature(Some(sector)) || signature(disk.len().checked_sub(sector))
}

fn gpt(disk: &Slice, sector: u64, problems: &mut Vec<String>) -> Result<(Table, Vec<Partition>), String> {
    for header in [Some(sector), disk.len().checked_sub(sector)].into_iter().flatten() {
        check_header(disk, header)?;
    }
    let block = if sector == 512 { LogicalBlockSize::Lb512 } else { LogicalBlockSize::Lb4096 };
    let config = gpt::GptConfig::new().logical_block_size(block);
    let gpt = config.open_from_device(disk.clone()).map_err(|error| error.to_string())?;
    check_copies(&gpt, disk.len() / sector, problems);
    let mut partitions = Vec::new();
    for (&number, entry) in gpt.partitions() {
        match gpt_partition(number, entry, sector) {
            Some(partition) => partitions.push(partition),
            None => problems.push(format!(
                "partition {number} goes from sector {} to {}, which is no stretch of a disk",
                entry.first_lba, entry.last_lba
            )),
        }
    }
    Ok((Table { kind: TableKind::Gpt, id: Some(gpt.guid().to_string()), sector }, partitions))
}

/// The crate panics over other entry sizes, and would read as many entries as the header says.
fn check_header(disk: &Slice, at: u64) -> Result<(), String> {
    if disk.bytes(at) != Some(GPT_SIGNATURE) {
        return Ok(());
    }
    let word = |offset| disk.bytes(at + offset).map_or(0, u32::from_le_bytes);
    match (word(80), word(84)) {
        (0..=MOST_ENTRIES, ENTRY_SIZE) => Ok(()),
        (entries, size) => Err(format!("its header at byte {at} speaks of {entries} entries of {size} bytes")),
    }
}

fn check_copies(gpt: &gpt::GptDisk<Slice>, sectors: u64, problems: &mut Vec<String>) {
    if let Err(error) = gpt.primary_header() {
        problems.push(format!("the GPT at the start of the disk is broken ({error}); this is read from the backup"));
    }
    let last = sectors.saturating_sub(1);
    let expected = gpt.primary_header().map(|header| header.backup_lba).ok();
    if let Some(expected) = expected.filter(|&expected| expected != last) {
        problems.push(format!(
            "the backup GPT is expected in sector {expected}, which is not the disk's last, {last}: the disk was resized"
        ));
    } else if let Err(error) = gpt.backup_header() {
        problems.push(format!("the backup GPT in the last sector, {last}, is missing or broken ({error})"));
    }
    let header = gpt.header();
    for (number, entry) in gpt.partitions() {
        if entry.first_lba < header.first_usable || entry.last_lba > header.last_usable {
            problems.push(format!(
                "partition {number} lies outside the sectors {} to {} that the GPT leaves for partitions",
                header.first_usable, header.last_usable
            ));
        }
    }
}

fn gpt_partition(number: u32, entry: &gpt::partition::Partition, sector: u64) -> Option<Partition> {
    let sectors = entry.last_lba.checked_sub(entry.first_lba)?.checked_add(1)?;
    let type_id = entry.part_type_guid.guid.to_string();
    Some(Partition {
        number,
        start: entry.first_lba.checked_mul(sector)?,
        bytes: sectors.checked_mul(sector)?,
        type_name: gpt_type_name(&type_id).to_owned(),
        attributes: attributes(entry.flags, &type_id),
        type_id,
        label: Some(entry.name.clone()).filter(|name| !name.is_empty()),
        uuid: Some(entry.part_guid.to_string()),
        filesystem: None,
    })
}

/// A FAT or NTFS volume ends its first sector alike, with text where the entries would be: then there is no label.
fn dos(disk: &Slice, problems: &mut Vec<String>) -> Option<(Table, Vec<Partition>)> {
    if disk.bytes(510)? != MBR_SIGNATURE {
        return None;
    }
    let entries: Vec<[u8; 16]> = (0..4).filter_map(|index| disk.bytes(MBR_ENTRIES + 16 * index)).collect();
    let credible =
        entries.iter().all(|entry| matches!(entry[0], 0 | 0x80)) && entries.iter().any(|entry| entry[4] != 0);
    if !credible {
        return None;
    }
    let signature = u32::from_le_bytes(disk.bytes(DISK_SIGNATURE)?);
    let partitions: Vec<Partition> =
        (1..).zip(&entries).filter_map(|(number, entry)| dos_partition(number, entry, signature)).collect();
    if partitions.iter().any(|partition| partition.type_id == "0x5" || partition.type_id == "0xf") {
        problems.push("there are logical partitions in the extended one, which are not shown".to_owned());
    }
    Some((Table { kind: TableKind::Dos, id: Some(format!("0x{signature:08x}")), sector: 512 }, partitions))
}

fn dos_partition(number: u32, entry: &[u8; 16], signature: u32) -> Option<Partition> {
    let [status, _, _, _, kind, _, _, _, a, b, c, d, e, f, g, h] = *entry;
    let (first, sectors) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    // A protective entry over a GPT that is gone is no partition.
    (kind != 0 && kind != PROTECTIVE && sectors != 0).then(|| Partition {
        number,
        start: u64::from(first) * 512,
        bytes: u64::from(sectors) * 512,
        type_name: dos_type_name(kind).to_owned(),
        type_id: format!("{kind:#x}"),
        label: None,
        uuid: Some(format!("{signature:08x}-{number:02x}")),
        attributes: if status == 0x80 { vec!["active".to_owned()] } else { Vec::new() },
        filesystem: None,
    })
}

fn whole(disk: &Slice) -> Partition {
    Partition {
        number: 0,
        start: 0,
        bytes: disk.len(),
        type_name: "whole disk".to_owned(),
        type_id: String::new(),
        label: None,
        uuid: None,
        attributes: Vec::new(),
        filesystem: None,
    }
}
