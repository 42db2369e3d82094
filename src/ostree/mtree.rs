//! The mutable tree: directories in memory, files as names of their objects. Written out as dirtree and dirmeta objects.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::metadata::dirtree;
use super::{Checksum, DirMeta, Name, ObjectKind, ObjectName};

/// How many directories below each other libostree follows when it pulls or prunes (`OSTREE_MAX_RECURSION`). What this room
/// builds from foreign bytes stays within it, so walking a tree may recurse.
pub const MAX_DEPTH: usize = 256;

/// A directory and everything below it. A name is in `files` or in `dirs`, never in both. Symbolic links are files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    pub meta: DirMeta,
    pub files: BTreeMap<Name, Checksum>,
    pub dirs: BTreeMap<Name, Directory>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    File(Checksum),
    Directory(&'a Directory),
}

impl Directory {
    /// An empty directory.
    pub fn new(meta: DirMeta) -> Self {
        Self { meta, files: BTreeMap::new(), dirs: BTreeMap::new() }
    }

    /// What is at `path`, which is relative to this directory; symbolic links are not followed. "" is the directory itself.
    pub fn lookup(&self, path: &str) -> Option<Node<'_>> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(Node::Directory(self), |node, name| match node {
            Node::Directory(directory) => directory.entry(name),
            Node::File(_) => None,
        })
    }

    fn entry(&self, name: &str) -> Option<Node<'_>> {
        let file = self.files.get(name).map(|&checksum| Node::File(checksum));
        file.or_else(|| self.dirs.get(name).map(Node::Directory))
    }

    /// Removes `name`, a directory with everything below it.
    pub fn remove(&mut self, name: &str) {
        self.files.remove(name);
        self.dirs.remove(name);
    }

    /// Hands every metadata object of this tree to `sink`, each once, those below before those above, and answers with the
    /// checksums of the root's dirtree and dirmeta.
    pub fn write(&self, sink: &mut dyn FnMut(ObjectName, Vec<u8>)) -> (Checksum, Checksum) {
        let mut writer = Writer { sink, written: BTreeSet::new() };
        writer.directory(self)
    }
}

struct Writer<'a> {
    sink: &'a mut dyn FnMut(ObjectName, Vec<u8>),
    written: BTreeSet<ObjectName>,
}

impl Writer<'_> {
    fn directory(&mut self, directory: &Directory) -> (Checksum, Checksum) {
        let mut dirs = Vec::with_capacity(directory.dirs.len());
        for (name, below) in &directory.dirs {
            let (tree, meta) = self.directory(below);
            dirs.push((name, tree, meta));
        }
        let files = directory.files.iter().map(|(name, &checksum)| (name, checksum));
        let tree = self.object(ObjectKind::DirTree, dirtree(files, dirs.into_iter()));
        let meta = self.object(ObjectKind::DirMeta, directory.meta.bytes());
        (tree, meta)
    }

    fn object(&mut self, kind: ObjectKind, bytes: Vec<u8>) -> Checksum {
        let name = ObjectName { checksum: Checksum::of(&bytes), kind };
        if self.written.insert(name) {
            (self.sink)(name, bytes);
        }
        name.checksum
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DirTree, Xattrs};
    use super::*;

    fn empty() -> Directory {
        Directory::new(DirMeta::new(0, 0, 0o755, Xattrs::default()))
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn objects_that_many_directories_share_are_written_once() {
        let mut root = empty();
        for below in ["a", "b", "c"] {
            root.dirs.insert(name(below), empty());
        }
        let mut objects = Vec::new();
        let (tree, meta) = root.write(&mut |name, bytes| objects.push((name, bytes)));
        let kinds: Vec<_> = objects.iter().map(|(name, _)| name.kind).collect();
        assert_eq!(kinds, [ObjectKind::DirTree, ObjectKind::DirMeta, ObjectKind::DirTree]);
        assert!(objects.iter().all(|(name, bytes)| Checksum::of(bytes) == name.checksum));
        assert_eq!((objects[2].0.checksum, objects[1].0.checksum), (tree, meta));
        assert_eq!(DirTree::parse(&objects[2].1).unwrap().dirs.len(), 3);
    }

    #[test]
    fn lookup_goes_by_names_and_does_not_pass_through_files() {
        let mut root = empty();
        let mut usr = empty();
        usr.files.insert(name("lib"), Checksum([7; 32]));
        root.dirs.insert(name("usr"), usr.clone());
        assert_eq!(root.lookup("usr/lib"), Some(Node::File(Checksum([7; 32]))));
        assert_eq!(root.lookup("/usr/"), Some(Node::Directory(&usr)));
        assert_eq!(root.lookup(""), Some(Node::Directory(&root)));
        assert_eq!(root.lookup("usr/lib/x").or(root.lookup("usr/../usr")).or(root.lookup("etc")), None);
    }

    #[test]
    fn the_deepest_tree_is_written_on_a_small_stack() {
        let deepest = (0..MAX_DEPTH).fold(empty(), |below, _| {
            let mut above = empty();
            above.dirs.insert(name("d"), below);
            above
        });
        let write = move || deepest.write(&mut |_, _| ()).1;
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(write).unwrap();
        assert_eq!(thread.join().unwrap(), empty().meta.checksum());
    }
}
