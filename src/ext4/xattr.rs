//! Extended attributes of one inode: names to indices, what stays in the inode and what goes to a block, both forms.
//! ext4 docs, "Extended Attributes".

use std::borrow::Cow;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::BLOCK_BYTES;
use super::acl;
use super::error::Error;

/// Bytes after the fields of an inode.
pub const INLINE_BYTES: usize = 96;
pub const MAGIC: [u8; 4] = 0xea02_0000u32.to_le_bytes();
const HEADER_BYTES: usize = 32;
const ENTRY_BYTES: usize = 16;
/// Four zero bytes end the list of entries.
const END_BYTES: usize = 4;
const INLINE_ROOM: usize = INLINE_BYTES - MAGIC.len() - END_BYTES;
const BLOCK_ROOM: usize = BLOCK_BYTES - HEADER_BYTES - END_BYTES;

const ACL_ACCESS: u8 = 2;
const ACL_DEFAULT: u8 = 3;
const SECURITY: u8 = 6;
const PREFIXES: [(u8, &[u8]); 3] = [(1, b"user."), (4, b"trusted."), (SECURITY, b"security.")];

/// `ext4_xattr_entry` without its name.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct XattrEntry {
    e_name_len: u8,
    e_name_index: u8,
    e_value_offs: U16,
    e_value_inum: U32,
    e_value_size: U32,
    e_hash: U32,
}

const _: () = assert!(size_of::<XattrEntry>() == ENTRY_BYTES);

/// An attribute as ext4 names and stores it; the order is that of entries in a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute<'a> {
    index: u8,
    name_len: usize,
    name: &'a [u8],
    value: Cow<'a, [u8]>,
}

/// The attributes of an inode, divided.
#[derive(Debug, Default)]
pub struct Attributes<'a> {
    inline: Vec<Attribute<'a>>,
    block: Vec<Attribute<'a>>,
}

impl<'a> Attributes<'a> {
    /// `inode` is the index in the caller's tree, for errors.
    pub fn divide(inode: usize, xattrs: &'a [(Vec<u8>, Vec<u8>)]) -> Result<Attributes<'a>, Error> {
        let mut divided = Attributes::default();
        let mut free = INLINE_ROOM;
        for attribute in sorted(inode, xattrs)? {
            match free.checked_sub(attribute.bytes()) {
                Some(left) => {
                    divided.inline.push(attribute);
                    free = left;
                }
                None => divided.block.push(attribute),
            }
        }
        divided.block.sort_unstable();
        let need = divided.block.iter().map(Attribute::bytes).sum();
        if need > BLOCK_ROOM {
            Err(Error::XattrsTooLarge { index: inode, need, room: BLOCK_ROOM })
        } else {
            Ok(divided)
        }
    }

    pub fn needs_block(&self) -> bool {
        !self.block.is_empty()
    }

    /// What follows the fields of the inode.
    pub fn inline_body(&self) -> [u8; INLINE_BYTES] {
        let mut body = [0; INLINE_BYTES];
        if !self.inline.is_empty() {
            body[..4].copy_from_slice(&MAGIC);
            // Offsets count from the first entry here, and hashes are not used.
            put(&self.inline, &mut body[4..], 0, |_| 0);
        }
        body
    }

    /// The attribute block, complete but for its number of users and its checksum.
    pub fn block_body(&self) -> Vec<u8> {
        let mut body = vec![0; BLOCK_BYTES];
        put(&self.block, &mut body, HEADER_BYTES, |attribute| attribute.hash());
        let hash = self.block.iter().fold(0u32, |hash, attribute| hash.rotate_left(16) ^ attribute.hash());
        body[..4].copy_from_slice(&MAGIC);
        body[8..12].copy_from_slice(&1u32.to_le_bytes()); // h_blocks
        body[12..16].copy_from_slice(&hash.to_le_bytes());
        body
    }
}

/// In the order in which they may stay in the inode: the label that every access asks for, then by index and name.
fn sorted(inode: usize, xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<Attribute<'_>>, Error> {
    let parsed = xattrs.iter().map(|(name, value)| Attribute::parse(inode, name, value));
    let mut attributes = parsed.collect::<Result<Vec<_>, _>>()?;
    attributes.sort_unstable();
    let twice = attributes.windows(2).find(|pair| (pair[0].index, pair[0].name) == (pair[1].index, pair[1].name));
    if let Some(pair) = twice {
        return Err(Error::XattrTwice { index: inode, name: String::from_utf8_lossy(pair[0].name).into_owned() });
    }
    attributes.sort_by_key(|attribute| (attribute.index, attribute.name) != (SECURITY, b"selinux"));
    Ok(attributes)
}

/// Entries from `at` on, values from the end of `area` downwards, each on a multiple of four.
fn put(attributes: &[Attribute], area: &mut [u8], mut at: usize, hash: impl Fn(&Attribute) -> u32) {
    let mut value_at = area.len();
    for attribute in attributes {
        value_at -= attribute.value.len().next_multiple_of(4);
        let entry = XattrEntry {
            e_name_len: attribute.name.len() as u8, // at most 255
            e_name_index: attribute.index,
            // An offset inside a block; a value of no bytes has none.
            e_value_offs: if attribute.value.is_empty() { 0 } else { value_at as u16 }.into(),
            e_value_inum: 0.into(),
            e_value_size: (attribute.value.len() as u32).into(), // at most a block
            e_hash: hash(attribute).into(),
        };
        let name_at = at + ENTRY_BYTES;
        area[at..name_at].copy_from_slice(entry.as_bytes());
        area[name_at..name_at + attribute.name.len()].copy_from_slice(attribute.name);
        area[value_at..value_at + attribute.value.len()].copy_from_slice(&attribute.value);
        at = name_at + attribute.name.len().next_multiple_of(4);
    }
}

impl<'a> Attribute<'a> {
    fn parse(inode: usize, name: &'a [u8], value: &'a [u8]) -> Result<Attribute<'a>, Error> {
        let acl = |index| {
            let disk = acl::to_disk(value).ok_or(Error::Acl { index: inode, len: value.len() })?;
            Ok(Attribute { index, name_len: 0, name: b"", value: Cow::Owned(disk) })
        };
        match name {
            b"system.posix_acl_access" => return acl(ACL_ACCESS),
            b"system.posix_acl_default" => return acl(ACL_DEFAULT),
            _ => {}
        }
        let known = PREFIXES.iter().find_map(|(index, prefix)| Some((*index, name.strip_prefix(*prefix)?)));
        match known {
            Some((index, rest)) if (1..=255).contains(&rest.len()) && !rest.contains(&0) => {
                Ok(Attribute { index, name_len: rest.len(), name: rest, value: Cow::Borrowed(value) })
            }
            _ => Err(Error::XattrName { index: inode, name: String::from_utf8_lossy(name).into_owned() }),
        }
    }

