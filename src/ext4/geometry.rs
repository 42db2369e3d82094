//! The numbers of a filesystem, decided before anything is written: blocks, groups, inodes, journal, room to grow.
//!
//! The rules are those of mke2fs with 4 KiB blocks; what is placed where is in `layout`.

use super::bitmap::BITS;
use super::error::Error;
use super::layout::{Layout, Run};
use super::usage::Usage;
use super::{BLOCK_BYTES, BLOCK_SIZE};

pub const BLOCKS_PER_GROUP: u32 = BITS;
/// Groups whose metadata lies together; `s_log_groups_per_flex` is its logarithm, 4.
pub const FLEX_GROUPS: u32 = 16;
pub const INODE_BYTES: u32 = 256;
const INODES_PER_BLOCK: u32 = BLOCK_BYTES as u32 / INODE_BYTES; // 16
const DESCRIPTORS_PER_BLOCK: u32 = 64;
/// Block numbers in an indirect block, and so the most reserved descriptor blocks that the resize inode can hold.
pub const ADDRESSES_PER_BLOCK: u32 = 1024;
/// Inodes 1 to 10 are special, 11 is `lost+found`.
pub const RESERVED_INODES: u32 = 10;
/// mke2fs: one inode per 16 KiB.
const BLOCKS_PER_INODE: u64 = 4;
/// mke2fs: a filesystem is prepared to grow to this many times its size.
const GROWTH: u64 = 1024;
/// libext2fs: a last group with less than this beyond its own metadata is left off.
const LAST_GROUP_MIN_DATA: u32 = 50;

/// Everything decided about a filesystem; printable, and independent of names and contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub blocks: u32,
    pub groups: u32,
    pub inodes_per_group: u32,
    /// Blocks of group descriptors, in each copy.
    pub descriptor_blocks: u32,
    /// Blocks kept after them for the descriptors of later groups.
    pub reserved_descriptor_blocks: u32,
    /// 0: no journal.
    pub journal_blocks: u32,
}

impl Geometry {
    /// A filesystem of `bytes`, rounded down to blocks; a last group too small to be useful is left off. Errors when
    /// the tree does not fit.
    pub fn for_size(bytes: u64, usage: &Usage) -> Result<Geometry, Error> {
        // A quarter more inodes than the tree has, where one per 16 KiB is fewer.
        let geometry = Geometry::decide(bytes / BLOCK_SIZE, usage.inodes + usage.inodes / 4)?;
        geometry.holds(usage)?;
        Ok(geometry)
    }

    /// The smallest filesystem that is a multiple of `round_to` bytes (itself taken up to whole blocks) and has
    /// `free_bytes` and `free_inodes` left when the tree is in.
    pub fn smallest(usage: &Usage, free_bytes: u64, free_inodes: u64, round_to: u64) -> Result<Geometry, Error> {
        let step = round_to.div_ceil(BLOCK_SIZE).max(1);
        let free_blocks = free_bytes.div_ceil(BLOCK_SIZE);
        let inodes = usage.inodes.saturating_add(free_inodes);
        let mut blocks = (usage.blocks() + free_blocks).max(least_blocks(inodes)).next_multiple_of(step);
        loop {
            let missing = match Geometry::decide(blocks, inodes) {
                Ok(geometry) if u64::from(geometry.blocks) != blocks => 1,
                Ok(geometry) => (geometry.blocks_needed(usage) + free_blocks).saturating_sub(blocks),
                Err(Error::TooSmall { .. } | Error::NoInodes { .. }) => 1,
                Err(error) => return Err(error),
            };
            if missing == 0 {
                return Geometry::decide(blocks, inodes);
            }
            blocks += missing.next_multiple_of(step);
        }
    }

    /// The same filesystem with the journal's blocks free. For readers that do not replay it.
    pub fn without_journal(self) -> Geometry {
        Geometry { journal_blocks: 0, ..self }
    }

    fn decide(blocks: u64, inodes: u64) -> Result<Geometry, Error> {
        let whole = u32::try_from(blocks).map_err(|_| Error::TooLarge { blocks })?;
        let geometry = Geometry::with_blocks(whole, inodes)?;
        let last = geometry.group_blocks(geometry.groups - 1);
        let least = geometry.group_overhead(geometry.groups - 1) + LAST_GROUP_MIN_DATA;
        match (last >= least, geometry.groups) {
            (true, _) => Ok(geometry),
            (false, 1) => Err(Error::TooSmall { bytes: blocks * BLOCK_SIZE }),
            (false, _) => Geometry::with_blocks(whole - last, inodes),
        }
    }

