//! Walks the tree from its root: checks names and links, counts them, and numbers the inodes.

use super::error::Error;
use super::superblock::FIRST_INODE;
use super::tree::{Kind, Tree};

pub const ROOT_INODE: u32 = 2;
pub const LOST_AND_FOUND: &[u8] = b"lost+found";
const LOST_AND_FOUND_INODE: u32 = FIRST_INODE;
/// So that every number, special inodes included, has 32 bits.
const MOST_INODES: u64 = u32::MAX as u64 - FIRST_INODE as u64;
/// `EXT4_LINK_MAX`.
const MOST_LINKS: u64 = 65000;

/// What the walk found, by index in the caller's tree.
pub struct Namespace {
    /// Inode numbers, none of them 0. The children of a directory follow each other.
    pub numbers: Vec<u32>,
    /// Indices in order of inode number.
    pub order: Vec<usize>,
    /// `i_links_count`.
    pub links: Vec<u16>,
    /// Inode number of the directory that a directory is in; meaningless for others.
    pub parents: Vec<u32>,
    /// `lost+found`, when the caller brings it.
    pub lost_and_found: Option<usize>,
    /// The highest inode number.
    pub last: u32,
}

impl Namespace {
    pub fn walk(tree: &Tree) -> Result<Namespace, Error> {
        let mut walk = Walk::new(tree)?;
        let mut directories = vec![0];
        while let Some(directory) = directories.pop() {
            let first = directories.len();
            walk.visit(directory, &mut directories)?;
            directories[first..].reverse();
        }
        walk.finish()
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    found: Namespace,
    names: Vec<u64>,
    subdirectories: Vec<u64>,
}

impl Walk<'_> {
    fn new(tree: &Tree) -> Result<Walk<'_>, Error> {
        let count = tree.inodes.len();
        if !matches!(tree.inodes.first().map(|inode| &inode.kind), Some(Kind::Directory(_))) {
            return Err(Error::NoRoot);
        }
        let inodes = count as u64; // a length
        if inodes > MOST_INODES {
            return Err(Error::TooManyInodes { inodes, limit: MOST_INODES });
        }
        let mut numbers = vec![0; count];
        numbers[0] = ROOT_INODE;
        let found = Namespace {
            numbers,
            order: Vec::with_capacity(count),
            links: Vec::new(),
            parents: vec![ROOT_INODE; count],
            lost_and_found: None,
            last: LOST_AND_FOUND_INODE,
        };
        Ok(Walk { tree, found, names: vec![0; count], subdirectories: vec![0; count] })
    }

    /// Numbers what this directory names; its subdirectories are added to `directories`.
    fn visit(&mut self, directory: usize, directories: &mut Vec<usize>) -> Result<(), Error> {
        let Kind::Directory(entries) = &self.tree.inodes[directory].kind else {
            return Ok(());
        };
        check_names(directory, entries)?;
        for (name, index) in entries {
            let missing = Error::NoSuchInode { directory, index: *index, inodes: self.tree.inodes.len() };
            let inode = self.tree.inodes.get(*index).ok_or(missing)?;
            let is_directory = matches!(inode.kind, Kind::Directory(_));
            let is_lost_and_found = directory == 0 && name == LOST_AND_FOUND;
            if is_lost_and_found && !is_directory {
                return Err(Error::LostAndFound);
            }
            self.names[*index] += 1;
            if is_directory {
                self.enter(directory, *index)?;
                directories.push(*index);
            }
            self.number(*index, is_lost_and_found);
        }
        Ok(())
    }

    fn enter(&mut self, parent: usize, directory: usize) -> Result<(), Error> {
        if self.found.numbers[directory] != 0 {
            return Err(Error::DirectoryLinkedTwice { index: directory });
        }
        self.subdirectories[parent] += 1;
        self.found.parents[directory] = self.found.numbers[parent];
        Ok(())
    }

    fn number(&mut self, index: usize, is_lost_and_found: bool) {
        if is_lost_and_found {
            self.found.numbers[index] = LOST_AND_FOUND_INODE;
            self.found.lost_and_found = Some(index);
        } else if self.found.numbers[index] == 0 {
            self.found.last += 1;
            self.found.numbers[index] = self.found.last;
            self.found.order.push(index);
        }
    }

    fn finish(mut self) -> Result<Namespace, Error> {
        if let Some(index) = self.found.numbers.iter().position(|&number| number == 0) {
            return Err(Error::Unreachable { index });
        }
        let first = std::iter::once(0).chain(self.found.lost_and_found);
        self.found.order.splice(0..0, first);
        self.found.links = (0..self.names.len()).map(|index| self.links(index)).collect::<Result<_, _>>()?;
        Ok(self.found)
    }

    fn links(&self, index: usize) -> Result<u16, Error> {
        let links = match &self.tree.inodes[index].kind {
            Kind::Directory(_) => self.directory_links(index),
            _ => self.names[index],
        };
        match u16::try_from(links) {
            Ok(count) if links <= MOST_LINKS => Ok(count),
            _ => Err(Error::TooManyLinks { index, links }),
        }
    }

    /// Its name, its `.` and a `..` in each subdirectory; the feature dir_nlink says 1 for too many to count.
    fn directory_links(&self, index: usize) -> u64 {
        let unnamed = u64::from(index == 0 && self.found.lost_and_found.is_none());
        match 2 + self.subdirectories[index] + unnamed {
            count if count <= MOST_LINKS => count,
            _ => 1,
        }
    }
}

fn check_names(directory: usize, entries: &[(Vec<u8>, usize)]) -> Result<(), Error> {
    for (name, _) in entries {
        if !(1..=255).contains(&name.len()) {
            return Err(Error::NameLength { directory, len: name.len() });
        }
        if matches!(name.as_slice(), b"." | b"..") || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(Error::NameForbidden { directory, name: lossy(name) });
        }
    }
    if !entries.is_sorted_by(|(before, _), (after, _)| before < after) {
        let mut names: Vec<&[u8]> = entries.iter().map(|(name, _)| name.as_slice()).collect();
        names.sort_unstable();
        if let Some(twins) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::NameTwice { directory, name: lossy(twins[0]) });
        }
    }
    Ok(())
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
