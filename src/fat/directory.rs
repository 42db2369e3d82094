//! The bytes of one directory.
//!
//! The same code measures and writes: while nothing has its place yet, every cluster number is 0 and
//! the length is right.

use zerocopy::IntoBytes;

use super::Cluster;
use super::entry::{ATTR_ARCHIVE, ATTR_DIRECTORY, ATTR_VOLUME_ID, Entry, LongEntry};
use super::layout::Layout;
use super::short_name::{ShortName, says_all, short_names};
use super::time::Stamp;
use super::tree::{Child, Node, Tree};

/// What the directories of a volume have in common.
pub struct Directories<'a> {
    pub tree: &'a Tree<'a>,
    pub stamp: Stamp,
    /// The padded label if there is one; the root repeats it as its first entry.
    pub label: Option<[u8; 11]>,
}

impl Directories<'_> {
    /// The slots of directory `number`, without padding.
    pub fn bytes(&self, number: usize, layout: &Layout) -> Vec<u8> {
        let mut bytes = Vec::new();
        match number {
            0 => self.put_label(&mut bytes),
            _ => self.put_dots(&mut bytes, number, layout),
        }
        let children = &self.tree.directories[number].children;
        let names: Vec<&str> = children.values().map(|child| child.name).collect();
        for (child, short) in children.values().zip(short_names(&names)) {
            self.put_child(&mut bytes, child, short, layout);
        }
        bytes
    }

    fn put_label(&self, bytes: &mut Vec<u8>) {
        if let Some(label) = self.label {
            let entry = Entry::new(label, ATTR_VOLUME_ID, self.stamp, Cluster(0), 0);
            bytes.extend_from_slice(entry.as_bytes());
        }
    }

    fn put_dots(&self, bytes: &mut Vec<u8>, number: usize, layout: &Layout) {
        // For the root `..` says 0, although the root of FAT32 has a cluster; spec, "Directory creation".
        let parent = match self.tree.directories[number].parent {
            0 => Cluster(0),
            parent => layout.directories[parent].first,
        };
        let this = layout.directories[number].first;
        for (name, first) in [(*b".          ", this), (*b"..         ", parent)] {
            let entry = Entry::new(name, ATTR_DIRECTORY, self.stamp, first, 0);
            bytes.extend_from_slice(entry.as_bytes());
        }
    }

    fn put_child(&self, bytes: &mut Vec<u8>, child: &Child, short: ShortName, layout: &Layout) {
        if !says_all(child.name, &short) {
            let slots = LongEntry::of_name(child.name, &short);
            bytes.extend_from_slice(slots.as_bytes());
        }
        let (attr, run) = match child.node {
            Node::Directory(number) => (ATTR_DIRECTORY, layout.directories[number]),
            Node::File(number) => (ATTR_ARCHIVE, layout.files[number]),
        };
        // A directory's size is 0 in its entry.
        let size = if attr == ATTR_DIRECTORY { 0 } else { run.bytes };
        bytes.extend_from_slice(Entry::new(short, attr, self.stamp, run.first, size).as_bytes());
    }
}