    fn with_blocks(blocks: u32, inodes: u64) -> Result<Geometry, Error> {
        if blocks == 0 {
            return Err(Error::TooSmall { bytes: 0 });
        }
        let groups = blocks.div_ceil(BLOCKS_PER_GROUP);
        let descriptor_blocks = groups.div_ceil(DESCRIPTORS_PER_BLOCK);
        Ok(Geometry {
            blocks,
            groups,
            inodes_per_group: inodes_per_group(blocks, groups, inodes)?,
            descriptor_blocks,
            reserved_descriptor_blocks: reserved_descriptor_blocks(blocks, descriptor_blocks),
            journal_blocks: journal_blocks(blocks),
        })
    }

    pub fn size_bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_SIZE
    }

    pub fn inodes(&self) -> u64 {
        u64::from(self.groups) * u64::from(self.inodes_per_group)
    }

    pub fn inode_table_blocks(&self) -> u32 {
        self.inodes_per_group / INODES_PER_BLOCK
    }

    /// Blocks of a group; only the last may have fewer than 32768.
    pub fn group_blocks(&self, group: u32) -> u32 {
        BLOCKS_PER_GROUP.min(self.blocks - group * BLOCKS_PER_GROUP)
    }

    /// Groups with a superblock and descriptors: `sparse_super` keeps 0, 1 and the powers of 3, 5 and 7.
    pub fn super_groups(&self) -> impl Iterator<Item = u32> {
        (0..self.groups).filter(|&group| has_super(group))
    }

    /// Superblock, descriptors and their reserve in a group that has them.
    pub fn super_run(&self, group: u32) -> Run {
        let len = 1 + self.descriptor_blocks + self.reserved_descriptor_blocks;
        Run { start: group * BLOCKS_PER_GROUP, len }
    }

    fn group_overhead(&self, group: u32) -> u32 {
        let supers = if has_super(group) { self.super_run(group).len } else { 0 };
        2 + self.inode_table_blocks() + supers
    }

    /// `s_overhead_clusters`: what is never free, the journal included.
    pub fn overhead(&self) -> u32 {
        (0..self.groups).map(|group| self.group_overhead(group)).sum::<u32>() + self.journal_blocks
    }

    /// An upper bound of the blocks in use when a tree of this usage is in.
    pub fn blocks_needed(&self, usage: &Usage) -> u64 {
        // Every gap between fixed metadata may cut one file once more, which costs at most one block per tree level.
        let cuts = 3 * Layout::new(self).fixed.len() as u64; // a length
        let resize_inode = 1;
        u64::from(self.overhead()) + resize_inode + cuts + usage.blocks()
    }

    /// Whether a tree of this usage fits, as an error when not.
    pub fn holds(&self, usage: &Usage) -> Result<(), Error> {
        let (need, have) = (self.blocks_needed(usage), u64::from(self.blocks));
        if need > have {
            return Err(Error::NoSpace { need, have });
        }
        let (need, have) = (u64::from(RESERVED_INODES) + usage.inodes, self.inodes());
        if need > have { Err(Error::NoInodes { need, have, groups: u64::from(self.groups) }) } else { Ok(()) }
    }
}

pub fn has_super(group: u32) -> bool {
    let is_power_of = |base: u32| {
        let mut power = 1u64;
        while power < u64::from(group) {
            power *= u64::from(base);
        }
        power == u64::from(group)
    };
    group <= 1 || [3, 5, 7].into_iter().any(is_power_of)
}

/// Fewer blocks make too few groups for so many inodes.
fn least_blocks(inodes: u64) -> u64 {
    (inodes / u64::from(BITS)).saturating_mul(u64::from(BLOCKS_PER_GROUP)) + 1
}

fn inodes_per_group(blocks: u32, groups: u32, inodes: u64) -> Result<u32, Error> {
    let need = inodes.saturating_add(u64::from(RESERVED_INODES));
    let wanted = need.max(u64::from(blocks) / BLOCKS_PER_INODE);
    let per_group = wanted.div_ceil(u64::from(groups)).next_multiple_of(u64::from(INODES_PER_BLOCK));
    let have = u64::from(groups) * u64::from(BITS);
    match u32::try_from(per_group) {
        // `s_inodes_count` has 32 bits.
        Ok(count) if count <= BITS && per_group * u64::from(groups) <= u64::from(u32::MAX) => Ok(count),
        _ => Err(Error::NoInodes { need, have: have.min(u64::from(u32::MAX)), groups: u64::from(groups) }),
    }
}

