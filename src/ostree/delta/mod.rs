//! Static deltas from nothing to a commit: a superblock that lists parts, and parts that hold many objects each (libostree
//! `ostree-repo-static-delta-*.c`).
//!
//! Deltas from one commit to another are not here: a fresh disk has nothing they could start from.

mod part;

use std::collections::BTreeMap;

use base64ct::{Base64Unpadded, Encoding};

use super::variant_reader::{self, Member};
use super::{Checksum, Error, ObjectKind, ObjectName};
pub use part::DeltaObject;

/// Each in the list of a part: the kind, then the checksum.
const OBJECT: usize = 33;
const SIGNED_MAGIC: &[u8] = b"OSTSGNDT";
const VARIABLE: Member = Member::Variable(1);
const ALIGNED: Member = Member::Variable(8);

/// What leads to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    pub to: Checksum,
    pub parts: Vec<Part>,
    /// Objects that are in no part and have to be fetched by themselves.
    pub fallbacks: Vec<ObjectName>,
}

/// A file beside the superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of its bytes as they are served.
    pub checksum: Checksum,
    /// Bytes as they are served.
    pub size: u64,
    /// What is in it, in this order.
    pub objects: Vec<ObjectName>,
    /// The bytes themselves, where the superblock holds them.
    pub inline: Option<Vec<u8>>,
}

/// The directory of the delta from nothing to this commit: `deltas/xy/P58z…`.
pub fn directory(to: Checksum) -> String {
    let name = file_name(to);
    format!("deltas/{}/{}", &name[..2], &name[2..])
}

/// The file that lists the deltas to this commit.
pub fn index_path(to: Checksum) -> String {
    let name = file_name(to);
    format!("delta-indexes/{}/{}.index", &name[..2], &name[2..])
}

/// Base64 with `_` for `/` and without padding.
fn file_name(to: Checksum) -> String {
    Base64Unpadded::encode_string(&to.0).replace('/', "_")
}

impl Superblock {
    /// Reads `superblock`, also one that is wrapped in signatures: objects are compared with their names anyway.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |what| Error::Object { object: "superblock", len: bytes.len(), what };
        let plain = match bytes.strip_prefix(SIGNED_MAGIC) {
            Some(_) => signed(bytes).ok_or_else(|| broken("it is not a (taya{sv})"))?,
            None => bytes,
        };
        Self::members(plain).ok_or_else(|| broken("it is no delta from nothing to a commit"))
    }

    fn members(bytes: &[u8]) -> Option<Self> {
        let shape = [ALIGNED, Member::Fixed(8), VARIABLE, VARIABLE, ALIGNED, VARIABLE, ALIGNED, ALIGNED];
        let [metadata, _time, from, to, _commit, _needed, parts, fallbacks] = variant_reader::tuple(bytes, shape)?;
        if !from.is_empty() {
            return None;
        }
        let to = Checksum(to.try_into().ok()?);
        let metadata = entries(metadata)?;
        // Numbers are in the byte order of the machine that made the delta.
        let big_endian = metadata.get("ostree.endianness").is_some_and(|value| *value == b"B");
        let number = |bytes: &[u8]| {
            let bytes = bytes.try_into().ok()?;
            Some(if big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
        };
        let part = |(index, bytes): (usize, _)| {
            let shape = [Member::Fixed(4), VARIABLE, Member::Fixed(8), Member::Fixed(8), VARIABLE];
            let [_version, checksum, size, _inflated, objects] = variant_reader::tuple(bytes, shape)?;
            let checksum = Checksum(checksum.try_into().ok()?);
            // A byte, then an `ay`: as a file would have it.
            let inline = metadata.get(format!("{}/{index}", directory(to)).as_str()).map(|bytes| bytes.to_vec());
            Some(Part { checksum, size: number(size)?, objects: names(objects)?, inline })
        };
        let fallback = |bytes| {
            let shape = [Member::Fixed(1), VARIABLE, Member::Fixed(8), Member::Fixed(8)];
            let [kind, checksum, _size, _inflated] = variant_reader::tuple(bytes, shape)?;
            object_name(*kind.first()?, checksum)
        };
        Some(Self {
            to,
            parts: variant_reader::array(parts, 8)?.into_iter().enumerate().map(part).collect::<Option<_>>()?,
            fallbacks: variant_reader::array(fallbacks, 8)?.into_iter().map(fallback).collect::<Option<_>>()?,
        })
    }
}

/// The superblock inside of `(taya{sv})`.
fn signed(bytes: &[u8]) -> Option<&[u8]> {
    let [_magic, superblock, _signatures] = variant_reader::tuple(bytes, [Member::Fixed(8), VARIABLE, ALIGNED])?;
    Some(superblock)
}

/// Keys and serialised values of an `a{sv}`.
fn entries(metadata: &[u8]) -> Option<BTreeMap<&str, &[u8]>> {
    let entry = |bytes| {
        let [key, value] = variant_reader::tuple(bytes, [VARIABLE, ALIGNED])?;
        Some((variant_reader::string(key)?, variant_reader::variant(value)?.1))
    };
    variant_reader::array(metadata, 8)?.into_iter().map(entry).collect()
}

fn names(list: &[u8]) -> Option<Vec<ObjectName>> {
    let (entries, rest) = list.as_chunks::<OBJECT>();
    let name = |entry: &[u8; OBJECT]| object_name(entry[0], &entry[1..]);
    if rest.is_empty() { entries.iter().map(name).collect() } else { None }
}

fn object_name(kind: u8, checksum: &[u8]) -> Option<ObjectName> {
    let kind = match kind {
        1 => ObjectKind::File,
        2 => ObjectKind::DirTree,
        3 => ObjectKind::DirMeta,
        4 => ObjectKind::Commit,
        _ => return None,
    };
    Some(ObjectName { checksum: Checksum(checksum.try_into().ok()?), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_lies_where_the_ostree_program_puts_it() {
        let to = "eb4a5df5eee6a02d43f991f351023e074a776c657edd7a1a45f01b2a7cc41c6c".parse().unwrap();
        assert_eq!(directory(to), "deltas/60/pd9e7moC1D+ZHzUQI+B0p3bGV+3XoaRfAbKnzEHGw");
        assert_eq!(index_path(to), "delta-indexes/60/pd9e7moC1D+ZHzUQI+B0p3bGV+3XoaRfAbKnzEHGw.index");
    }

    #[test]
    fn bytes_that_are_no_superblock_and_no_part_are_refused() {
        for len in 0..64 {
            assert!(Superblock::parse(&vec![0xff; len]).is_err(), "{len}");
        }
        assert!(Superblock::parse(b"OSTSGNDT").is_err());
        let part = Part { checksum: Checksum::of(b"x"), size: 1, objects: vec![], inline: None };
        assert!(part.inflate(b"x").is_err() && part.inflate(b"y").is_err());
    }
}
