//! Xattrs as bytes: those that several inodes have are stored once (EROFS, "Extended attributes").

use std::cmp::Reverse;
use std::collections::HashMap;

use zerocopy::IntoBytes;

use super::inode::Inode;
use super::on_disk::{ErofsXattrEntry, ErofsXattrIbodyHeader};
use super::xxh32::xxh32;

/// `EROFS_XATTR_LONG_PREFIX`; libcomposefs stores as many shared xattrs in one inode and no more.
const MOST_SHARED: usize = 128;
const EROFS_XATTR_FILTER_SEED: u32 = 0x25bb_e08f;
/// Name prefixes that are stored as a number; 0 is no prefix.
const PREFIXES: [(&[u8], u8); 5] = [
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
];

type Xattr = (Vec<u8>, Vec<u8>);

/// The xattrs that more than one inode has, in the order they are stored.
pub struct SharedXattrs<'a> {
    xattrs: Vec<&'a Xattr>,
    indices: HashMap<&'a Xattr, usize>,
}

impl<'a> SharedXattrs<'a> {
    pub fn of(inodes: &'a [Inode]) -> Self {
        let mut uses: HashMap<&Xattr, u32> = HashMap::new();
        for xattr in inodes.iter().flat_map(|inode| &inode.xattrs) {
            *uses.entry(xattr).or_default() += 1;
        }
        let mut xattrs: Vec<&Xattr> = uses.into_iter().filter(|(_, uses)| *uses > 1).map(|(xattr, _)| xattr).collect();
        // libcomposefs sorts by descending name, then longer values first, then by descending value.
        xattrs.sort_unstable_by_key(|(name, value)| Reverse((name, value.len(), value)));
        let indices = xattrs.iter().enumerate().map(|(index, xattr)| (*xattr, index)).collect();
        SharedXattrs { xattrs, indices }
    }

    /// The entry of each, in order.
    pub fn entries(&self) -> impl Iterator<Item = Vec<u8>> {
        self.xattrs.iter().map(|xattr| entry(xattr))
    }
}

/// What follows an inode on account of its xattrs.
pub struct XattrBody {
    name_filter: u32,
    /// Indices into the shared xattrs.
    shared: Vec<usize>,
    /// The entries of the others.
    entries: Vec<u8>,
}

impl XattrBody {
    pub fn of(inode: &Inode, table: &SharedXattrs) -> Self {
        let mut body = XattrBody { name_filter: u32::MAX, shared: Vec::new(), entries: Vec::new() };
        for xattr in &inode.xattrs {
            let (index, suffix) = split(&xattr.0);
            body.name_filter &= !(1 << (xxh32(suffix, EROFS_XATTR_FILTER_SEED + u32::from(index)) % 32));
            match table.indices.get(xattr) {
                Some(&shared) if body.shared.len() < MOST_SHARED => body.shared.push(shared),
                _ => body.entries.extend(entry(xattr)),
            }
        }
        body
    }

    /// The bytes, empty without xattrs. `id` gives the id of a shared xattr from its index.
    pub fn bytes(&self, id: impl Fn(usize) -> u32) -> Vec<u8> {
        if self.shared.is_empty() && self.entries.is_empty() {
            return Vec::new();
        }
        let header = ErofsXattrIbodyHeader {
            h_name_filter: self.name_filter.into(),
            h_shared_count: self.shared.len() as u8, // At most MOST_SHARED.
            h_reserved2: [0; 7],
        };
        let ids = self.shared.iter().flat_map(|&index| id(index).to_le_bytes());
        header.as_bytes().iter().copied().chain(ids).chain(self.entries.iter().copied()).collect()
    }
}

/// `i_xattr_icount` of an inode followed by `bytes` of xattrs.
pub fn icount(bytes: usize) -> u16 {
    let words = bytes.saturating_sub(size_of::<ErofsXattrIbodyHeader>()) / 4;
    // The tree was checked: xattrs are limited to 32767 bytes, and overlayfs needs less than 300.
    if bytes == 0 { 0 } else { words as u16 + 1 }
}

/// Whether the inode has a POSIX ACL.
pub fn has_acl(inode: &Inode) -> bool {
    let acls: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];
    inode.xattrs.iter().any(|(name, _)| acls.contains(&name.as_slice()))
}

fn split(name: &[u8]) -> (u8, &[u8]) {
    let known = PREFIXES.iter().find_map(|(prefix, index)| Some((*index, name.strip_prefix(*prefix)?)));
    known.unwrap_or((0, name))
}

fn entry((name, value): &Xattr) -> Vec<u8> {
    let (index, suffix) = split(name);
    let entry = ErofsXattrEntry {
        // The tree was checked: names are at most 255 bytes (escaping adds what `trusted.` takes away), values 32767.
        e_name_len: suffix.len() as u8,
        e_name_index: index,
        e_value_size: (value.len() as u16).into(),
    };
    let mut bytes = [entry.as_bytes(), suffix, value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
