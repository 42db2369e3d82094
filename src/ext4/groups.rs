//! Closes a filesystem: bitmaps, group descriptors and superblocks, once every block and inode has its place.

use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use super::allocate::Allocator;
use super::bitmap::{BITS, Bitmap};
use super::checksum::Seed;
use super::geometry::{BLOCKS_PER_GROUP, Geometry, has_super};
use super::group_descriptor::{BLOCK_UNINIT, GroupCounts, GroupDescriptor, INODE_UNINIT, INODE_ZEROED};
use super::layout::{Layout, Run};
use super::output::Output;
use super::superblock::{SuperBlock, Totals};
use super::tree::Options;
use super::{BLOCK_BYTES, BLOCK_SIZE};

/// The superblock of group 0 leaves the first 1024 bytes of its block to boot loaders.
const SUPERBLOCK_AT: u64 = 1024;

/// What is in use when nothing more will be added.
pub struct Groups<'a> {
    pub geometry: &'a Geometry,
    pub layout: &'a Layout,
    pub seed: Seed,
    /// Increasing and disjoint.
    used: Vec<Run>,
    /// The highest inode number in use; all below it are in use too.
    last_inode: u32,
    /// Directories of each group.
    directories: Vec<u16>,
}

impl<'a> Groups<'a> {
    pub fn new(
        geometry: &'a Geometry,
        layout: &'a Layout,
        allocator: &Allocator,
        last_inode: u32,
        seed: Seed,
    ) -> Groups<'a> {
        let mut used: Vec<Run> = layout.fixed.iter().copied().chain(allocator.given()).collect();
        used.sort_unstable_by_key(|run| run.start);
        let directories = vec![0; layout.groups.len()];
        Groups { geometry, layout, seed, used, last_inode, directories }
    }

    /// Counts a directory for the group of its inode.
    pub fn add_directory(&mut self, inode: u32) {
        self.directories[((inode - 1) / self.geometry.inodes_per_group) as usize] += 1;
    }

    /// Writes everything that this module is about.
    pub fn write(&self, options: &Options, journal: [U32; 17], output: &mut Output) {
        let mut counts: Vec<GroupCounts> = (0..self.geometry.groups).map(|group| self.counts(group)).collect();
        self.write_block_bitmaps(&mut counts, output);
        self.write_inode_bitmaps(&mut counts, output);
        let totals = Totals {
            free_blocks: counts.iter().map(|group| u32::from(group.free_blocks)).sum(),
            free_inodes: counts.iter().map(|group| u32::from(group.free_inodes)).sum(),
            journal,
        };
        self.write_superblocks(&SuperBlock::new(options, self.geometry, &totals), &counts, output);
    }

    fn counts(&self, group: u32) -> GroupCounts {
        let inodes = self.geometry.inodes_per_group;
        let used_inodes = self.used_inodes(group);
        let used_blocks: u32 = self.used_in(group).map(|run| run.len).sum();
        // 32768 at most, all of them.
        let free_inodes = (inodes - used_inodes) as u16;
        GroupCounts {
            free_blocks: (self.geometry.group_blocks(group) - used_blocks) as u16,
            free_inodes,
            used_directories: self.directories[group as usize],
            // Inodes are used from the first on, so the free ones are those after the last.
            unused_inodes: free_inodes,
            flags: self.flags(group, used_blocks == 0, used_inodes == 0),
            ..GroupCounts::default()
        }
    }

    fn flags(&self, group: u32, no_block: bool, no_inode: bool) -> u16 {
        // libext2fs wants the bitmap of the last group on disk, since that may be shorter.
        let computable = no_block && !has_super(group) && group + 1 != self.geometry.groups;
        INODE_ZEROED | if no_inode { INODE_UNINIT } else { 0 } | if computable { BLOCK_UNINIT } else { 0 }
    }

    fn used_inodes(&self, group: u32) -> u32 {
        let inodes = self.geometry.inodes_per_group;
        self.last_inode.saturating_sub(group * inodes).min(inodes)
    }

    /// Used blocks of a group, counted from its first.
    fn used_in(&self, group: u32) -> impl Iterator<Item = Run> {
        let start = group * BLOCKS_PER_GROUP;
        let end = start + self.geometry.group_blocks(group);
        let first = self.used.partition_point(|run| run.end() <= start);
        self.used[first..].iter().take_while(move |run| run.start < end).map(move |run| {
            let from = run.start.max(start);
            Run { start: from - start, len: run.end().min(end) - from }
        })
    }

    fn write_block_bitmaps(&self, counts: &mut [GroupCounts], output: &mut Output) {
        for ((group, at), counts) in (0..).zip(&self.layout.groups).zip(counts) {
            if counts.flags & BLOCK_UNINIT == 0 {
                let mut bitmap = Bitmap::new();
                self.used_in(group).for_each(|run| bitmap.set(run.start, run.end()));
                bitmap.set(self.geometry.group_blocks(group), BITS); // beyond the filesystem
                counts.block_bitmap_checksum = self.seed.checksum(&bitmap.0);
                output.metadata(at.block_bitmap, &bitmap.0);
            }
        }
    }

    fn write_inode_bitmaps(&self, counts: &mut [GroupCounts], output: &mut Output) {
        let inodes = self.geometry.inodes_per_group;
        for ((group, at), counts) in (0..).zip(&self.layout.groups).zip(counts) {
            if counts.flags & INODE_UNINIT == 0 {
                let mut bitmap = Bitmap::new();
                bitmap.set(0, self.used_inodes(group));
                bitmap.set(inodes, BITS);
                // Only the bits that stand for inodes count here, other than in block bitmaps.
                counts.inode_bitmap_checksum = self.seed.checksum(&bitmap.0[..inodes as usize / 8]);
                output.metadata(at.inode_bitmap, &bitmap.0);
            }
        }
    }

    fn write_superblocks(&self, superblock: &SuperBlock, counts: &[GroupCounts], output: &mut Output) {
        let descriptors: Vec<GroupDescriptor> = (0..)
            .zip(&self.layout.groups)
            .zip(counts)
            .map(|((group, at), counts)| GroupDescriptor::new(group, *at, *counts, self.seed))
            .collect();
        let mut table = descriptors.as_bytes().to_vec();
        table.resize(self.geometry.descriptor_blocks as usize * BLOCK_BYTES, 0);
        for group in self.geometry.super_groups() {
            let start = self.geometry.super_run(group).start;
            let at = if group == 0 { SUPERBLOCK_AT } else { u64::from(start) * BLOCK_SIZE };
            output.bytes(at, superblock.of_group(group).as_bytes().into());
            output.metadata(start + 1, &table);
        }
    }
}
