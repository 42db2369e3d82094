//! The files as a tree of directories: parents made, names checked, order and spelling independent of
//! the input's order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::name::{components, fold};
use super::{Error, File};

/// Directories and files by number; directory 0 is the root, a parent's number is below its children's.
pub struct Tree<'a> {
    pub directories: Vec<Directory<'a>>,
    pub files: Vec<&'a File>,
}

/// One directory.
pub struct Directory<'a> {
    /// Its path for messages, empty for the root.
    pub path: &'a str,
    pub parent: usize,
    /// By folded name, so in an order that case does not change.
    pub children: BTreeMap<String, Child<'a>>,
}

/// A name in a directory.
pub struct Child<'a> {
    pub name: &'a str,
    pub node: Node,
}

/// What a name stands for, by its number in the tree.
#[derive(Clone, Copy)]
pub enum Node {
    Directory(usize),
    File(usize),
}

impl<'a> Tree<'a> {
    /// The tree of `files`. Of several spellings of a directory the first in byte order stays.
    pub fn of(files: &'a [File]) -> Result<Self, Error> {
        let mut files: Vec<&File> = files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut tree = Self { directories: vec![Directory::new("", 0)], files };
        for index in 0..tree.files.len() {
            tree.add(index)?;
        }
        Ok(tree)
    }

    fn add(&mut self, index: usize) -> Result<(), Error> {
        let path = self.files[index].path.as_str();
        let mut directory = 0;
        let mut rest = path.len();
        let names = components(path)?;
        for name in names.iter().take(names.len() - 1) {
            let end = path.len() - rest + name.len();
            rest -= name.len() + 1;
            directory = self.enter(directory, name, &path[..end], path)?;
        }
        // OK to index: `split` gives at least one name.
        let name = names[names.len() - 1];
        match self.directories[directory].children.entry(fold(name)) {
            Entry::Vacant(vacant) => {
                let node = Node::File(index);
                vacant.insert(Child { name, node });
                Ok(())
            }
            Entry::Occupied(other) => {
                let other = other.get().node;
                Err(self.same_name(path, other))
            }
        }
    }

    /// The number of the directory `name` in `directory`, made if it is not there.
    fn enter(&mut self, directory: usize, name: &'a str, path: &'a str, file: &str) -> Result<usize, Error> {
        let made = self.directories.len();
        match self.directories[directory].children.entry(fold(name)) {
            Entry::Vacant(vacant) => {
                let node = Node::Directory(made);
                vacant.insert(Child { name, node });
                self.directories.push(Directory::new(path, directory));
                Ok(made)
            }
            Entry::Occupied(there) => match there.get().node {
                Node::Directory(number) => Ok(number),
                node => Err(self.same_name(file, node)),
            },
        }
    }

    fn same_name(&self, path: &str, other: Node) -> Error {
        let other = match other {
            Node::Directory(number) => self.directories[number].path,
            Node::File(number) => &self.files[number].path,
        };
        Error::SameName { path: path.into(), other: other.into() }
    }
}

impl<'a> Directory<'a> {
    fn new(path: &'a str, parent: usize) -> Self {
        Self { path, parent, children: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<File> {
        let empty = |path: &&str| File { path: path.to_string(), bytes: [].into() };
        paths.iter().map(empty).collect()
    }

    #[test]
    fn directories_that_differ_in_case_are_one() {
        let files = files(&["EFI/boot/b", "EFI/BOOT/a", "x"]);
        let tree = Tree::of(&files).unwrap();
        let paths: Vec<_> = tree.directories.iter().map(|d| d.path).collect();
        assert_eq!(paths, ["", "EFI", "EFI/BOOT"]);
        assert_eq!(tree.directories[2].children.len(), 2);
    }

    #[test]
    fn a_name_cannot_be_two_things() {
        for paths in [["a/B", "A/b"], ["a/b", "A"], ["A", "a/b"], ["same", "same"]] {
            let files = files(&paths);
            assert!(matches!(Tree::of(&files), Err(Error::SameName { .. })), "{paths:?}");
        }
    }
}
