//! Static deltas from nothing to a commit: a superblock that lists parts, and parts that hold many objects each (libostree
//! `ostree-repo-static-delta-*.c`).
//!
//! Deltas from one commit to another are not here: a fresh disk has nothing they could start from.

use std::collections::BTreeMap;
use std::io::{self, Read};

use base64ct::{Base64Unpadded, Encoding};
use lzma_rust2::XzReader;

use super::variant_reader::{self, Member, varint};
use super::{Checksum, Error, FileHasher, FileMeta, ObjectKind, ObjectName, Xattrs};

/// Of a part inflated. libostree makes them of 32 MiB and leaves larger objects out.
const PART_LIMIT: u64 = 256 << 20;
/// What inflating may take: the largest preset of xz has a dictionary of 64 MiB.
const XZ_MEMORY_KIB: u32 = 128 << 10;
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

/// One object of a part, compared with its name.
#[derive(Debug)]
pub enum DeltaObject<'a> {
    /// A dirtree, a dirmeta or a commit.
    Metadata(&'a [u8]),
    /// The content is empty for a symbolic link.
    File(FileMeta, &'a [u8]),
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

impl Part {
    /// Inflates the file of a part: one byte that says how, then the part.
    pub fn inflate(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        if Checksum::of(bytes) != self.checksum {
            return Err(invalid("its checksum is not the one that the superblock says"));
        }
        match bytes.split_first() {
            Some((0, plain)) => Ok(plain.to_vec()),
            Some((b'x', xz)) => {
                let mut inflated = Vec::new();
                let mut reader = XzReader::new_mem_limit(xz, false, XZ_MEMORY_KIB).take(PART_LIMIT + 1);
                reader.read_to_end(&mut inflated)?;
                if inflated.len() as u64 > PART_LIMIT {
                    Err(invalid("it inflates to more than 256 MiB"))
                } else {
                    Ok(inflated)
                }
            }
            _ => Err(invalid("how it is compressed is not known")),
        }
    }

    /// Hands the objects of an inflated part on, each compared with its name.
    pub fn objects<E>(
        &self,
        inflated: &[u8],
        sink: &mut dyn FnMut(ObjectName, DeltaObject<'_>) -> Result<(), E>,
    ) -> Result<Result<(), E>, Error> {
        let broken = |what| Error::Object { object: "delta part", len: inflated.len(), what };
        let contents = Contents::read(inflated).ok_or_else(|| broken("it is no (a(uuu)aa(ayay)ayay)"))?;
        let mut operations = contents.operations;
        for &name in &self.objects {
            let object = contents
                .next(&mut operations, name.kind)
                .ok_or_else(|| broken("its operations are not those of a delta from nothing"))?;
            if checksum(&object) != name.checksum {
                return Err(broken("an object in it is not what its name says"));
            }
            if let Err(error) = sink(name, object) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

fn checksum(object: &DeltaObject<'_>) -> Checksum {
    match object {
        DeltaObject::Metadata(bytes) => Checksum::of(bytes),
        DeltaObject::File(meta, content) => {
            let mut hasher = FileHasher::new(&meta.header());
            hasher.update(content);
            hasher.finish()
        }
    }
}

/// An inflated part, taken apart.
struct Contents<'a> {
    /// Owner, group and mode.
    modes: Vec<[u32; 3]>,
    xattrs: Vec<Xattrs>,
    data: &'a [u8],
    operations: &'a [u8],
}

impl<'a> Contents<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let [modes, xattrs, data, operations] =
            variant_reader::tuple(bytes, [Member::Variable(4), VARIABLE, VARIABLE, VARIABLE])?;
        let (modes, rest) = modes.as_chunks::<12>();
        let number = |bytes: &[u8]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let modes = modes.iter().map(|mode| [number(&mode[..4]), number(&mode[4..8]), number(&mode[8..])]).collect();
        let xattrs = variant_reader::array(xattrs, 1)?.into_iter().map(Xattrs::parse).collect::<Option<_>>()?;
        rest.is_empty().then_some(Self { modes, xattrs, data, operations })
    }

    /// The next object: `S` makes one at a stroke; `o` opens one, `w` adds bytes, `c` closes it.
    fn next(&self, operations: &mut &'a [u8], kind: ObjectKind) -> Option<DeltaObject<'a>> {
        match take(operations)? {
            b'S' if kind == ObjectKind::File => {
                let (mode, xattrs) = (varint(operations)?, varint(operations)?);
                let (len, at) = (varint(operations)?, varint(operations)?);
                self.file(mode, xattrs, self.slice(at, len)?)
            }
            b'S' => {
                let (len, at) = (varint(operations)?, varint(operations)?);
                Some(DeltaObject::Metadata(self.slice(at, len)?))
            }
            b'o' if kind == ObjectKind::File => {
                let (mode, xattrs) = (varint(operations)?, varint(operations)?);
                let size = varint(operations)?;
                self.file(mode, xattrs, self.written(operations, size)?)
            }
            b'o' => {
                let size = varint(operations)?;
                Some(DeltaObject::Metadata(self.written(operations, size)?))
            }
            _ => None,
        }
    }

    /// libostree writes an object that it opens in one piece, unless it takes pieces of another object, of which there is none.
    fn written(&self, operations: &mut &'a [u8], size: u64) -> Option<&'a [u8]> {
        let mut bytes: &[u8] = &[];
        let mut next = take(operations)?;
        if next == b'w' {
            let (len, at) = (varint(operations)?, varint(operations)?);
            bytes = self.slice(at, len)?;
            next = take(operations)?;
        }
        (next == b'c' && bytes.len() as u64 == size).then_some(bytes)
    }

    fn file(&self, mode: u64, xattrs: u64, content: &'a [u8]) -> Option<DeltaObject<'a>> {
        let [uid, gid, mode] = *self.modes.get(usize::try_from(mode).ok()?)?;
        let xattrs = self.xattrs.get(usize::try_from(xattrs).ok()?)?.clone();
        let mut meta = FileMeta { uid, gid, mode, target: String::new(), xattrs };
        if !meta.is_symlink() {
            return meta.is_regular().then_some(DeltaObject::File(meta, content));
        }
        // The C string, NUL included.
        let target = content.strip_suffix(b"\0").unwrap_or(content);
        meta.target = String::from_utf8(target.to_vec()).ok()?;
        Some(DeltaObject::File(meta, &[]))
    }

    fn slice(&self, at: u64, len: u64) -> Option<&'a [u8]> {
        let (at, len) = (usize::try_from(at).ok()?, usize::try_from(len).ok()?);
        self.data.get(at..at.checked_add(len)?)
    }
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
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
