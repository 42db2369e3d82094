//! The directories of a commit: all dirtree and dirmeta objects, and the tree they make.

use std::collections::{BTreeMap, HashMap};

use super::{Error, Result};
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
    /// Adds an object. Of a dirtree the objects it names come back: directories' first, then files'.
    pub fn add(&mut self, name: ObjectName, bytes: Vec<u8>) -> Result<(Vec<ObjectName>, Vec<ObjectName>)> {
        let broken = |source| Error::Object { object: name, source };
        self.bytes += bytes.len() as u64; // usize has at most 64 bits
        if self.bytes > BYTES {
            return Err(Error::TooLarge { what: "the commit's directories together".into(), limit: BYTES });
        }
        let mut named = (Vec::new(), Vec::new());
        if name.kind == ObjectKind::DirTree {
            let tree = DirTree::parse(&bytes).map_err(broken)?;
            let of_kind = |checksum, kind| ObjectName { checksum, kind };
            let directories = tree.dirs.values();
            named
                .0
                .extend(directories.flat_map(|&(tree, meta)| {
                    [of_kind(tree, ObjectKind::DirTree), of_kind(meta, ObjectKind::DirMeta)]
                }));
            named.1.extend(tree.files.values().map(|&checksum| of_kind(checksum, ObjectKind::File)));
            self.trees.insert(name.checksum, tree);
        } else {
            self.metas.insert(name.checksum, DirMeta::parse(&bytes).map_err(broken)?);
        }
        self.objects.insert(name, bytes);
        Ok(named)
    }

    /// The tree of the commit; `visit` is told every file, in the order of a walk by names.
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
            let checksum = if self.trees.contains_key(&tree) { meta } else { tree };
            return Err(Error::Incomplete { path: path.clone(), checksum });
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
