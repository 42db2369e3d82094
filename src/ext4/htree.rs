//! Directories of more than one block: leaves in order of hash and an index of one or two levels over them.
//! ext4 docs, "Hash Tree Directories".

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::BLOCK_BYTES;
use super::checksum::Seed;
use super::directory::{Directory, DirectoryEntry, Entry, LEAF_ROOM, Leaf, entry_bytes};
use super::hash::half_md4;

const HALF_MD4: u8 = 1;
/// `dx_entry`s that a root and a node hold before their 8-byte tail; the first shares its place with `dx_countlimit`.
const ROOT_LIMIT: usize = (BLOCK_BYTES - 32 - 8) / 8;
const NODE_LIMIT: usize = (BLOCK_BYTES - 8 - 8) / 8;
/// Leaves that an index of two levels reaches; a third level needs the feature `large_dir`.
pub const LEAF_LIMIT: u64 = (ROOT_LIMIT * NODE_LIMIT) as u64;
/// Leaves are filled to four fifths, as `e2fsck -D` does, so that the first new name does not split one.
const LEAF_FILL: usize = LEAF_ROOM * 4 / 5;
const LONGEST_ENTRY: usize = 264;

/// `dx_root_info`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct RootInfo {
    reserved_zero: U32,
    hash_version: u8,
    info_length: u8,
    indirect_levels: u8,
    unused_flags: u8,
}

/// `dx_countlimit`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct CountLimit {
    limit: U16,
    count: U16,
}

/// `dx_entry`: names from this hash on are in this block of the directory.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct IndexEntry {
    hash: U32,
    block: U32,
}

const _: () = assert!(size_of::<RootInfo>() == 8 && size_of::<CountLimit>() == 4 && size_of::<IndexEntry>() == 8);

/// An upper bound of the leaves that names of so many entry bytes take.
pub fn most_leaves(entry_bytes: u64) -> u64 {
    // A leaf is full when the next entry, however long, went over the limit.
    let least_fill = (LEAF_FILL - LONGEST_ENTRY) as u64; // 3003
    entry_bytes / least_fill + 1
}

/// An upper bound of the blocks of a directory of so many leaves: root, nodes, leaves.
pub fn most_blocks(leaves: u64) -> u64 {
    let nodes = if leaves > ROOT_LIMIT as u64 { leaves.div_ceil(NODE_LIMIT as u64) } else { 0 };
    1 + nodes + leaves
}

/// All blocks of the directory: the root, the leaves, then the nodes between them if there are any.
pub fn build(directory: &Directory, hash_seed: &[u8; 16]) -> Vec<u8> {
    let (mut bytes, leaves) = leaves(directory, hash_seed);
    let mut top = leaves;
    let indirect_levels = u8::from(top.len() > ROOT_LIMIT);
    if indirect_levels > 0 {
        top = add_nodes(&mut bytes, &top, directory.seed);
    }
    bytes[..BLOCK_BYTES].copy_from_slice(&root(directory, &top, indirect_levels));
    bytes
}

/// The leaves after an empty first block, and an index entry for each.
fn leaves(directory: &Directory, hash_seed: &[u8; 16]) -> (Vec<u8>, Vec<IndexEntry>) {
    let (mut bytes, mut index) = (vec![0; BLOCK_BYTES], Vec::new());
    let names = in_hash_order(&directory.entries, hash_seed);
    let (mut rest, mut hash_before) = (names.as_slice(), None);
    while let Some((first, _)) = rest.split_first() {
        // Names of one hash that go on in a second leaf are announced by the lowest bit of its key.
        let continued = u32::from(hash_before == Some(first.hash));
        index.push(IndexEntry { hash: (first.hash | continued).into(), block: block_of(&bytes) });
        let (these, others) = rest.split_at(fitting(rest));
        let mut leaf = Leaf::new(bytes);
        these.iter().for_each(|name| leaf.push(name.entry));
        bytes = leaf.finish(directory.seed);
        (rest, hash_before) = (others, these.last().map(|name| name.hash));
    }
    (bytes, index)
}

