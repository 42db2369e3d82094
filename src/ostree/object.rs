//! File objects: the header and content that a file's or symbolic link's checksum covers (libostree `ostree-core.c`).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::variant::Tuple;
use super::{Checksum, Xattrs};

/// Type bits of a regular file in `mode`.
pub const S_IFREG: u32 = 0o100_000;
/// Type bits of a symbolic link in `mode`.
pub const S_IFLNK: u32 = 0o120_000;
/// Type bits of a directory in `mode`.
pub const S_IFDIR: u32 = 0o040_000;

/// The kinds of object a bare repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// A regular file or a symbolic link.
    File,
    /// The names in a directory.
    DirTree,
    /// Owner, mode and xattrs of a directory.
    DirMeta,
    /// A commit.
    Commit,
    /// What was said of a commit afterwards, such as signatures: `a{sv}`, named by the commit's checksum and not covered by it.
    CommitMeta,
}

impl fmt::Display for ObjectKind {
    /// The suffix of the object's file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::DirTree => "dirtree",
            Self::DirMeta => "dirmeta",
            Self::Commit => "commit",
            Self::CommitMeta => "commitmeta",
        })
    }
}

/// What an object is called in its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    pub checksum: Checksum,
    pub kind: ObjectKind,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.checksum, self.kind)
    }
}

/// The bytes that come before the content in the checksum of a file object: length (u32 BE), four zero bytes, and the
/// variant `(uuuusa(ayay))`. `mode` includes the type bits, `target` is empty for a regular file.
pub fn file_header(uid: u32, gid: u32, mode: u32, target: &str, xattrs: &Xattrs) -> Vec<u8> {
    let rdev = 0_u32;
    let header = Tuple::new()
        .fixed(uid.to_be_bytes())
        .fixed(gid.to_be_bytes())
        .fixed(mode.to_be_bytes())
        .fixed(rdev.to_be_bytes())
        .string(target)
        .variable(1, &xattrs.bytes())
        .finish();
    // OK to expect: the xattrs of one file and a path are far from 4 GiB in any tar reader's memory.
    let len = u32::try_from(header.len()).expect("a file header below 4 GiB");
    [&len.to_be_bytes()[..], &[0; 4], &header].concat()
}

/// The checksum of a symbolic link. Its mode is 0120777 whatever the tar header says: that is what Linux reads back, and
/// anything else would be a corrupt object to `ostree fsck`.
pub fn symlink_checksum(uid: u32, gid: u32, target: &str, xattrs: &Xattrs) -> Checksum {
    Checksum::of(&file_header(uid, gid, S_IFLNK | 0o777, target, xattrs))
}

/// Computes the checksum of a regular file while its content streams by.
#[derive(Clone)]
pub struct FileHasher(Sha256);

impl FileHasher {
    /// Starts with the bytes of `file_header`.
    pub fn new(header: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(header))
    }

    /// Adds the next bytes of the content.
    pub fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    /// The object's name, after all of the content.
    pub fn finish(self) -> Checksum {
        Checksum(self.0.finalize().into())
    }
}
