//! What the reader answers with.

use super::Xattr;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Hardlink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
}

impl Kind {
    /// A regular file whose name ends in `/` is how v7 wrote directories. POSIX wants unknown kinds taken for regular files.
    pub(super) fn of(typeflag: u8, path: &[u8]) -> Self {
        match typeflag {
            b'1' => Self::Hardlink,
            b'2' => Self::Symlink,
            b'3' => Self::CharacterDevice,
            b'4' => Self::BlockDevice,
            b'5' | b'D' => Self::Directory,
            b'6' => Self::Fifo,
            b'S' => Self::Regular,
            _ if path.ends_with(b"/") => Self::Directory,
            _ => Self::Regular,
        }
    }
}

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// As written: may be absolute, contain `..`, or end with `/`.
    pub path: Vec<u8>,
    /// Target of a symbolic or hard link.
    pub link: Vec<u8>,
    /// The lower twelve bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of a regular file, holes included.
    pub size: u64,
    /// Of the header, in seconds since 1970; 0 where it is no such number.
    pub mtime: u64,
    /// In the order of the archive.
    pub xattrs: Vec<Xattr>,
}

/// A part of a regular file.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
}
