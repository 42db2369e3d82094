//! A foreign FAT volume: its geometry, checked once, and its chains, never longer than the volume.
//!
//! Spec: "Determination of FAT type when mounting the volume". What the directories say is in [`super::read`].

use std::io::{Read, Seek, SeekFrom};

use zerocopy::FromBytes;

use super::boot_sector::{BiosParameterBlock, ExtendedBlock, Fat32Block, SIGNATURE};
use super::entry::SLOT;
use super::{Cluster, Error};

/// A directory ends at 65536 slots.
const LONGEST_DIRECTORY: u64 = 65_536 * SLOT as u64;
/// Beyond this many bytes of directories a volume is not searched: chains may run into one another.
const DIRECTORY_BUDGET: u64 = 64 << 20;

/// Width of a FAT entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// Where a directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The root of FAT12 and FAT16.
    Fixed {
        at: u64,
        bytes: u64,
    },
    Chain(Cluster),
}

/// An opened volume.
pub struct Volume<R> {
    disk: R,
    width: Width,
    fat_at: u64,
    data_at: u64,
    cluster_bytes: u64,
    clusters: u32,
    directory_budget: u64,
    pub root: Place,
    pub extended: ExtendedBlock,
}

/// Places and sizes of the areas in bytes, and how many clusters there are.
struct Areas {
    fat_at: u64,
    fat_bytes: u64,
    /// The fixed root directory; empty on FAT32.
    root: Place,
    data_at: u64,
    cluster_bytes: u64,
    clusters: u64,
}

impl Areas {
    /// The areas of a checked parameter block. Products of its fields fit 64 bits by their widths.
    fn of(bpb: &BiosParameterBlock, fat_sectors: u64) -> Result<Self, Error> {
        let sector = u64::from(bpb.byts_per_sec);
        let fat_at = u64::from(bpb.rsvd_sec_cnt) * sector;
        let fat_bytes = fat_sectors * sector;
        let at = fat_at + u64::from(bpb.num_fats) * fat_bytes;
        let bytes = u64::from(bpb.root_ent_cnt) * SLOT as u64;
        let data_at = at + bytes.next_multiple_of(sector);
        let cluster_bytes = u64::from(bpb.sec_per_clus) * sector;
        let data = (total_sectors(bpb) * sector).checked_sub(data_at);
        let data = data.ok_or(Error::NotFat("its areas are larger than the whole"))?;
        Ok(Self {
            fat_at,
            fat_bytes,
            root: Place::Fixed { at, bytes },
            data_at,
            cluster_bytes,
            clusters: data / cluster_bytes,
        })
    }
}

impl<R: Read + Seek> Volume<R> {
    /// Reads and checks the boot sector at byte 0 of `disk`.
    pub fn open(mut disk: R) -> Result<Self, Error> {
        let mut sector = [0; 512];
        disk.seek(SeekFrom::Start(0))?;
        disk.read_exact(&mut sector)?;
        if sector[510..] != SIGNATURE {
            return Err(Error::NotFat("no signature at byte 510"));
        }
        Self::of_boot_sector(disk, &sector)
    }

    fn of_boot_sector(disk: R, sector: &[u8; 512]) -> Result<Self, Error> {
        // OK to unwrap, here and below: all three lie in the first 90 of 512 bytes.
        let (bpb, rest) = BiosParameterBlock::read_from_prefix(sector).unwrap();
        let (fat32, rest32) = Fat32Block::read_from_prefix(rest).unwrap();
        check(&bpb)?;
        let is_fat32 = bpb.fat_sz16 == 0;
        let (fat_sectors, extended) = match is_fat32 {
            true => (u64::from(fat32.fat_sz32), rest32),
            false => (u64::from(bpb.fat_sz16), rest),
        };
        let areas = Areas::of(&bpb, fat_sectors)?;
        let width = match areas.clusters {
            _ if is_fat32 => Width::Fat32,
            0..4085 => Width::Fat12,
            _ => Width::Fat16,
        };
        let root = match width {
            Width::Fat32 => Place::Chain(Cluster(fat32.root_clus.get())),
            _ => areas.root,
        };
        Ok(Self {
            disk,
            width,
            fat_at: areas.fat_at,
            data_at: areas.data_at,
            cluster_bytes: areas.cluster_bytes,
            clusters: width.clusters_within(areas.clusters, areas.fat_bytes)?,
            directory_budget: DIRECTORY_BUDGET,
            root,
            extended: ExtendedBlock::read_from_prefix(extended).unwrap().0,
        })
    }

    /// All bytes of a directory, the unused end included.
    pub fn directory(&mut self, place: Place) -> Result<Vec<u8>, Error> {
        match place {
            Place::Fixed { at, bytes } => self.bytes_at(at, bytes),
            Place::Chain(first) => {
                let most = LONGEST_DIRECTORY.div_ceil(self.cluster_bytes);
                let chain = self.chain(first, most)?;
                let bytes = chain.len() as u64 * self.cluster_bytes;
                let left = self.directory_budget.checked_sub(bytes);
                self.directory_budget = left.ok_or(Error::Damaged("its directories are longer than 64 MiB"))?;
                self.clusters(&chain, bytes)
            }
        }
    }

