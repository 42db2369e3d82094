//! A filesystem in memory: what a finished disk's filesystem holds, before any format is chosen.
//!
//! Metadata is here; the bytes of files are here when they are small and ours, and in the spool when they came with the image.
//! A hardlink is two names for one inode. How the tree becomes blocks is the business of the filesystem leaves.

mod edit;
mod files;
mod path;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ostree::Xattrs;
use crate::spool::Content;

pub use files::{Files, ReadError};
pub use path::PathError;

/// Seconds since 1970, UTC.
pub type Seconds = i64;

/// A file's name: bytes without `/` and NUL, at most 255 of them.
pub type Name = Box<[u8]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

impl InodeId {
    /// Where the inode stands in [`Tree::inodes`].
    pub fn index(self) -> usize {
        self.0 as usize // a u32 fits every usize we build for
    }
}

/// Who may do what with an inode, and since when. `permissions` are the twelve bits 07777.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub permissions: u16,
    pub uid: u32,
    pub gid: u32,
    pub modified: Seconds,
    pub xattrs: Xattrs,
}

impl Stat {
    /// root's, without extended attributes.
    pub fn root(permissions: u16, modified: Seconds) -> Stat {
        Stat { permissions, uid: 0, gid: 0, modified, xattrs: Xattrs::default() }
    }
}

#[derive(Clone, Debug)]
pub enum Kind {
    Directory(BTreeMap<Name, InodeId>),
    Regular(Data),
    Symlink(Box<[u8]>),
}

/// The bytes of a regular file.
#[derive(Clone, Debug)]
pub enum Data {
    Bytes(Arc<[u8]>),
    Spooled(Content),
}

impl Data {
    pub fn len(&self) -> u64 {
        match self {
            Data::Bytes(bytes) => bytes.len() as u64, // usize is at most 64 bits
            Data::Spooled(content) => content.len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Debug)]
pub struct Inode {
    pub stat: Stat,
    pub kind: Kind,
    /// The immutable flag (`chattr +i`).
    pub immutable: bool,
}

/// A directory tree; the root is always there.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
}

impl Tree {
    pub const ROOT: InodeId = InodeId(0);

    pub fn new(root: Stat) -> Tree {
        Tree { inodes: vec![Inode { stat: root, kind: Kind::Directory(BTreeMap::new()), immutable: false }] }
    }

    /// Every inode that was ever made, the root first. What no directory names is not part of the filesystem.
    pub fn inodes(&self) -> &[Inode] {
        &self.inodes
    }

    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.index()]
    }

    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.index()]
    }

    /// The names in a directory, in byte order; nothing for what is no directory.
    pub fn entries(&self, id: InodeId) -> impl Iterator<Item = (&[u8], InodeId)> {
        let entries = match &self.inode(id).kind {
            Kind::Directory(entries) => Some(entries),
            _ => None,
        };
        entries.into_iter().flatten().map(|(name, id)| (&**name, *id))
    }

    pub fn child(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        match &self.inode(directory).kind {
            Kind::Directory(entries) => entries.get(name).copied(),
            _ => None,
        }
    }

    pub fn is_directory(&self, id: InodeId) -> bool {
        matches!(self.inode(id).kind, Kind::Directory(_))
    }
}
