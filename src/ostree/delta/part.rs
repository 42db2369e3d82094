//! The objects in a part of a static delta: owners and xattrs, all bytes in one row, and operations that make objects of them.

use std::io::{self, Read};

use lzma_rust2::XzReader;

use super::super::variant_reader::{self, Member, varint};
use super::super::{Checksum, Error, FileHasher, FileMeta, ObjectKind, ObjectName, Xattrs};
use super::{Part, VARIABLE};

/// Of a part inflated. libostree makes them of 32 MiB and leaves larger objects out.
const PART_LIMIT: u64 = 256 << 20;
/// What inflating may take: the largest preset of xz has a dictionary of 64 MiB.
const XZ_MEMORY_KIB: u32 = 128 << 10;

/// One object of a part, compared with its name.
#[derive(Debug)]
pub enum DeltaObject<'a> {
    /// A dirtree, a dirmeta or a commit.
    Metadata(&'a [u8]),
    /// The content is empty for a symbolic link.
    File(FileMeta, &'a [u8]),
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