    /// The first `size` bytes of a file.
    pub fn file(&mut self, first: Cluster, size: u64) -> Result<Vec<u8>, Error> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let need = size.div_ceil(self.cluster_bytes);
        if need > u64::from(self.clusters) {
            return Err(Error::Damaged("a file is larger than the volume"));
        }
        let chain = self.chain(first, need)?;
        if (chain.len() as u64) < need {
            return Err(Error::Damaged("the chain of a file is shorter than the file"));
        }
        self.clusters(&chain, size)
    }

    /// The clusters of a chain, at most `most` of them; a longer chain is cut there.
    fn chain(&mut self, first: Cluster, most: u64) -> Result<Vec<Cluster>, Error> {
        let mut chain = Vec::new();
        let mut next = Some(self.checked(Cluster(0), first.0)?);
        while let Some(cluster) = next
            && (chain.len() as u64) < most
        {
            chain.push(cluster);
            next = self.after(cluster)?;
        }
        Ok(chain)
    }

    /// The cluster after this one, if the chain goes on.
    fn after(&mut self, cluster: Cluster) -> Result<Option<Cluster>, Error> {
        let number = u64::from(cluster.0);
        let mut entry = [0; 4];
        let (offset, bytes) = match self.width {
            Width::Fat12 => (number * 3 / 2, 2),
            Width::Fat16 => (number * 2, 2),
            Width::Fat32 => (number * 4, 4),
        };
        self.disk.seek(SeekFrom::Start(self.fat_at + offset))?;
        self.disk.read_exact(&mut entry[..bytes])?;
        let (next, end) = self.width.value(cluster, u32::from_le_bytes(entry));
        if next >= end {
            return Ok(None);
        }
        self.checked(cluster, next).map(Some)
    }

    fn checked(&self, cluster: Cluster, next: u32) -> Result<Cluster, Error> {
        if (Cluster::FIRST.0..self.clusters + 2).contains(&next) {
            return Ok(Cluster(next));
        }
        Err(Error::BadChain { cluster: cluster.0, next, clusters: self.clusters })
    }

    /// The first `size` bytes of a chain that has as many; neighbours are read at once.
    fn clusters(&mut self, chain: &[Cluster], size: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        for run in chain.chunk_by(|a, b| a.0 + 1 == b.0) {
            let at = self.data_at + u64::from(run[0].0 - Cluster::FIRST.0) * self.cluster_bytes;
            let left = size - bytes.len() as u64;
            let length = left.min(run.len() as u64 * self.cluster_bytes);
            bytes.append(&mut self.bytes_at(at, length)?);
        }
        Ok(bytes)
    }

    /// Exactly `length` bytes; memory grows with what is really there.
    fn bytes_at(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.disk.seek(SeekFrom::Start(at))?;
        let read = self.disk.by_ref().take(length).read_to_end(&mut bytes)?;
        if (read as u64) < length {
            return Err(Error::Damaged("it is cut short"));
        }
        Ok(bytes)
    }
}

impl Width {
    /// The number of clusters, if the FAT has an entry for each and their numbers fit the width.
    fn clusters_within(self, clusters: u64, fat_bytes: u64) -> Result<u32, Error> {
        let (bits, most) = match self {
            Self::Fat12 => (12, 0xff4),
            Self::Fat16 => (16, 0xfff4),
            Self::Fat32 => (32, 0x0fff_fff4),
        };
        let entries = fat_bytes * 8 / bits;
        match u32::try_from(clusters) {
            Ok(clusters) if clusters <= most && u64::from(clusters) + 2 <= entries => Ok(clusters),
            _ => Err(Error::NotFat("its FAT is too small for its clusters")),
        }
    }

    /// The entry of `cluster` out of the bytes read for it, and the least value that ends a chain.
    fn value(self, cluster: Cluster, raw: u32) -> (u32, u32) {
        match self {
            Self::Fat12 if cluster.0.is_multiple_of(2) => (raw & 0xfff, 0xff8),
            Self::Fat12 => (raw >> 4, 0xff8),
            Self::Fat16 => (raw, 0xfff8),
            Self::Fat32 => (raw & 0x0fff_ffff, 0x0fff_fff8),
        }
    }
}

/// The fields that others are multiplied or divided by.
fn check(bpb: &BiosParameterBlock) -> Result<(), Error> {
    if !matches!(bpb.byts_per_sec.get(), 512 | 1024 | 2048 | 4096) {
        return Err(Error::NotFat("bytes per sector are not 512, 1024, 2048 or 4096"));
    }
    if !bpb.sec_per_clus.is_power_of_two() {
        return Err(Error::NotFat("sectors per cluster are not a power of two"));
    }
    if bpb.rsvd_sec_cnt == 0 || bpb.num_fats == 0 {
        return Err(Error::NotFat("no reserved sector or no FAT"));
    }
    Ok(())
}

fn total_sectors(bpb: &BiosParameterBlock) -> u64 {
    match bpb.tot_sec16.get() {
        0 => u64::from(bpb.tot_sec32),
        sectors => u64::from(sectors),
    }
}
