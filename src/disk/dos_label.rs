//! A DOS label: the disk's signature and four entries in the first sector, and room for a loader behind it.

use super::{DiskError, Extent, From};
use crate::grub_pc::CODE;
use crate::plan::{DiskPlan, PlannedPartition, SECTOR};

const SIGNATURE_AT: usize = 440;
const ENTRIES_AT: usize = 446;
const ENTRY: usize = 16;
const ACTIVE: u8 = 0x80;
/// Heads and sectors of the geometry that BIOSes pretend to have for large disks.
const HEADS: u64 = 255;
const SECTORS: u64 = 63;

/// The first sector, with `code` at its beginning.
pub fn dos_label(plan: &DiskPlan, code: Option<[u8; CODE]>) -> Result<Vec<Extent>, DiskError> {
    let mut sector = [0; SECTOR as usize]; // 512
    sector[..CODE].copy_from_slice(&code.unwrap_or([0; CODE]));
    let signature = plan.disk_signature.unwrap_or_default();
    sector[SIGNATURE_AT..SIGNATURE_AT + 4].copy_from_slice(&signature.to_le_bytes());
    let slots = sector[ENTRIES_AT..ENTRIES_AT + 4 * ENTRY].chunks_exact_mut(ENTRY);
    for (slot, partition) in slots.zip(&plan.partitions) {
        slot.copy_from_slice(&entry(partition)?);
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    Ok(vec![Extent { at: 0, len: SECTOR, from: From::Bytes(sector.as_slice().into()) }])
}

/// {active, first sector by geometry, type, last sector by geometry, first sector u32, sectors u32}.
fn entry(partition: &PlannedPartition) -> Result<[u8; ENTRY], DiskError> {
    let word = |sectors: u64| {
        let too_far = |_| DiskError::PartitionTable(format!("sector {sectors} is beyond what a DOS label reaches"));
        u32::try_from(sectors).map(u32::to_le_bytes).map_err(too_far)
    };
    let mut entry = [0; ENTRY];
    entry[0] = if partition.is_legacy_bootable() { ACTIVE } else { 0 };
    entry[1..4].copy_from_slice(&by_geometry(partition.first_lba));
    entry[4] = partition.dos_type();
    entry[5..8].copy_from_slice(&by_geometry(partition.first_lba + partition.sectors - 1));
    entry[8..12].copy_from_slice(&word(partition.first_lba)?);
    entry[12..16].copy_from_slice(&word(partition.sectors)?);
    Ok(entry)
}

/// Head, sector with the cylinder's high bits, cylinder; the largest triple for what lies beyond cylinder 1023.
fn by_geometry(lba: u64) -> [u8; 3] {
    let (cylinder, head, sector) = (lba / (HEADS * SECTORS), lba / SECTORS % HEADS, lba % SECTORS + 1);
    if cylinder > 1023 {
        return [0xfe, 0xff, 0xff];
    }
    // Each value fits: head < 255, sector <= 63, cylinder < 1024.
    [head as u8, sector as u8 | (cylinder >> 8 << 6) as u8, cylinder as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_by_geometry_are_sfdisks() {
        for (lba, bytes) in [(2048, [0x20, 0x21, 0x00]), (0, [0, 1, 0]), (1 << 30, [0xfe, 0xff, 0xff])] {
            assert_eq!(by_geometry(lba), bytes);
        }
    }
}
