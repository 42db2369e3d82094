//! How large clusters and FATs are for a volume of a given size. FAT32 always, whatever the size.

use super::boot_sector::RESERVED_SECTORS;
use super::{Cluster, Error};

/// Bytes of a sector. Every firmware reads 512.
pub const SECTOR: u32 = 512;
/// Both FATs are written, as every formatter does.
pub const FATS: u32 = 2;
/// Below 65525 clusters a volume counts as FAT16. The spec advises to stay 16 clusters away from that border, because
/// much FAT code misses it by a few.
const LEAST_CLUSTERS: u32 = 65_525 + 16;
/// Entries of a FAT in one sector.
const ENTRIES_PER_SECTOR: u64 = SECTOR as u64 / 4;

/// Sizes and places of the areas of one volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub total_sectors: u32,
    pub sectors_per_cluster: u8,
    pub fat_sectors: u32,
    /// Clusters of the data area; the last one has the number `clusters + 1`.
    pub clusters: u32,
}

impl Geometry {
    /// The geometry of a volume of `size` bytes, or why there is none.
    pub fn choose(size: u64) -> Result<Self, Error> {
        if !size.is_multiple_of(u64::from(SECTOR)) {
            return Err(Error::SizeNotWholeSectors { size });
        }
        let most = u64::from(u32::MAX) * u64::from(SECTOR);
        let total_sectors =
            u32::try_from(size / u64::from(SECTOR)).map_err(|_| Error::TooLargeForFat32 { size, most })?;
        let geometry = Self::of_sectors(total_sectors);
        match geometry {
            Some(geometry) if geometry.clusters >= LEAST_CLUSTERS => Ok(geometry),
            _ => Err(Error::TooSmallForFat32 { size, least: least_size() }),
        }
    }

    fn of_sectors(total_sectors: u32) -> Option<Self> {
        let sectors_per_cluster = sectors_per_cluster(total_sectors);
        let fat_sectors = fat_sectors(total_sectors, sectors_per_cluster)?;
        let before_data = u32::from(RESERVED_SECTORS) + FATS * fat_sectors;
        let data_sectors = total_sectors.checked_sub(before_data)?;
        Some(Self {
            total_sectors,
            sectors_per_cluster,
            fat_sectors,
            clusters: data_sectors / u32::from(sectors_per_cluster),
        })
    }

    /// Bytes of a cluster.
    pub fn cluster_bytes(&self) -> u32 {
        u32::from(self.sectors_per_cluster) * SECTOR
    }

    /// Byte at which the given FAT (0 or 1) starts.
    pub fn fat_at(&self, fat: u32) -> u64 {
        let sector = u64::from(RESERVED_SECTORS) + u64::from(fat) * u64::from(self.fat_sectors);
        sector * u64::from(SECTOR)
    }

    /// Byte at which a cluster starts.
    pub fn cluster_at(&self, cluster: Cluster) -> u64 {
        let index = u64::from(cluster.0 - Cluster::FIRST.0);
        self.fat_at(FATS) + index * u64::from(self.cluster_bytes())
    }
}

/// The table of the spec ("DskTableFAT32"), which mkfs.fat follows too.
fn sectors_per_cluster(total_sectors: u32) -> u8 {
    match total_sectors {
        0..=532_480 => 1,              // to 260 MiB
        532_481..=16_777_216 => 8,     // to 8 GiB
        16_777_217..=33_554_432 => 16, // to 16 GiB
        33_554_433..=67_108_864 => 32, // to 32 GiB
        67_108_865..=u32::MAX => 64,
    }
}

/// The smallest FAT that has an entry for each cluster left beside the FATs, rounded up to whole clusters so that the
/// data area, like the reserved one, keeps clusters aligned.
fn fat_sectors(total_sectors: u32, sectors_per_cluster: u8) -> Option<u32> {
    let per_cluster = u64::from(sectors_per_cluster);
    let shared = u64::from(total_sectors.checked_sub(u32::from(RESERVED_SECTORS))?);
    // entries >= clusters + 2, with clusters = (shared - FATS * fat) / per_cluster
    let fat = (shared + 2 * per_cluster).div_ceil(ENTRIES_PER_SECTOR * per_cluster + u64::from(FATS));
    u32::try_from(fat.next_multiple_of(per_cluster)).ok()
}

fn least_size() -> u64 {
    let clusters = u64::from(LEAST_CLUSTERS);
    let fat = (clusters + 2).div_ceil(ENTRIES_PER_SECTOR);
    (u64::from(RESERVED_SECTORS) + u64::from(FATS) * fat + clusters) * u64::from(SECTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_size_is_accepted_and_one_sector_less_is_not() {
        let least = least_size();
        assert_eq!(Geometry::choose(least).unwrap().clusters, LEAST_CLUSTERS);
        assert!(matches!(
            Geometry::choose(least - 512),
            Err(Error::TooSmallForFat32 { least: l, .. }) if l == least
        ));
    }

    #[test]
    fn every_size_has_a_fat_for_all_clusters_and_no_cluster_past_the_end() {
        for mib in [34, 64, 260, 261, 512, 8192, 8193, 20_000, 40_000, 2_097_151] {
            let geometry = Geometry::choose(mib << 20).unwrap();
            assert!(u64::from(geometry.fat_sectors) * ENTRIES_PER_SECTOR >= u64::from(geometry.clusters) + 2);
            assert!(geometry.cluster_at(Cluster(geometry.clusters + 2)) <= mib << 20);
            assert_eq!(geometry.cluster_at(Cluster::FIRST) % u64::from(geometry.cluster_bytes()).min(16384), 0);
        }
    }
}