fn reserved_descriptor_blocks(blocks: u32, descriptor_blocks: u32) -> u32 {
    let grown = (u64::from(blocks) * GROWTH).min(u64::from(u32::MAX));
    let descriptors = grown.div_ceil(u64::from(BLOCKS_PER_GROUP)).div_ceil(u64::from(DESCRIPTORS_PER_BLOCK));
    let descriptors = u32::try_from(descriptors).unwrap_or(u32::MAX); // at most 2048, from 2^32 blocks
    descriptors.saturating_sub(descriptor_blocks).min(ADDRESSES_PER_BLOCK)
}

/// mke2fs: the journal of a filesystem of so many blocks.
fn journal_blocks(blocks: u32) -> u32 {
    match blocks {
        0..2048 => 0,
        2048..32768 => 1024,
        32768..262_144 => 4096,
        262_144..524_288 => 8192,
        524_288..4_194_304 => 16384,
        4_194_304..8_388_608 => 32768,
        8_388_608..16_777_216 => 65536,
        16_777_216..33_554_432 => 131_072,
        _ => 262_144,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(data_blocks: u64, inodes: u64) -> Usage {
        Usage { inodes, data_blocks, ..Usage::default() }
    }

    #[test]
    fn a_4_gib_filesystem_has_the_numbers_mke2fs_gives_it() {
        let geometry = Geometry::for_size(4 << 30, &usage(1000, 1000)).unwrap();
        assert_eq!((geometry.groups, geometry.inodes_per_group), (32, 8192));
        assert_eq!((geometry.descriptor_blocks, geometry.reserved_descriptor_blocks), (1, 511));
        assert_eq!((geometry.journal_blocks, geometry.overhead()), (16384, 36936));
    }

    #[test]
    fn a_last_group_without_room_for_data_is_left_off() {
        let geometry = Geometry::for_size((128 << 20) + (1 << 20), &usage(1, 1)).unwrap();
        assert_eq!(geometry.size_bytes(), 128 << 20);
    }

    #[test]
    fn the_smallest_filesystem_has_the_free_space_asked_for_and_one_step_less_has_not() {
        for (data, free, inodes, free_inodes) in
            [(1, 0, 1, 0), (90_000, 1 << 28, 130_000, 130_000), (5_000_000, 1 << 30, 9, 0)]
        {
            let usage = usage(data, inodes);
            let geometry = Geometry::smallest(&usage, free, free_inodes, 1 << 20).unwrap();
            let left = geometry.size_bytes() - geometry.blocks_needed(&usage) * BLOCK_SIZE;
            assert!(left >= free && geometry.inodes() >= inodes + free_inodes + 10, "{geometry:?}");
            let less = Geometry::decide((geometry.size_bytes() - (1 << 20)) / BLOCK_SIZE, inodes + free_inodes);
            let less = less.map(|less| less.size_bytes().saturating_sub(less.blocks_needed(&usage) * BLOCK_SIZE));
            assert!(less.is_err() || less.unwrap() < free.max(1), "{geometry:?}");
        }
    }

    #[test]
    fn sixteen_tib_less_a_block_is_laid_out_and_a_block_more_is_refused() {
        let geometry = Geometry::for_size((1 << 44) - 4096, &usage(1 << 31, 1 << 20)).unwrap();
        assert_eq!((geometry.descriptor_blocks, geometry.reserved_descriptor_blocks), (2048, 0));
        let last = *Layout::new(&geometry).free(&geometry).last().unwrap();
        assert_eq!(last.end(), u32::MAX);
        assert_eq!(Geometry::for_size(1 << 44, &usage(1, 1)), Err(Error::TooLarge { blocks: 1 << 32 }));
    }

    #[test]
    fn more_inodes_than_a_bitmap_has_bits_make_the_filesystem_larger() {
        let geometry = Geometry::smallest(&usage(10, 100_000), 0, 0, 1 << 20).unwrap();
        assert!(geometry.groups >= 4 && geometry.inodes() >= 100_010);
    }

    #[test]
    fn backups_are_in_groups_1_and_powers_of_3_5_7() {
        let groups: Vec<u32> = (0..130).filter(|&group| has_super(group)).collect();
        assert_eq!(groups, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }
}