    /// Bytes of the entry and its value.
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.name.len().next_multiple_of(4) + self.value.len().next_multiple_of(4)
    }

    /// `e_hash`: name bytes as unsigned, then the value as 32-bit words.
    fn hash(&self) -> u32 {
        let name = self.name.iter().fold(0u32, |hash, &byte| hash.rotate_left(5) ^ u32::from(byte));
        self.value.chunks(4).fold(name, |hash, chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattr(name: &str, len: usize) -> (Vec<u8>, Vec<u8>) {
        (name.as_bytes().to_vec(), vec![7; len])
    }

    #[test]
    fn a_label_stays_in_the_inode_and_a_capability_goes_to_the_block() {
        let xattrs = [xattr("security.capability", 20), xattr("security.selinux", 40), xattr("user.a", 30)];
        let divided = Attributes::divide(0, &xattrs).unwrap();
        let names = |list: &[Attribute]| list.iter().map(|a| a.name.to_vec()).collect::<Vec<_>>();
        assert_eq!(names(&divided.inline), [b"selinux".to_vec()]);
        assert_eq!(names(&divided.block), [b"a".to_vec(), b"capability".to_vec()]);
    }

    #[test]
    fn the_block_holds_4060_bytes_with_their_entries_and_no_more() {
        let most = BLOCK_ROOM - ENTRY_BYTES - 4;
        assert!(Attributes::divide(0, &[xattr("user.a", most)]).is_ok());
        let error = Attributes::divide(5, &[xattr("user.a", most + 1)]).unwrap_err();
        assert_eq!(error, Error::XattrsTooLarge { index: 5, need: BLOCK_ROOM + 4, room: 4060 });
    }

    #[test]
    fn names_without_a_place_on_disk_and_twins_are_refused() {
        for name in ["user.", "system.data", "gnu.translator", "x", "user.a\0b"] {
            assert!(matches!(Attributes::divide(0, &[xattr(name, 1)]), Err(Error::XattrName { .. })), "{name}");
        }
        let twins = [xattr("user.a", 1), xattr("user.b", 1), xattr("user.a", 2)];
        assert!(matches!(Attributes::divide(0, &twins), Err(Error::XattrTwice { .. })));
    }
}
