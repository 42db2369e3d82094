//! The tree as a numbered list: breadth first, children by name, as EROFS wants them in directories.

use std::collections::VecDeque;

use super::node::{Kind, Node};
use super::overlay;

/// Position in the list of inodes, which is also `i_ino`.
pub type InodeNumber = usize;

pub struct Inode {
    /// `st_mode` with type bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    /// As stored, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub content: Content,
}

pub enum Content {
    /// Every name with its inode, `.` and `..` among them, sorted.
    Directory(Vec<(Vec<u8>, InodeNumber)>),
    /// A file of that many bytes, which are elsewhere.
    External(u64),
    Symlink(Vec<u8>),
    Device(u32),
    Nothing,
}

/// All inodes of the tree; the root is number 0.
pub fn number(root: Node) -> Vec<Inode> {
    let mut inodes = Vec::new();
    let mut pending = VecDeque::from([(root, 0)]);
    while let Some((node, parent)) = pending.pop_front() {
        let inode = number_one(node, parent, inodes.len(), &mut pending);
        inodes.push(inode);
    }
    inodes
}

fn number_one(
    node: Node,
    parent: InodeNumber,
    this: InodeNumber,
    pending: &mut VecDeque<(Node, InodeNumber)>,
) -> Inode {
    let Node { mode, uid, gid, xattrs, kind } = node;
    let xattrs = overlay::xattrs(xattrs, &kind, this == 0);
    let mut nlink = 1;
    let content = match kind {
        Kind::Directory(children) => {
            nlink = 2 + subdirectories(&children);
            Content::Directory(entries(children, parent, this, pending))
        }
        Kind::EmptyFile => Content::Nothing,
        Kind::File { size, .. } => Content::External(size),
        Kind::Symlink(target) => Content::Symlink(target),
        Kind::Special { rdev } => Content::Device(rdev),
    };
    Inode { mode, uid, gid, nlink, xattrs, content }
}

fn subdirectories(children: &[(Vec<u8>, Node)]) -> u32 {
    children.iter().map(|(_, child)| u32::from(matches!(child.kind, Kind::Directory(_)))).sum()
}

/// Queues the children; each gets the number it will have when its turn comes.
fn entries(
    mut children: Vec<(Vec<u8>, Node)>,
    parent: InodeNumber,
    this: InodeNumber,
    pending: &mut VecDeque<(Node, InodeNumber)>,
) -> Vec<(Vec<u8>, InodeNumber)> {
    children.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut entries = vec![(b".".to_vec(), this), (b"..".to_vec(), parent)];
    for (name, child) in children {
        pending.push_back((child, this));
        entries.push((name, this + pending.len()));
    }
    entries.sort_unstable();
    entries
}
