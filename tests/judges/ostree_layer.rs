//! Entries of a layer, and the tree that this room makes of them.

use bootwright::ostree::{self, Checksum, Directory, LayerTree, Name, Owner, Xattrs};

pub enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(String),
    Hardlink(String),
}

pub struct Entry {
    pub path: String,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub xattrs: Vec<(&'static str, &'static [u8])>,
}

impl Entry {
    fn new(path: &str, kind: Kind, mode: u32) -> Self {
        Self { path: path.to_owned(), kind, mode, uid: 0, gid: 0, xattrs: Vec::new() }
    }

    pub fn owned(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub fn xattr(mut self, name: &'static str, value: &'static [u8]) -> Self {
        self.xattrs.push((name, value));
        self
    }
}

pub fn directory(path: &str) -> Entry {
    Entry::new(path, Kind::Directory, 0o755)
}

pub fn file(path: &str, content: &str) -> Entry {
    Entry::new(path, Kind::File(content.into()), 0o644)
}

pub fn symlink(path: &str, target: &str) -> Entry {
    Entry::new(path, Kind::Symlink(target.to_owned()), 0o777)
}

pub fn hardlink(path: &str, target: &str) -> Entry {
    Entry::new(path, Kind::Hardlink(target.to_owned()), 0o644)
}

/// A path of the tree as the filter hands it on, but moved nowhere.
pub fn components(path: &str) -> Vec<Name> {
    path.split('/').filter(|name| !matches!(*name, "" | ".")).map(|name| Name::new(name).unwrap()).collect()
}

/// The object of an entry that is a file or a symbolic link.
fn object(entry: &Entry, xattrs: &Xattrs) -> Checksum {
    match &entry.kind {
        Kind::Symlink(target) => {
            let target = ostree::link_target::normalise(target.as_bytes()).unwrap();
            ostree::symlink_checksum(entry.uid, entry.gid, &target, xattrs)
        }
        Kind::File(content) => {
            let header = ostree::file_header(entry.uid, entry.gid, 0o100_000 | entry.mode, "", xattrs);
            let mut hasher = ostree::FileHasher::new(&header);
            content.chunks(3).for_each(|chunk| hasher.update(chunk));
            hasher.finish()
        }
        Kind::Directory | Kind::Hardlink(_) => unreachable!("no object of its own"),
    }
}

/// Our tree of the entries.
pub fn layer(entries: &[Entry]) -> Result<Directory, ostree::Error> {
    let mut layer = LayerTree::new();
    for entry in entries {
        let path = components(&entry.path);
        let owner = Owner { uid: entry.uid, gid: entry.gid };
        let xattrs = Xattrs::new(entry.xattrs.iter().copied())?;
        match &entry.kind {
            Kind::Directory => {
                layer.directory(&path, ostree::DirMeta::new(entry.uid, entry.gid, entry.mode, xattrs))?
            }
            Kind::Hardlink(target) => layer.hardlink(&path, &components(target), owner)?,
            Kind::File(_) | Kind::Symlink(_) => layer.file(&path, object(entry, &xattrs), owner)?,
        }
    }
    layer.finish()
}
