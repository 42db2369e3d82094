//! The words of the caller: what shall be in the filesystem, and what it gets back.
//!
//! Nothing is checked here; `namespace` checks names and links, `usage` the numbers.

use std::sync::Arc;

/// What is chosen once per filesystem.
#[derive(Clone, Debug)]
pub struct Options {
    /// `s_uuid`; enters every checksum.
    pub uuid: [u8; 16],
    /// `s_hash_seed` of hashed directories; all zero means the hash's own initial value.
    pub hash_seed: [u8; 16],
    /// `s_volume_name`, at most 16 bytes.
    pub label: String,
    /// Time of creation in seconds since 1970, clamped to 0 ..= 2^40 - 1; also the time of inodes that nobody asked for.
    pub time: i64,
    /// Sets the `verity` feature, so that fs-verity can be turned on for files later.
    pub verity: bool,
}

/// Seconds since 1970 and nanoseconds below 10^9. ext4 holds 1901-12-13 to 2446-05-10; beyond, the nearest is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// The whole tree. `inodes[0]` is the root directory; an inode named by several entries is a hard link.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub inodes: Vec<Inode>,
}

#[derive(Clone, Debug)]
pub struct Inode {
    /// The low twelve bits of the mode, 07777.
    pub permissions: u16,
    pub uid: u32,
    pub gid: u32,
    pub accessed: Timestamp,
    pub changed: Timestamp,
    pub modified: Timestamp,
    pub created: Timestamp,
    /// The `chattr +i` flag.
    pub immutable: bool,
    /// Full names (`security.selinux`) and values as `getxattr` returns them; POSIX ACLs in their version 2 form.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// Names with indices into [`Tree::inodes`], without `.` and `..`.
    Directory(Vec<(Vec<u8>, usize)>),
    Regular(Data),
    /// The target, 1 to 4095 bytes without NUL.
    Symlink(Vec<u8>),
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
    Socket,
}

/// Content of a regular file: `len` bytes, holes where no piece is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    pub len: u64,
    /// Increasing, disjoint, inside `len`.
    pub pieces: Vec<Piece>,
}

/// `len` bytes of a file from byte `at`, a multiple of 4096. The rest of its last block is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub at: u64,
    pub len: u64,
    pub from: From,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// These bytes, as many as the length beside it says.
    Bytes(Arc<[u8]>),
    /// An offset in a store that only the caller knows. When the offset is a multiple of 4096, the store must be zero
    /// from the end of the piece to the next multiple of 4096: neighbours in the store become one extent.
    Source(u64),
}

/// Bytes of the finished filesystem. Everything between two extents, and after the last, is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Byte offset from the start of the filesystem.
    pub at: u64,
    pub len: u64,
    pub from: From,
}

impl Extent {
    pub fn end(&self) -> u64 {
        self.at + self.len
    }
}

impl Data {
    /// A file of no bytes.
    pub fn empty() -> Data {
        Data::default()
    }

    /// A file of just these bytes.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Data {
        let bytes = bytes.into();
        let len = bytes.len() as u64; // no platform has wider lengths
        Data::whole(len, From::Bytes(bytes))
    }

    /// A file of `len` bytes that lie at `offset` in the caller's store.
    pub fn source(offset: u64, len: u64) -> Data {
        Data::whole(len, From::Source(offset))
    }

    /// `len` bytes of nothing but a hole.
    pub fn hole(len: u64) -> Data {
        Data { len, pieces: Vec::new() }
    }

    fn whole(len: u64, from: From) -> Data {
        let pieces = if len == 0 { Vec::new() } else { vec![Piece { at: 0, len, from }] };
        Data { len, pieces }
    }
}

impl Kind {
    /// The file type bits of `i_mode`.
    pub(super) fn mode(&self) -> u16 {
        match self {
            Kind::Fifo => 0o010000,
            Kind::CharDevice { .. } => 0o020000,
            Kind::Directory(_) => 0o040000,
            Kind::BlockDevice { .. } => 0o060000,
            Kind::Regular(_) => 0o100000,
            Kind::Symlink(_) => 0o120000,
            Kind::Socket => 0o140000,
        }
    }

    /// The `file_type` of a directory entry.
    pub(super) fn file_type(&self) -> u8 {
        match self {
            Kind::Regular(_) => 1,
            Kind::Directory(_) => 2,
            Kind::CharDevice { .. } => 3,
            Kind::BlockDevice { .. } => 4,
            Kind::Fifo => 5,
            Kind::Socket => 6,
            Kind::Symlink(_) => 7,
        }
    }
}
