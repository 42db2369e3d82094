//! One layer's tar entries, in their order, as a tree: what `ostree commit --tar-autocreate-parents --tree=tar` makes of them
//! behind ostree-ext's filter (libostree `ostree-repo-libarchive.c`; measured on bootc 1.16.9).
//!
//! Paths come in as `tar_filter` left them. Of entries for one path the last wins, also when it is of another kind (libostree
//! refuses that); a directory repeated keeps what is in it. Whiteouts are ordinary files here.

use std::collections::BTreeMap;

use super::hardlinks;
use super::mtree::MAX_DEPTH;
use super::name::path_text;
use super::{Checksum, DirMeta, Directory, Error, Name, Xattrs};

/// Owner of an entry, for the parents it may need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// A layer under construction.
pub struct LayerTree {
    root: Branch,
    /// Directories that came into being without an entry.
    implied: u64,
}

/// A directory of the layer.
pub(super) struct Branch {
    meta: DirMeta,
    pub(super) nodes: BTreeMap<Name, LayerNode>,
}

/// What a name of the layer stands for.
pub(super) enum LayerNode {
    File(Checksum),
    Hardlink(Box<[Name]>),
    Directory(Branch),
}

impl LayerTree {
    /// A layer without entries: a root of 0755 0:0.
    pub fn new() -> Self {
        Self { root: Branch::implied(Owner::default()), implied: 0 }
    }

    /// How many directories came into being without an entry of their own.
    pub fn implied(&self) -> u64 {
        self.implied
    }

    /// Adds a directory, or gives one that is there already this metadata. The root entry (an empty path) is ignored, as
    /// ostree-ext's filter does not pass it on.
    pub fn directory(&mut self, path: &[Name], meta: DirMeta) -> Result<(), Error> {
        if path.is_empty() {
            return Ok(());
        }
        let (parent, name) = self.parent(path, Owner { uid: meta.uid, gid: meta.gid })?;
        match parent.nodes.get_mut(name) {
            Some(LayerNode::Directory(branch)) => branch.meta = meta,
            _ => parent.put(name, LayerNode::Directory(Branch { meta, nodes: BTreeMap::new() })),
        }
        Ok(())
    }

    /// Adds a regular file or a symbolic link by its object; `owner` is the entry's, for parents that are missing.
    pub fn file(&mut self, path: &[Name], checksum: Checksum, owner: Owner) -> Result<(), Error> {
        let (parent, name) = self.parent(path, owner)?;
        parent.put(name, LayerNode::File(checksum));
        Ok(())
    }

    /// Adds a hard link to the file that `target` is when the layer ends. A link to itself changes nothing.
    pub fn hardlink(&mut self, path: &[Name], target: &[Name], owner: Owner) -> Result<(), Error> {
        let (parent, name) = self.parent(path, owner)?;
        if path != target || !parent.nodes.contains_key(name) {
            parent.put(name, LayerNode::Hardlink(target.into()));
        }
        Ok(())
    }

    /// Resolves the hard links, also those to other hard links, and hands over the tree.
    pub fn finish(self) -> Result<Directory, Error> {
        let resolved = hardlinks::resolve(&self.root)?;
        Ok(self.root.finish(&mut resolved.into_iter()))
    }

    fn parent<'a, 'b>(&'a mut self, path: &'b [Name], owner: Owner) -> Result<(&'a mut Branch, &'b Name), Error> {
        let (name, parents) = path.split_last().ok_or(Error::RootIsNotADirectory)?;
        if path.len() > MAX_DEPTH {
            return Err(Error::TooDeep { path: path_text(path), depth: path.len(), limit: MAX_DEPTH });
        }
        if !self.root.has_directory(parents) {
            self.implied += self.root.imply(path, owner)?;
        }
        let parent = parents.iter().try_fold(&mut self.root, |branch, name| branch.below(name));
        // OK to expect: every parent was found or has just been created.
        Ok((parent.expect("the parent directory"), name))
    }
}

impl Default for LayerTree {
    fn default() -> Self {
        Self::new()
    }
}

impl Branch {
    fn implied(owner: Owner) -> Self {
        Self { meta: implied_meta(owner), nodes: BTreeMap::new() }
    }

    /// Creates the missing parents of `path`. Those that are there, and the root, get the same metadata: 0755, the owner of the
    /// entry, no xattrs, even if they were given explicitly. libostree does so whenever the direct parent is missing. Answers how many
    /// were missing.
    fn imply(&mut self, path: &[Name], owner: Owner) -> Result<u64, Error> {
        self.meta = implied_meta(owner);
        let (mut branch, mut missing) = (self, 0);
        for (depth, name) in path[..path.len() - 1].iter().enumerate() {
            let node = branch.nodes.entry(name.clone()).or_insert_with(|| {
                missing += 1;
                LayerNode::Directory(Self::implied(owner))
            });
            let LayerNode::Directory(below) = node else {
                return Err(Error::ParentIsNotADirectory { path: path_text(path), parent: path_text(&path[..=depth]) });
            };
            below.meta = implied_meta(owner);
            branch = below;
        }
        Ok(missing)
    }

    fn put(&mut self, name: &Name, node: LayerNode) {
        self.nodes.insert(name.clone(), node);
    }

    fn below(&mut self, name: &Name) -> Option<&mut Self> {
        match self.nodes.get_mut(name)? {
            LayerNode::Directory(branch) => Some(branch),
            _ => None,
        }
    }

    fn has_directory(&self, path: &[Name]) -> bool {
        path.is_empty() || matches!(self.node(path), Some(LayerNode::Directory(_)))
    }

    /// What is at `path`, which is not empty.
    pub(super) fn node(&self, path: &[Name]) -> Option<&LayerNode> {
        let (name, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(self, |branch, name| match branch.nodes.get(name)? {
            LayerNode::Directory(below) => Some(below),
            _ => None,
        })?;
        parent.nodes.get(name)
    }

    /// `resolved` brings the objects of the hard links in the order of this walk.
    fn finish(self, resolved: &mut impl Iterator<Item = Checksum>) -> Directory {
        let mut directory = Directory::new(self.meta);
        for (name, node) in self.nodes {
            match node {
                LayerNode::File(checksum) => drop(directory.files.insert(name, checksum)),
                LayerNode::Hardlink(_) => directory.files.extend(resolved.next().map(|checksum| (name, checksum))),
                LayerNode::Directory(branch) => drop(directory.dirs.insert(name, branch.finish(resolved))),
            }
        }
        directory
    }
}

fn implied_meta(owner: Owner) -> DirMeta {
    DirMeta::new(owner.uid, owner.gid, 0o755, Xattrs::default())
}
