//! Why a tree cannot become an ext4 filesystem. Inodes are named by their index in the caller's tree.

/// Everything that can be wrong with the input of this room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the tree has no inode, or its first one is not a directory")]
    NoRoot,
    #[error("the tree has {inodes} inodes, ext4 numbers {limit}")]
    TooManyInodes { inodes: u64, limit: u64 },
    #[error("directory {directory} names inode {index}, but the tree has {inodes} inodes")]
    NoSuchInode { directory: usize, index: usize, inodes: usize },
    #[error("inode {index} is a directory and has more than one name")]
    DirectoryLinkedTwice { index: usize },
    #[error("inode {index} cannot be reached from the root")]
    Unreachable { index: usize },
    #[error("inode {index} has {links} names, ext4 allows 65000")]
    TooManyLinks { index: usize, links: u64 },
    #[error("directory {directory} has a name of {len} bytes, ext4 allows 1 to 255")]
    NameLength { directory: usize, len: usize },
    #[error("directory {directory} has the name {name:?}: `.`, `..`, `/` and NUL are not for names")]
    NameForbidden { directory: usize, name: String },
    #[error("directory {directory} has the name {name:?} twice")]
    NameTwice { directory: usize, name: String },
    #[error("`lost+found` in the root directory has to be a directory")]
    LostAndFound,
    #[error("directory {directory} needs {leaves} blocks of names, an index of two levels reaches {limit}")]
    DirectoryTooLarge { directory: usize, leaves: u64, limit: u64 },

    #[error("inode {index} has permissions {permissions:#o}, more than 0o7777")]
    Permissions { index: usize, permissions: u16 },
    #[error("inode {index} has a time with {nanoseconds} nanoseconds, a second has 10^9")]
    Nanoseconds { index: usize, nanoseconds: u32 },
    #[error("inode {index}: device {major}:{minor} does not fit 12 and 20 bits")]
    Device { index: usize, major: u32, minor: u32 },
    #[error("symlink {index} has a target of {len} bytes, ext4 holds 1 to 4095")]
    SymlinkLength { index: usize, len: usize },
    #[error("symlink {index} has a NUL in its target")]
    SymlinkNul { index: usize },

    #[error("file {index} is {len} bytes long, ext4 with 4 KiB blocks holds less than 16 TiB")]
    FileTooLarge { index: usize, len: u64 },
    #[error("file {index}: its piece at byte {at} does not start on a block after the piece before it")]
    PieceMisplaced { index: usize, at: u64 },
    #[error("file {index}: its piece at byte {at} of {piece} bytes is not inside its {len} bytes")]
    PieceOutside { index: usize, at: u64, piece: u64, len: u64 },
    #[error("file {index}: its piece at byte {at} says {said} bytes and brings {brought}")]
    PieceLength { index: usize, at: u64, said: u64, brought: u64 },

    #[error("inode {index}: ext4 has no place for an extended attribute named {name:?}")]
    XattrName { index: usize, name: String },
    #[error("inode {index} has the extended attribute {name:?} twice")]
    XattrTwice { index: usize, name: String },
    #[error("inode {index}: its extended attributes need {need} bytes, the block for them has {room}")]
    XattrsTooLarge { index: usize, need: usize, room: usize },
    #[error("inode {index}: its POSIX ACL of {len} bytes is not in version 2 form")]
    Acl { index: usize, len: usize },

    #[error("the label is {len} bytes long, ext4 holds 16")]
    Label { len: usize },
    #[error("{bytes} bytes are too few for an ext4 filesystem")]
    TooSmall { bytes: u64 },
    #[error("{blocks} blocks are more than the 2^32 - 1 this writer places")]
    TooLarge { blocks: u64 },
    #[error("the tree needs {need} blocks of 4 KiB, the filesystem has {have}")]
    NoSpace { need: u64, have: u64 },
    #[error("{need} inodes are needed, a filesystem of {groups} block groups holds {have}")]
    NoInodes { need: u64, have: u64, groups: u64 },
}
