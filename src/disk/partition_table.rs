//! The GPT with its protective MBR and its backup, through the `gpt` crate, as extents.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{OperatingSystem, Type};

use super::{DiskError, Extent, From};
use crate::grub_pc::CODE;
use crate::plan::{DiskPlan, SECTOR};

/// Bytes at the start of the disk, and again at its end, that belong to the table.
const TABLE: u64 = 34 * SECTOR;

/// The table's bytes: the first 34 sectors, with `code` at their beginning, and the last 33.
pub fn guid_partition_table(plan: &DiskPlan, code: Option<[u8; CODE]>) -> Result<Vec<Extent>, DiskError> {
    let failed = |error: &dyn std::fmt::Display| DiskError::PartitionTable(error.to_string());
    let mut ends = DiskEnds::new(plan.bytes);
    let last_lba = u32::try_from(plan.bytes / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(last_lba).overwrite_lba0(&mut ends).map_err(|error| failed(&error))?;
    let mut disk = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(&mut ends, plan.disk_guid)
        .map_err(|error| failed(&error))?;
    let partitions: BTreeMap<u32, Partition> = plan
        .partitions
        .iter()
        .map(|partition| {
            let entry = Partition {
                part_type_guid: Type { guid: partition.type_guid, os: OperatingSystem::None },
                part_guid: partition.part_guid,
                first_lba: partition.first_lba,
                last_lba: partition.first_lba + partition.sectors - 1,
                flags: partition.attributes,
                name: partition.label.clone(),
            };
            (partition.number, entry)
        })
        .collect();
    disk.update_partitions(partitions).map_err(|error| failed(&error))?;
    disk.write().map_err(|error| failed(&error))?;
    if let Some(code) = code {
        ends.head[..CODE].copy_from_slice(&code);
    }
    Ok(ends.extents())
}

/// A device that only has its first and last sectors; everything between reads as zero and cannot be written.
#[derive(Debug)]
struct DiskEnds {
    size: u64,
    position: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl DiskEnds {
    fn new(size: u64) -> DiskEnds {
        let blank = vec![0; TABLE as usize]; // 17408
        DiskEnds { size, position: 0, head: blank.clone(), tail: blank }
    }

    fn extents(self) -> Vec<Extent> {
        let tail_at = self.size - TABLE;
        let extent = |at, bytes: Vec<u8>| Extent { at, len: TABLE, from: From::Bytes(bytes.into()) };
        vec![extent(0, self.head), extent(tail_at, self.tail)]
    }

    /// The bytes from the current position to the end of the part it is in; `None` between the parts.
    fn here(&mut self) -> Option<&mut [u8]> {
        let tail_at = self.size - TABLE;
        if self.position < TABLE {
            return self.head.get_mut(usize::try_from(self.position).ok()?..);
        }
        let offset = self.position.checked_sub(tail_at)?;
        self.tail.get_mut(usize::try_from(offset).ok()?..)
    }
}

impl Read for DiskEnds {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = match self.here() {
            Some(here) => {
                let len = here.len().min(buf.len());
                buf[..len].copy_from_slice(&here[..len]);
                len
            }
            None => {
                buf.fill(0);
                buf.len()
            }
        };
        self.position += read as u64; // usize is at most 64 bits
        Ok(read)
    }
}

impl Write for DiskEnds {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let here = self.here().ok_or_else(|| io::Error::other("the partition table lies outside its place"))?;
        let len = here.len().min(buf.len());
        here[..len].copy_from_slice(&buf[..len]);
        self.position += len as u64; // usize is at most 64 bits
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for DiskEnds {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
