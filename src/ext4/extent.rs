//! The extent tree of an inode. ext4 docs, "Extent Tree".

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::BLOCK_BYTES;
use super::checksum::Seed;
use super::error::Error;

const MAGIC: u16 = 0xf30a;
/// The longest initialised extent.
pub const MAX_LEN: u32 = 32768;
const ROOT_ENTRIES: usize = 4;
const NODE_ENTRIES: usize = 340;
const ENTRY_BYTES: usize = 12;
const CHECKSUM_AT: usize = BLOCK_BYTES - 4;

/// `i_block` of a file without blocks: a header with room for four entries.
pub const EMPTY_ROOT: [u8; 60] = {
    let mut root = [0; 60];
    (root[0], root[1], root[4]) = (0x0a, 0xf3, 4);
    root
};

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ExtentHeader {
    eh_magic: U16,
    eh_entries: U16,
    eh_max: U16,
    eh_depth: U16,
    eh_generation: U32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ExtentLeaf {
    ee_block: U32,
    ee_len: U16,
    ee_start_hi: U16,
    ee_start_lo: U32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ExtentIndex {
    ei_block: U32,
    ei_leaf_lo: U32,
    ei_leaf_hi: U16,
    ei_unused: U16,
}

/// Either of the two, as stored. Both begin with the first file block they cover.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Entry {
    first: U32,
    rest: [u8; 8],
}

const _: () = assert!(size_of::<ExtentHeader>() == ENTRY_BYTES && size_of::<Entry>() == ENTRY_BYTES);
const _: () = assert!(size_of::<ExtentLeaf>() == ENTRY_BYTES && size_of::<ExtentIndex>() == ENTRY_BYTES);

/// Blocks of an inode and where they are: `len` blocks of the file from `logical` are those from `physical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mapping {
    pub inode: u32,
    pub logical: u32,
    pub physical: u32,
    pub len: u32,
}

/// The root for `i_block` and the blocks below it, each with its place.
pub struct ExtentTree {
    pub root: [u8; 60],
    pub nodes: Vec<(u32, [u8; BLOCK_BYTES])>,
}

/// Blocks outside the inode that a tree of so many extents takes.
pub fn tree_blocks(extents: u64) -> u64 {
    let (mut level, mut blocks) = (extents, 0);
    while level > ROOT_ENTRIES as u64 {
        level = level.div_ceil(NODE_ENTRIES as u64);
        blocks += level;
    }
    blocks
}

impl ExtentTree {
    /// Builds the tree over the mappings of one inode, which come in order of their file blocks.
    pub fn build(
        mappings: &[Mapping],
        seed: Seed,
        mut allocate: impl FnMut() -> Result<u32, Error>,
    ) -> Result<ExtentTree, Error> {
        let (mut level, mut depth, mut nodes) = (leaf_entries(mappings), 0, Vec::new());
        while level.len() > ROOT_ENTRIES {
            let mut above = Vec::new();
            for entries in level.chunks(NODE_ENTRIES) {
                let block = allocate()?;
                nodes.push((block, node(entries, depth, seed)));
                above.push(index_entry(entries[0].first, block));
            }
            (level, depth) = (above, depth + 1);
        }
        let mut root = [0; 60];
        fill(&mut root, &level, ROOT_ENTRIES, depth);
        Ok(ExtentTree { root, nodes })
    }
}

/// Joins neighbours and cuts what is longer than an extent can be.
fn leaf_entries(mappings: &[Mapping]) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(mappings.len());
    let mut rest = mappings.iter().copied();
    let Some(mut open) = rest.next() else {
        return entries;
    };
    for next in rest {
        if open.logical + open.len == next.logical && open.physical + open.len == next.physical {
            open.len += next.len;
        } else {
            push_leaves(&mut entries, open);
            open = next;
        }
    }
    push_leaves(&mut entries, open);
    entries
}

fn push_leaves(entries: &mut Vec<Entry>, mapping: Mapping) {
    for done in (0..mapping.len).step_by(MAX_LEN as usize) {
        let len = MAX_LEN.min(mapping.len - done);
        entries.push(zerocopy::transmute!(ExtentLeaf {
            ee_block: (mapping.logical + done).into(),
            ee_len: (len as u16).into(), // at most 32768
            ee_start_hi: 0.into(),
            ee_start_lo: (mapping.physical + done).into(),
        }));
    }
}

fn index_entry(first: U32, block: u32) -> Entry {
    zerocopy::transmute!(ExtentIndex {
        ei_block: first,
        ei_leaf_lo: block.into(),
        ei_leaf_hi: 0.into(),
        ei_unused: 0.into(),
    })
}

fn node(entries: &[Entry], depth: u16, seed: Seed) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    fill(&mut block, entries, NODE_ENTRIES, depth);
    let checksum = seed.checksum(&block[..CHECKSUM_AT]);
    block[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    block
}

fn fill(place: &mut [u8], entries: &[Entry], max: usize, depth: u16) {
    let header = ExtentHeader {
        eh_magic: MAGIC.into(),
        eh_entries: (entries.len() as u16).into(), // at most 340
        eh_max: (max as u16).into(),               // at most 340
        eh_depth: depth.into(),
        eh_generation: 0.into(),
    };
    let (head, body) = place.split_at_mut(ENTRY_BYTES);
    head.copy_from_slice(header.as_bytes());
    body[..size_of_val(entries)].copy_from_slice(entries.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(mappings: &[Mapping]) -> ExtentTree {
        let mut next = 100..;
        ExtentTree::build(mappings, Seed::of_filesystem(&[0; 16]), || Ok(next.next().unwrap())).unwrap()
    }

    fn scattered(count: u32) -> Vec<Mapping> {
        (0..count).map(|i| Mapping { inode: 12, logical: 2 * i, physical: 1000 + 3 * i, len: 1 }).collect()
    }

    #[test]
    fn trees_have_as_many_blocks_as_counted_beforehand() {
        for (extents, depth) in [(0, 0), (4, 0), (5, 1), (1360, 1), (1361, 2), (3000, 2)] {
            let built = tree(&scattered(extents));
            assert_eq!(built.nodes.len() as u64, tree_blocks(u64::from(extents)), "{extents}");
            assert_eq!(built.root[6], depth, "{extents}");
        }
    }

    #[test]
    fn neighbours_are_joined_and_cut_at_32768_blocks() {
        let part = |logical, len| Mapping { inode: 12, logical, physical: 500 + logical, len };
        let entries = leaf_entries(&[part(0, 30000), part(30000, 10000)]);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].first.get(), 32768);
    }

    #[test]
    fn an_empty_file_has_the_header_of_an_empty_tree() {
        assert_eq!(tree(&[]).root, EMPTY_ROOT);
    }
}
