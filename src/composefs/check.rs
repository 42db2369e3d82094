//! Whether a tree can be said in a version 0 image. After this, writing cannot fail.

use super::node::{Kind, Node};
use super::overlay;

/// `EROFS_NAME_LEN`.
const LONGEST_NAME: usize = 255;
/// `XATTR_NAME_MAX`.
const LONGEST_XATTR_NAME: usize = 255;
/// `PATH_MAX` without its NUL.
const LONGEST_TARGET: usize = 4095;
/// One chunk of the largest size the chunk format can say: 4096 << 31.
const LARGEST_FILE: u64 = 1 << 43;
/// `LCFS_INODE_EXTERNAL_XATTR_MAX`; keeps every value below 64 KiB and `i_xattr_icount` within its 16 bits.
const LARGEST_XATTRS: usize = 32767;

/// Why a tree has no image. Paths are shown from the root of the image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the root of a composefs image has mode {mode:o}, which is not a directory")]
    RootIsNotADirectory { mode: u32 },
    #[error("`{path}` has mode {mode:o}, which does not belong to {kind}")]
    ModeDisagrees { path: String, mode: u32, kind: &'static str },
    #[error("directory `{path}` has an entry `{name}`, which is not a file name")]
    BadName { path: String, name: String },
    #[error("directory `{path}` has an entry with a name of {length} bytes, the limit is {LONGEST_NAME}")]
    NameTooLong { path: String, length: usize },
    #[error("directory `{path}` has two entries named `{name}`")]
    SameName { path: String, name: String },
    #[error("the target of symlink `{path}` is {length} bytes, allowed are 1 to {LONGEST_TARGET} without NUL")]
    BadTarget { path: String, length: usize },
    #[error("file `{path}` is said to be in the repository, but has {size} bytes, allowed are 1 to {LARGEST_FILE}")]
    BadSize { path: String, size: u64 },
    #[error("`{path}` is a whiteout (character device 0:0), which needs composefs version 1, this writes version 0")]
    Whiteout { path: String },
    #[error("`{path}` has an xattr `{name}`, allowed are names of 1 to {LONGEST_XATTR_NAME} bytes without NUL")]
    BadXattrName { path: String, name: String },
    #[error("`{path}` has the xattr `{name}` twice")]
    SameXattr { path: String, name: String },
    #[error("the xattrs of `{path}` take {size} bytes, the limit is {LARGEST_XATTRS}")]
    XattrsTooLarge { path: String, size: usize },
}

/// Looks at every node. Keeps its own stack, so that a deep tree is no deep recursion.
pub fn check(root: &Node) -> Result<(), Error> {
    if !matches!(root.kind, Kind::Directory(_)) {
        return Err(Error::RootIsNotADirectory { mode: root.mode });
    }
    let mut pending = vec![(String::from("/"), root)];
    while let Some((path, node)) = pending.pop() {
        mode(&path, node)?;
        xattrs(&path, node)?;
        content(&path, node)?;
        if let Kind::Directory(children) = &node.kind {
            names(&path, children)?;
            pending.extend(children.iter().map(|(name, child)| (join(&path, name), child)));
        }
    }
    Ok(())
}

fn join(directory: &str, name: &[u8]) -> String {
    format!("{}/{}", directory.trim_end_matches('/'), name.escape_ascii())
}

fn mode(path: &str, node: &Node) -> Result<(), Error> {
    let (kind, formats): (_, &[u32]) = match node.kind {
        Kind::Directory(_) => ("a directory", &[0o040000]),
        Kind::EmptyFile | Kind::File { .. } => ("a regular file", &[0o100000]),
        Kind::Symlink(_) => ("a symlink", &[0o120000]),
        Kind::Special { .. } => ("a device, fifo or socket", &[0o010000, 0o020000, 0o060000, 0o140000]),
    };
    if formats.contains(&(node.mode & !0o7777)) {
        return Ok(());
    }
    Err(Error::ModeDisagrees { path: path.into(), mode: node.mode, kind })
}

fn content(path: &str, node: &Node) -> Result<(), Error> {
    let path = || path.to_owned();
    match &node.kind {
        Kind::Symlink(target) if target.is_empty() || target.len() > LONGEST_TARGET || target.contains(&0) => {
            Err(Error::BadTarget { path: path(), length: target.len() })
        }
        &Kind::File { size, .. } if size == 0 || size > LARGEST_FILE => Err(Error::BadSize { path: path(), size }),
        Kind::Special { .. } if overlay::is_whiteout(node) => Err(Error::Whiteout { path: path() }),
        _ => Ok(()),
    }
}

fn names(path: &str, children: &[(Vec<u8>, Node)]) -> Result<(), Error> {
    let path = || path.to_owned();
    let mut names: Vec<&[u8]> = children.iter().map(|(name, _)| name.as_slice()).collect();
    names.sort_unstable();
    for name in &names {
        if name.len() > LONGEST_NAME {
            return Err(Error::NameTooLong { path: path(), length: name.len() });
        }
        if matches!(*name, b"" | b"." | b"..") || name.contains(&b'/') || name.contains(&0) {
            return Err(Error::BadName { path: path(), name: name.escape_ascii().to_string() });
        }
    }
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::SameName { path: path(), name: pair[0].escape_ascii().to_string() }),
        None => Ok(()),
    }
}

fn xattrs(path: &str, node: &Node) -> Result<(), Error> {
    let mut names: Vec<&[u8]> = node.xattrs.iter().map(|(name, _)| name.as_slice()).collect();
    names.sort_unstable();
    if let Some(name) = names.iter().find(|name| !(1..=LONGEST_XATTR_NAME).contains(&name.len()) || name.contains(&0)) {
        return Err(Error::BadXattrName { path: path.into(), name: name.escape_ascii().to_string() });
    }
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::SameXattr { path: path.into(), name: pair[0].escape_ascii().to_string() });
    }
    // As libcomposefs counts: the header of 12 bytes, and for each xattr 4 bytes and at worst 3 of padding.
    let size = 12 + node.xattrs.iter().map(|(name, value)| 7 + name.len() + value.len()).sum::<usize>();
    match size > LARGEST_XATTRS {
        true => Err(Error::XattrsTooLarge { path: path.into(), size }),
        false => Ok(()),
    }
}
