//! The deployed commit as a tree whose files are hardlinks to the repository's objects (libostree `ostree-repo-checkout.c`).

use std::collections::BTreeMap;

use super::DeployError;
use crate::image::{Contents, Object, Payload};
use crate::ostree::{Checksum, DirMeta, Directory};
use crate::tree::{Data, InodeId, Kind, Stat, Tree};

/// ext4 allows 65000 links to an inode; a few are kept for the upgrades to come.
const LINKS_PER_OBJECT: u32 = 64_000;

/// Files so called become overlayfs whiteouts, character devices, at checkout.
const EMBEDDED_WHITEOUT: &str = ".ostree-wh.";

/// A fresh filesystem that holds the deployment, not yet linked anywhere, and the objects it is made of.
pub struct CommitTree {
    pub tree: Tree,
    /// The deployment's root directory.
    pub deployment: InodeId,
    /// Every file object.
    pub objects: BTreeMap<Checksum, InodeId>,
}

impl CommitTree {
    /// Checks out a commit's tree. `time` goes to the physical root; objects and directories of the deployment have time 0.
    pub fn checkout(contents: &Contents, root: &Directory, time: i64) -> Result<CommitTree, DeployError> {
        let mut tree = Tree::new(Stat::root(0o755, time));
        let objects = contents.objects.iter();
        let objects = objects
            .map(|(checksum, object)| (*checksum, tree.orphan(object_stat(object), object_kind(object))))
            .collect();
        let links = vec![0; tree.inodes().len()];
        let mut checkout = Checkout { contents, tree, objects, links };
        let deployment = checkout.tree.orphan(directory_stat(&root.meta), Kind::Directory(BTreeMap::new()));
        checkout.fill(deployment, root)?;
        Ok(CommitTree { tree: checkout.tree, deployment, objects: checkout.objects })
    }
}

struct Checkout<'a> {
    contents: &'a Contents,
    tree: Tree,
    objects: BTreeMap<Checksum, InodeId>,
    /// How often each object is linked so far, by [`InodeId::index`].
    links: Vec<u32>,
}

impl Checkout<'_> {
    fn fill(&mut self, into: InodeId, directory: &Directory) -> Result<(), DeployError> {
        for (name, checksum) in &directory.files {
            if name.starts_with(EMBEDDED_WHITEOUT) {
                return Err(DeployError::EmbeddedWhiteout { path: name.to_string() });
            }
            let inode = self.linked(checksum)?;
            self.tree.link(into, name.as_bytes(), inode);
        }
        for (name, child) in &directory.dirs {
            let stat = directory_stat(&child.meta);
            let inode = self.tree.add(into, name.as_bytes(), stat, Kind::Directory(BTreeMap::new()));
            self.fill(inode, child)?;
        }
        Ok(())
    }

    /// The object's own inode, or a copy where libostree makes one too: of empty files, and when the links are used up.
    fn linked(&mut self, checksum: &Checksum) -> Result<InodeId, DeployError> {
        let object = self.objects.get(checksum).copied().ok_or(DeployError::MissingObject(*checksum))?;
        let links = &mut self.links[object.index()];
        let empty = matches!(&self.tree.inode(object).kind, Kind::Regular(data) if data.is_empty());
        if empty || *links >= LINKS_PER_OBJECT {
            return self.make(checksum);
        }
        *links += 1;
        Ok(object)
    }

    fn make(&mut self, checksum: &Checksum) -> Result<InodeId, DeployError> {
        let object = self.contents.objects.get(checksum).ok_or(DeployError::MissingObject(*checksum))?;
        Ok(self.tree.orphan(object_stat(object), object_kind(object)))
    }
}

fn object_stat(object: &Object) -> Stat {
    // The mask leaves twelve bits.
    let permissions = (object.mode & 0o7777) as u16;
    Stat { permissions, uid: object.uid, gid: object.gid, modified: 0, xattrs: object.xattrs.clone() }
}

fn object_kind(object: &Object) -> Kind {
    match &object.payload {
        Payload::Regular(content) if content.len == 0 => Kind::Regular(Data::Bytes([].into())),
        Payload::Regular(content) => Kind::Regular(Data::Spooled(*content)),
        Payload::Symlink(target) => Kind::Symlink(target.clone()),
    }
}

fn directory_stat(meta: &DirMeta) -> Stat {
    let permissions = (meta.mode & 0o7777) as u16; // twelve bits
    Stat { permissions, uid: meta.uid, gid: meta.gid, modified: 0, xattrs: meta.xattrs.clone() }
}
