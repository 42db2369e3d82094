//! Where the fixed metadata of every block group lies: superblocks, descriptors, bitmaps and inode tables.
//!
//! As mke2fs does with `flex_bg`: the bitmaps and tables of 16 groups lie together in the first of them.

use super::geometry::{BLOCKS_PER_GROUP, FLEX_GROUPS, Geometry};

/// Consecutive filesystem blocks, `len` of them from `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub start: u32,
    pub len: u32,
}

impl Run {
    pub fn end(self) -> u32 {
        self.start + self.len
    }
}

/// First blocks of what a group descriptor points to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupLayout {
    pub block_bitmap: u32,
    pub inode_bitmap: u32,
    pub inode_table: u32,
}

/// Every block that is spoken for before the first file comes.
#[derive(Debug)]
pub struct Layout {
    pub groups: Vec<GroupLayout>,
    /// Increasing, disjoint.
    pub fixed: Vec<Run>,
}

impl Layout {
    pub fn new(geometry: &Geometry) -> Layout {
        let supers: Vec<Run> = geometry.super_groups().map(|group| geometry.super_run(group)).collect();
        let mut layout = Layout { groups: Vec::new(), fixed: supers.clone() };
        let firsts = (0..geometry.groups).step_by(FLEX_GROUPS as usize); // 16
        firsts.for_each(|first| layout.place_flex_group(geometry, &supers, first));
        layout.fixed.sort_unstable_by_key(|run| run.start);
        layout
    }

    fn place_flex_group(&mut self, geometry: &Geometry, supers: &[Run], first: u32) {
        let members = FLEX_GROUPS.min(geometry.groups - first);
        let mut place = Placer { next: first * BLOCKS_PER_GROUP, supers, taken: &mut self.fixed };
        let block_bitmaps: Vec<u32> = (0..members).map(|_| place.take(1)).collect();
        let inode_bitmaps: Vec<u32> = (0..members).map(|_| place.take(1)).collect();
        let inode_tables: Vec<u32> = (0..members).map(|_| place.take(geometry.inode_table_blocks())).collect();
        let groups = block_bitmaps.into_iter().zip(inode_bitmaps).zip(inode_tables);
        self.groups.extend(groups.map(|((block_bitmap, inode_bitmap), inode_table)| GroupLayout {
            block_bitmap,
            inode_bitmap,
            inode_table,
        }));
    }

    /// What lies between the fixed runs.
    pub fn free(&self, geometry: &Geometry) -> Vec<Run> {
        let starts = std::iter::once(0).chain(self.fixed.iter().map(|run| run.end()));
        let ends = self.fixed.iter().map(|run| run.start).chain([geometry.blocks]);
        let gaps = starts.zip(ends).filter(|(start, end)| start < end);
        gaps.map(|(start, end)| Run { start, len: end - start }).collect()
    }
}

/// Walks forward through a flex group and steps over backup superblocks, so that no table is cut by one.
struct Placer<'a> {
    next: u32,
    supers: &'a [Run],
    taken: &'a mut Vec<Run>,
}

impl Placer<'_> {
    fn take(&mut self, len: u32) -> u32 {
        let passed = self.supers.partition_point(|run| run.end() <= self.next);
        for run in &self.supers[passed..] {
            if run.start >= self.next + len {
                break;
            }
            self.next = run.end();
        }
        let start = self.next;
        self.taken.push(Run { start, len });
        self.next += len;
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_4_gib_filesystem_is_laid_out_as_mke2fs_does() {
        let geometry = Geometry {
            blocks: 1 << 20,
            groups: 32,
            inodes_per_group: 8192,
            descriptor_blocks: 1,
            reserved_descriptor_blocks: 511,
            journal_blocks: 16384,
        };
        let layout = Layout::new(&geometry);
        let first = GroupLayout { block_bitmap: 513, inode_bitmap: 529, inode_table: 545 };
        assert_eq!(layout.groups[0], first);
        assert_eq!(layout.groups[3], GroupLayout { block_bitmap: 516, inode_bitmap: 532, inode_table: 545 + 3 * 512 });
        assert_eq!(layout.groups[16].block_bitmap, 16 * 32768);
    }

    #[test]
    fn tables_larger_than_a_group_step_over_backup_superblocks() {
        let geometry = Geometry {
            blocks: 16 * 32768,
            groups: 16,
            inodes_per_group: 32768,
            descriptor_blocks: 1,
            reserved_descriptor_blocks: 255,
            journal_blocks: 8192,
        };
        let layout = Layout::new(&geometry);
        assert!(layout.fixed.windows(2).all(|pair| pair[0].end() <= pair[1].start));
        assert!(layout.groups.iter().any(|group| group.inode_table > 32768));
    }
}
