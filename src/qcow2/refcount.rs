//! Reference counts of host clusters (QEMU `docs/interop/qcow2.rst`, "Host cluster management"), 16 bits each.

use super::{CLUSTER, Error};

/// `refcount_order`: a refcount has 1 << 4 bits.
pub const ORDER: u32 = 4;

const CLUSTER_U64: u64 = CLUSTER as u64;
const PER_BLOCK: usize = CLUSTER / size_of::<u16>();
const PER_TABLE_CLUSTER: usize = CLUSTER / size_of::<u64>();

/// How many things lie in each host cluster, counted from the start of the file.
#[derive(Default)]
pub struct Refcounts(Vec<u16>);

impl Refcounts {
    /// Counts one more user of every cluster that `length` bytes at host `offset` touch.
    pub fn add(&mut self, offset: u64, length: u64) -> Result<(), Error> {
        for host in offset / CLUSTER_U64..(offset + length).div_ceil(CLUSTER_U64) {
            // OK to unwrap: this counts clusters that were just written, one by one, so they were addressable.
            let index = usize::try_from(host).unwrap();
            if index >= self.0.len() {
                self.0.resize(index + 1, 0);
            }
            self.0[index] = self.0[index].checked_add(1).ok_or(Error::RefcountOverflow { host })?;
        }
        Ok(())
    }

    /// Closes the count of a file that ends at `start` and will end with its own refcount blocks and table.
    pub fn close(mut self, start: u64) -> Result<Closed, Error> {
        let clusters = usize::try_from(start / CLUSTER_U64).unwrap_or(usize::MAX);
        let (blocks, table_clusters) = self_covering(clusters);
        let own = (blocks + table_clusters) as u64 * CLUSTER_U64;
        self.add(start, own)?;
        let mut bytes: Vec<u8> = self.0.iter().flat_map(|count| count.to_be_bytes()).collect();
        bytes.resize(blocks * CLUSTER, 0);
        let table_offset = start + bytes.len() as u64;
        let block_offsets = (start..table_offset).step_by(CLUSTER);
        bytes.extend(block_offsets.flat_map(u64::to_be_bytes));
        bytes.resize((blocks + table_clusters) * CLUSTER, 0);
        Ok(Closed { bytes, table_offset, table_clusters })
    }
}

/// The last part of an image.
pub struct Closed {
    /// Refcount blocks, then the refcount table; whole clusters.
    pub bytes: Vec<u8>,
    /// Host offset of the table.
    pub table_offset: u64,
    pub table_clusters: usize,
}

/// Refcount blocks and clusters of refcount table for `clusters` other clusters and themselves.
fn self_covering(clusters: usize) -> (usize, usize) {
    let (mut blocks, mut table_clusters) = (0, 0);
    loop {
        let need_blocks = (clusters + blocks + table_clusters).div_ceil(PER_BLOCK);
        let need_table = need_blocks.div_ceil(PER_TABLE_CLUSTER);
        if (need_blocks, need_table) == (blocks, table_clusters) {
            return (blocks, table_clusters);
        }
        (blocks, table_clusters) = (need_blocks, need_table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcount_blocks_cover_themselves_and_their_table() {
        assert_eq!(self_covering(1), (1, 1));
        assert_eq!(self_covering(32_766), (1, 1));
        assert_eq!(self_covering(32_767), (2, 1));
        assert_eq!(self_covering(32_768 * 8_192 - 8_193), (8_192, 1));
        assert_eq!(self_covering(32_768 * 8_192 - 8_192), (8_193, 2));
    }

    #[test]
    fn a_host_cluster_counts_every_piece_that_touches_it() {
        let mut refcounts = Refcounts::default();
        refcounts.add(0, 65_536).unwrap();
        refcounts.add(65_536, 10).unwrap();
        refcounts.add(65_546, 65_526).unwrap();
        refcounts.add(131_000, 100).unwrap();
        assert_eq!(refcounts.0, [1, 3, 1]);
    }
}
