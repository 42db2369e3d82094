//! The directories of a commit: all dirtree and dirmeta objects, and the tree they make.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::crew::Crew;
use super::{Error, Repository, Result, fetch};
use crate::ostree::mtree::MAX_DEPTH;
use crate::ostree::{self, Checksum, Commit, DirMeta, DirTree, Directory, Name, ObjectKind, ObjectName};

/// What all objects but files may take in memory.
const BYTES: u64 = 1 << 30;
/// Names in a tree. Few objects can make many names: a directory may stand in a tree any number of times.
const NAMES: usize = 4_000_000;

/// Every dirtree and dirmeta object below a commit.
#[derive(Default)]
pub struct Directories {
    pub objects: BTreeMap<ObjectName, Vec<u8>>,
    // Looked up only, so their order does not show.
    trees: HashMap<Checksum, DirTree>,
    metas: HashMap<Checksum, DirMeta>,
    bytes: u64,
}

impl Directories {
    /// Fetches them, those of one depth at once.
    pub fn fetch(
        repository: &dyn Repository,
        known: &BTreeMap<ObjectName, Vec<u8>>,
        commit: &Commit,
        at_once: usize,
    ) -> Result<Self> {
        let mut directories = Self::default();
        let mut metas = BTreeSet::from([commit.root_meta]);
        let mut level = vec![commit.root_tree];
        for _ in 0..=MAX_DEPTH {
            let mut below = BTreeSet::new();
            for (name, bytes) in objects(repository, known, ObjectKind::DirTree, &level, at_once)? {
                let tree = DirTree::parse(&bytes).map_err(|source| Error::Object { object: name, source })?;
                for &(child, meta) in tree.dirs.values() {
                    below.insert(child);
                    metas.insert(meta);
                }
                directories.trees.insert(name.checksum, tree);
                directories.keep(name, bytes)?;
            }
            level = below.into_iter().filter(|checksum| !directories.trees.contains_key(checksum)).collect();
        }
        let metas: Vec<_> = metas.into_iter().collect();
        for (name, bytes) in objects(repository, known, ObjectKind::DirMeta, &metas, at_once)? {
            let meta = DirMeta::parse(&bytes).map_err(|source| Error::Object { object: name, source })?;
            directories.metas.insert(name.checksum, meta);
            directories.keep(name, bytes)?;
        }
        Ok(directories)
    }

    fn keep(&mut self, name: ObjectName, bytes: Vec<u8>) -> Result<()> {
        self.bytes += bytes.len() as u64; // usize has at most 64 bits
        if self.bytes > BYTES {
            return Err(Error::TooLarge { what: "the commit's directories together".into(), limit: BYTES });
        }
        self.objects.insert(name, bytes);
        Ok(())
    }

    /// The tree of the commit, and each file object of it once, in the order of a walk by names; `visit` is told every path.
    pub fn tree(&self, commit: &Commit, visit: &mut dyn FnMut(&str, Checksum)) -> Result<Directory> {
        let mut names = 0;
        self.directory((commit.root_tree, commit.root_meta), &mut String::new(), 0, &mut names, visit)
    }

    fn directory(
        &self,
        (tree, meta): (Checksum, Checksum),
        path: &mut String,
        depth: usize,
        names: &mut usize,
        visit: &mut dyn FnMut(&str, Checksum),
    ) -> Result<Directory> {
        let (Some(tree), Some(meta)) = (self.trees.get(&tree), self.metas.get(&meta)) else {
            // Only levels below the deepest were not fetched.
            return Err(self.too_deep(path));
        };
        if depth > MAX_DEPTH {
            return Err(self.too_deep(path));
        }
        *names += tree.files.len() + tree.dirs.len();
        if *names > NAMES {
            return Err(Error::TooManyNames { limit: NAMES });
        }
        let mut directory = Directory::new(meta.clone());
        for (name, &checksum) in &tree.files {
            within(path, name, |path| visit(path, checksum));
            directory.files.insert(name.clone(), checksum);
        }
        for (name, &objects) in &tree.dirs {
            let child = within(path, name, |path| self.directory(objects, path, depth + 1, names, visit))?;
            directory.dirs.insert(name.clone(), child);
        }
        Ok(directory)
    }

    fn too_deep(&self, path: &str) -> Error {
        Error::Tree(ostree::Error::TooDeep { path: path.to_owned(), depth: MAX_DEPTH + 1, limit: MAX_DEPTH })
    }
}

/// Calls `then` with `path` one name longer.
fn within<T>(path: &mut String, name: &Name, then: impl FnOnce(&mut String) -> T) -> T {
    let len = path.len();
    if len > 0 {
        path.push('/');
    }
    path.push_str(name);
    let result = then(path);
    path.truncate(len);
    result
}

/// The objects of one kind with these checksums, out of `known` or from the repository.
fn objects(
    repository: &dyn Repository,
    known: &BTreeMap<ObjectName, Vec<u8>>,
    kind: ObjectKind,
    checksums: &[Checksum],
    at_once: usize,
) -> Result<Vec<(ObjectName, Vec<u8>)>> {
    let order: Vec<usize> = (0..checksums.len()).collect();
    let fetch = |piece: usize| {
        let name = ObjectName { checksum: checksums[piece], kind };
        let bytes = known.get(&name).cloned();
        let bytes = bytes.map_or_else(|| fetch::required(repository, name), Ok)?;
        Ok((name, bytes))
    };
    Crew::new(at_once).run(&order, || (), |(), piece| fetch(piece), Ok)
}
