//! Making and replacing inodes of a [`Tree`].

use std::collections::BTreeMap;

use super::{Data, Inode, InodeId, Kind, Seconds, Stat, Tree};

impl Tree {
    /// Puts a new inode under `name`, in place of whatever had that name.
    ///
    /// Panics when `parent` is no directory: callers hold the id of one that they made or looked up as such.
    pub fn add(&mut self, parent: InodeId, name: &[u8], stat: Stat, kind: Kind) -> InodeId {
        let id = self.orphan(stat, kind);
        self.link(parent, name, id);
        id
    }

    /// A new inode that no directory names yet.
    pub fn orphan(&mut self, stat: Stat, kind: Kind) -> InodeId {
        let index =
            u32::try_from(self.inodes.len()).expect("fewer than 2^32 inodes: each takes over 100 bytes of memory");
        self.inodes.push(Inode { stat, kind, immutable: false });
        InodeId(index)
    }

    /// A second name for an inode that is there already.
    pub fn link(&mut self, parent: InodeId, name: &[u8], id: InodeId) {
        match &mut self.inode_mut(parent).kind {
            Kind::Directory(entries) => entries.insert(name.into(), id),
            _ => panic!("only directories hold names"),
        };
    }

    pub fn unlink(&mut self, parent: InodeId, name: &[u8]) {
        if let Kind::Directory(entries) = &mut self.inode_mut(parent).kind {
            entries.remove(name);
        }
    }

    pub fn add_directory(&mut self, parent: InodeId, name: &str, stat: Stat) -> InodeId {
        self.add(parent, name.as_bytes(), stat, Kind::Directory(BTreeMap::new()))
    }

    pub fn add_file(&mut self, parent: InodeId, name: &str, stat: Stat, bytes: impl Into<Vec<u8>>) -> InodeId {
        self.add(parent, name.as_bytes(), stat, Kind::Regular(Data::Bytes(bytes.into().into())))
    }

    pub fn add_symlink(&mut self, parent: InodeId, name: &str, stat: Stat, target: &str) -> InodeId {
        self.add(parent, name.as_bytes(), stat, Kind::Symlink(target.as_bytes().into()))
    }

    /// The directory at `path` below `from`, made where it is missing, each with `stat`. Links are not followed: a name on the
    /// way that is no directory is replaced.
    pub fn ensure_directories(&mut self, from: InodeId, path: &str, stat: &Stat) -> InodeId {
        path.split('/').filter(|name| !name.is_empty()).fold(from, |parent, name| {
            match self.child(parent, name.as_bytes()) {
                Some(id) if self.is_directory(id) => id,
                _ => self.add_directory(parent, name, stat.clone()),
            }
        })
    }

    /// A deep copy with inodes of its own, named by nobody yet; `modified` replaces all times.
    pub fn copy(&mut self, from: InodeId, modified: Seconds) -> InodeId {
        let mut inode = self.inode(from).clone();
        inode.stat.modified = modified;
        if let Kind::Directory(entries) = &mut inode.kind {
            for child in entries.values_mut() {
                *child = self.copy(*child, modified);
            }
        }
        self.orphan(inode.stat, inode.kind)
    }
}