struct HashedName<'a> {
    hash: u32,
    minor: u32,
    entry: &'a Entry<'a>,
}

fn in_hash_order<'a>(entries: &'a [Entry<'a>], hash_seed: &[u8; 16]) -> Vec<HashedName<'a>> {
    let hashed = entries.iter().map(|entry| {
        let (hash, minor) = half_md4(entry.name, hash_seed);
        HashedName { hash, minor, entry }
    });
    let mut names: Vec<_> = hashed.collect();
    names.sort_unstable_by_key(|name| (name.hash, name.minor, name.entry.name));
    names
}

/// How many of these names go into the next leaf, at least one.
fn fitting(names: &[HashedName]) -> usize {
    let mut used = 0;
    let fits = |name: &&HashedName| {
        used += entry_bytes(name.entry.name.len());
        used <= LEAF_FILL
    };
    names.iter().take_while(fits).count()
}

/// The number of the block that comes next.
fn block_of(bytes: &[u8]) -> U32 {
    ((bytes.len() / BLOCK_BYTES) as u32).into() // a directory has at most 2^18 blocks
}

fn add_nodes(bytes: &mut Vec<u8>, leaves: &[IndexEntry], seed: Seed) -> Vec<IndexEntry> {
    let mut index = Vec::new();
    for children in leaves.chunks(NODE_LIMIT) {
        index.push(IndexEntry { hash: children[0].hash, block: block_of(bytes) });
        let mut block = [0; BLOCK_BYTES];
        // To readers that know no index the whole block is one unused entry.
        put_entry(&mut block, 0, 0, BLOCK_BYTES, b"");
        put_index(&mut block, 8, children, NODE_LIMIT, seed);
        bytes.extend_from_slice(&block);
    }
    index
}

fn root(directory: &Directory, children: &[IndexEntry], indirect_levels: u8) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let [dot, dot_dot] = directory.dots();
    put_entry(&mut block, 0, dot.inode, 12, dot.name);
    put_entry(&mut block, 12, dot_dot.inode, BLOCK_BYTES - 12, dot_dot.name);
    let info =
        RootInfo { reserved_zero: 0.into(), hash_version: HALF_MD4, info_length: 8, indirect_levels, unused_flags: 0 };
    block[24..32].copy_from_slice(info.as_bytes());
    put_index(&mut block, 32, children, ROOT_LIMIT, directory.seed);
    block
}

fn put_entry(block: &mut [u8; BLOCK_BYTES], at: usize, inode: u32, rec_len: usize, name: &[u8]) {
    let head = DirectoryEntry {
        inode: inode.into(),
        rec_len: (rec_len as u16).into(), // at most 4096
        name_len: name.len() as u8,       // at most 2
        file_type: if name.is_empty() { 0 } else { 2 },
    };
    block[at..at + 8].copy_from_slice(head.as_bytes());
    block[at + 8..at + 8 + name.len()].copy_from_slice(name);
}

/// The index entries from `at` on, the first one without its hash, and the tail after the last possible one.
fn put_index(block: &mut [u8; BLOCK_BYTES], at: usize, children: &[IndexEntry], limit: usize, seed: Seed) {
    let used = at + size_of_val(children);
    block[at..used].copy_from_slice(children.as_bytes());
    let head = CountLimit { limit: (limit as u16).into(), count: (children.len() as u16).into() }; // at most 510
    block[at..at + 4].copy_from_slice(head.as_bytes());
    // The checksum covers what is in use and the 8 bytes of the tail, itself as zero.
    let checksum = seed.then(&block[..used]).checksum(&[0; 8]);
    let tail = at + 8 * limit;
    block[tail + 4..tail + 8].copy_from_slice(&checksum.to_le_bytes());
}
