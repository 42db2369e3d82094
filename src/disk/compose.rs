//! From plan and trees to the disk's extents: the one place where filesystem leaves are called.

use std::collections::BTreeMap;

use super::dos_label::dos_label;
use super::partition_table::guid_partition_table;
use super::syslinux_file;
use super::{Disk, DiskError, Extent, From, Placement, filesystem_options};
use crate::bootloader::{BiosCode, SyslinuxCode};
use crate::layout::PartitionTable;
use crate::plan::{Content, DiskPlan, PlannedPartition, SECTOR};
use crate::seed::Seed;
use crate::tree::Seconds;
use crate::{ext4, fat, grub_pc};

/// What goes into the partitions.
pub struct Filesystems {
    pub root: ext4::Tree,
    pub boot: ext4::Tree,
    pub esp: BTreeMap<String, Vec<u8>>,
    /// GRUB for BIOS.
    pub bios: Option<BiosCode>,
    pub syslinux: Option<SyslinuxCode>,
    /// Where the contents that the trees name lie in the spool.
    pub placement: Placement,
}

/// Lays out every filesystem in its partition.
pub fn compose(plan: &DiskPlan, filesystems: &Filesystems, seed: &Seed, time: Seconds) -> Result<Disk, DiskError> {
    let mut extents = Vec::new();
    let mut code = None;
    for partition in &plan.partitions {
        match &partition.content {
            Content::BiosBoot => {
                let area = Area { first_lba: partition.first_lba, sectors: partition.sectors };
                if let Some(files) = &filesystems.bios {
                    extents.push(bios(area, files, &mut code)?);
                }
            }
            Content::Esp { volume_id, label } => {
                extents.extend(esp(partition, *volume_id, label, &filesystems.esp, time)?)
            }
            Content::Boot(planned) => {
                let options = filesystem_options(seed, "boot", planned.uuid, &planned.label, time, false);
                let written = match &filesystems.syslinux {
                    Some(syslinux) => {
                        code = Some(syslinux.mbr);
                        syslinux_file::with_syslinux(
                            &options,
                            &planned.geometry,
                            &filesystems.boot,
                            syslinux,
                            partition,
                        )?
                    }
                    None => written("/boot", &options, &planned.geometry, &filesystems.boot)?,
                };
                extents.extend(placed(partition, written, &filesystems.placement));
            }
            Content::Root(planned) => {
                let options = filesystem_options(seed, "root", planned.uuid, &planned.label, time, true);
                let written = written("root", &options, &planned.geometry, &filesystems.root)?;
                extents.extend(placed(partition, written, &filesystems.placement));
            }
        }
    }
    if let (PartitionTable::Dos, Some(files)) = (plan.partition_table, &filesystems.bios) {
        let gap = Area { first_lba: 1, sectors: plan.partitions[0].first_lba - 1 };
        extents.push(bios(gap, files, &mut code)?);
    }
    extents.extend(match plan.partition_table {
        PartitionTable::Gpt => guid_partition_table(plan, code)?,
        PartitionTable::Dos => dos_label(plan, code)?,
    });
    extents.sort_by_key(|extent| extent.at);
    Ok(Disk { bytes: plan.bytes, extents })
}

/// The extents of a filesystem; `what` names it in the error.
pub(super) fn written(
    what: &'static str,
    options: &ext4::Options,
    geometry: &ext4::Geometry,
    tree: &ext4::Tree,
) -> Result<Vec<ext4::Extent>, DiskError> {
    ext4::write(options, geometry, tree).map_err(|source| DiskError::Ext4 { what, source })
}

/// The extents of a filesystem as extents of the disk.
fn placed(partition: &PlannedPartition, written: Vec<ext4::Extent>, placement: &Placement) -> Vec<Extent> {
    written.into_iter().flat_map(|extent| at_partition(partition, extent, placement)).collect()
}

fn at_partition(partition: &PlannedPartition, extent: ext4::Extent, placement: &Placement) -> Vec<Extent> {
    let at = partition.at() + extent.at;
    match extent.from {
        ext4::From::Bytes(bytes) => vec![Extent { at, len: extent.len, from: From::Bytes(bytes) }],
        ext4::From::Source(ordered) => placement.spooled(at, extent.len, ordered),
    }
}

/// Sectors that GRUB for BIOS may fill.
struct Area {
    first_lba: u64,
    sectors: u64,
}

/// The loader in its place; what starts it goes to the first sector.
fn bios(area: Area, files: &BiosCode, code: &mut Option<[u8; grub_pc::CODE]>) -> Result<Extent, DiskError> {
    let embedded = grub_pc::embed(&files.boot, &files.core, area.first_lba, area.sectors)?;
    *code = Some(embedded.code);
    let len = embedded.core.len() as u64; // usize is at most 64 bits
    Ok(Extent { at: area.first_lba * SECTOR, len, from: From::Bytes(embedded.core.into()) })
}

fn esp(
    partition: &PlannedPartition,
    volume_id: u32,
    label: &str,
    files: &BTreeMap<String, Vec<u8>>,
    time: Seconds,
) -> Result<Vec<Extent>, DiskError> {
    let options = fat::Options {
        size: partition.bytes(),
        volume_id,
        label: label.to_owned(),
        time,
        hidden_sectors: u32::try_from(partition.at() / SECTOR).unwrap_or(u32::MAX),
    };
    let files: Vec<fat::File> =
        files.iter().map(|(path, bytes)| fat::File { path: path.clone(), bytes: bytes.as_slice().into() }).collect();
    let placed = |extent: fat::Extent| Extent {
        at: partition.at() + extent.at,
        len: extent.bytes.len() as u64, // usize is at most 64 bits
        from: From::Bytes(extent.bytes.into()),
    };
    Ok(fat::image(&options, &files)?.into_iter().map(placed).collect())
}
