//! File objects as other repositories keep them: `.filez` of an archive `(tuuuusa(ayay))`, the xattr `user.ostreemeta` of a bare-user
//! repository `(uuua(ayay))` (libostree `ostree-core.c`).

use std::io::{self, Read};

use super::object::{S_IFLNK, S_IFREG};
use super::variant_reader::{self, Member};
use super::{Error, Xattrs, file_header};

/// Type bits of a mode.
const S_IFMT: u32 = 0o170_000;
/// Names and values of all xattrs of a file are at most 64 KiB each on Linux, and a link's target is a path.
const HEADER_LIMIT: u32 = 1 << 20;

/// Everything of a file object but its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMeta {
    pub uid: u32,
    pub gid: u32,
    /// With the type bits: a regular file or a symbolic link.
    pub mode: u32,
    /// Of a symbolic link.
    pub target: String,
    pub xattrs: Xattrs,
}

/// What stands before the deflated content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilezHeader {
    /// Bytes of the inflated content; 0 for a symbolic link.
    pub size: u64,
    pub meta: FileMeta,
}

impl FileMeta {
    pub fn is_symlink(&self) -> bool {
        self.mode & S_IFMT == S_IFLNK
    }

    pub fn is_regular(&self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    /// What the object's checksum covers before the content.
    pub fn header(&self) -> Vec<u8> {
        file_header(self.uid, self.gid, self.mode, &self.target, &self.xattrs)
    }

    /// Reads `user.ostreemeta`. A symbolic link's target is the content of the file that has the xattr.
    pub fn from_bare_user(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |what| Error::Object { object: "user.ostreemeta", len: bytes.len(), what };
        let shape = [Member::Fixed(4), Member::Fixed(4), Member::Fixed(4), Member::Variable(1)];
        let members = variant_reader::tuple(bytes, shape);
        let [uid, gid, mode, xattrs] = members.ok_or_else(|| broken("it is not a (uuua(ayay))"))?;
        Self::new([uid, gid, mode], String::new(), xattrs).ok_or_else(|| broken(OF_NO_FILE))
    }

    /// Numbers are big-endian, whatever the container.
    fn new(numbers: [&[u8]; 3], target: String, xattrs: &[u8]) -> Option<Self> {
        let [uid, gid, mode] = numbers.map(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
        let meta = Self { uid: uid?, gid: gid?, mode: mode?, target, xattrs: Xattrs::parse(xattrs)? };
        let known = matches!(meta.mode & !0o7777, S_IFREG | S_IFLNK);
        known.then_some(meta)
    }
}

const OF_NO_FILE: &str = "it describes neither a regular file nor a symbolic link";

/// Reads the header and leaves `reader` at the content. What is wrong comes as `InvalidData`.
pub fn read(reader: &mut impl Read) -> io::Result<FilezHeader> {
    let mut prefix = [0; 8];
    reader.read_exact(&mut prefix)?;
    let [l0, l1, l2, l3, padding @ ..] = prefix;
    let len = u32::from_be_bytes([l0, l1, l2, l3]);
    if padding != [0; 4] || len > HEADER_LIMIT {
        return Err(invalid(format!("its header has {len} bytes, and {HEADER_LIMIT} are allowed")));
    }
    let mut bytes = vec![0; len as usize]; // at most HEADER_LIMIT
    reader.read_exact(&mut bytes)?;
    parse(&bytes).ok_or_else(|| invalid("its header is no (tuuuusa(ayay)) of a regular file or symbolic link".into()))
}

fn parse(bytes: &[u8]) -> Option<FilezHeader> {
    const NUMBER: Member = Member::Fixed(4);
    let shape = [Member::Fixed(8), NUMBER, NUMBER, NUMBER, NUMBER, Member::Variable(1), Member::Variable(1)];
    let [size, uid, gid, mode, rdev, target, xattrs] = variant_reader::tuple(bytes, shape)?;
    let target = variant_reader::string(target)?.to_owned();
    let meta = FileMeta::new([uid, gid, mode], target, xattrs)?;
    let size = u64::from_be_bytes(size.try_into().ok()?);
    let sound = rdev == [0; 4] && meta.is_symlink() != meta.target.is_empty() && !(meta.is_symlink() && size > 0);
    sound.then_some(FilezHeader { size, meta })
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the `ostree` program: a regular file of 6 bytes, 0:0 0100644.
    const HEADER: [u8; 34] = *b"\0\0\0\x1a\0\0\0\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\x81\xa4\0\0\0\0\0\x19";

    #[test]
    fn the_reader_stands_at_the_content_afterwards() {
        let bytes = [&HEADER[..], b"deflated"].concat();
        let mut reader = &bytes[..];
        let header = read(&mut reader).unwrap();
        assert_eq!((header.size, header.meta.mode, header.meta.is_symlink()), (6, 0o100_644, false));
        assert_eq!(reader, b"deflated");
    }

    #[test]
    fn every_truncation_and_every_other_kind_of_file_is_refused() {
        for len in 0..HEADER.len() {
            assert!(read(&mut &HEADER[..len]).is_err(), "{len}");
        }
        for (at, byte) in [(26, 0x21), (26, 0xa1), (31, 1), (4, 1), (0, 1)] {
            let mut bytes = HEADER;
            bytes[at] = byte;
            assert!(read(&mut &bytes[..]).is_err(), "byte {at}");
        }
    }
}
