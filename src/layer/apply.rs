//! Entries of one layer become file objects and a tree, as `ostree commit --tree=tar` behind ostree-ext's filter makes them.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::contents::Contents;
use super::tar::{Entry, Input, Kind, Reader};
use super::{Error, Share};
use crate::image::{Object, Payload};
use crate::ostree::object::{S_IFLNK, S_IFREG};
use crate::ostree::{
    self, Checksum, DirMeta, Directory, FileHasher, Filtered, LayerTree, Name, Owner, Xattrs, file_header, filter,
    link_target, symlink_checksum,
};
use crate::spool::Spool;

/// Roughly what an entry, or a directory that is only implied, takes beside its own texts, in its layer and in the image's tree.
const ENTRY: u64 = 1024;
/// Roughly what a name of a path, or an xattr, takes beside its text.
const PART: usize = 128;
/// So many names of a path are covered by [`ENTRY`].
const USUAL_DEPTH: usize = 32;
/// Where a container keeps the objects of an ostree commit that it was made of.
const REPOSITORY: [&str; 3] = ["sysroot", "ostree", "repo"];

/// What a layer consists of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Applied {
    pub tree: Directory,
    /// In the order in which the layer first has them. Some may not be in the tree: a later entry took their name.
    pub objects: Vec<(Checksum, Object)>,
}

/// Unpacks a tar stream up to its end marker. Contents go to `spool`, at most `limit` bytes with holes counted; entries stay in
/// memory, as far as `share` allows.
pub fn apply(input: impl Input, spool: &Spool, limit: u64, share: &mut Share<'_>) -> Result<Applied, Error> {
    let mut reader = Reader::new(input);
    let mut importer = Importer::new(Contents::new(spool, limit));
    while let Some(entry) = reader.next_entry()? {
        share.take(importer.needs(&entry))?;
        importer.entry(&entry, &mut reader)?;
    }
    importer.finish()
}

struct Importer<'a> {
    contents: Contents<'a>,
    tree: LayerTree,
    objects: Vec<(Checksum, Object)>,
    seen: HashSet<Checksum>,
    /// Files of the repository that were changed in place, which wait for the names that they have outside of it.
    changed: BTreeMap<Vec<Name>, (Checksum, Owner)>,
    /// Implied directories that were counted.
    implied: u64,
}

impl<'a> Importer<'a> {
    fn new(contents: Contents<'a>) -> Self {
        let (tree, objects, seen, changed) = (LayerTree::new(), Vec::new(), HashSet::new(), BTreeMap::new());
        Self { contents, tree, objects, seen, changed, implied: 0 }
    }

    fn entry(&mut self, entry: &Entry, reader: &mut Reader<impl Input>) -> Result<(), Error> {
        let at = |source| wrong_path(&entry.path, source);
        let path = match filter(&entry.path).map_err(at)? {
            Filtered::Keep(path) => path,
            Filtered::Root if entry.kind != Kind::Directory => return Err(at(ostree::Error::RootIsNotADirectory)),
            Filtered::Root | Filtered::Drop => return Ok(()),
        };
        let xattrs = Xattrs::new(entry.xattrs.iter().map(|(name, value)| (name, value))).map_err(at)?;
        let owner = Owner { uid: entry.uid, gid: entry.gid };
        match entry.kind {
            Kind::Directory => self.tree.directory(&path, DirMeta::new(entry.uid, entry.gid, entry.mode, xattrs)),
            Kind::Regular => {
                let checksum = self.file(entry, xattrs, reader)?;
                if is_changed_object(entry, &path) {
                    self.changed.insert(path, (checksum, owner));
                    return Ok(());
                }
                self.tree.file(&path, checksum, owner)
            }
            Kind::Symlink => self.symlink(entry, xattrs).and_then(|checksum| self.tree.file(&path, checksum, owner)),
            Kind::Hardlink => self.hardlink(entry, &path, owner),
            Kind::CharacterDevice => return Err(special(&entry.path, "a character device")),
            Kind::BlockDevice => return Err(special(&entry.path, "a block device")),
            Kind::Fifo => return Err(special(&entry.path, "a fifo")),
        }
        .map_err(at)
    }

    /// Bytes of memory for an entry, and for the directories that those before it implied.
    fn needs(&mut self, entry: &Entry) -> u64 {
        let xattrs: usize = entry.xattrs.iter().map(|(name, value)| PART + name.len() + value.len()).sum();
        let parts = |path: &[u8]| path.iter().filter(|&&byte| byte == b'/').count();
        // Directories hold what is in them; only a target, and a path that leads nowhere yet, is kept name by name.
        let of_link = if entry.kind == Kind::Hardlink { PART * parts(&entry.link) } else { 0 };
        let of_path = PART * parts(&entry.path).saturating_sub(USUAL_DEPTH);
        let own = (entry.path.len() + of_path + entry.link.len() + of_link + xattrs) as u64; // usize has at most 64 bits
        let implied = self.tree.implied() - std::mem::replace(&mut self.implied, self.tree.implied());
        ENTRY + own + ENTRY * implied
    }

    fn file(&mut self, entry: &Entry, xattrs: Xattrs, reader: &mut Reader<impl Input>) -> Result<Checksum, Error> {
        let mode = S_IFREG | entry.mode;
        let hasher = FileHasher::new(&file_header(entry.uid, entry.gid, mode, "", &xattrs));
        let taken = self.contents.take(entry.size, hasher, reader)?;
        if !self.seen.contains(&taken.checksum) {
            let payload = Payload::Regular(self.contents.keep(&taken)?);
            self.remember(taken.checksum, Object { uid: entry.uid, gid: entry.gid, mode, xattrs, payload });
        }
        Ok(taken.checksum)
    }

    fn symlink(&mut self, entry: &Entry, xattrs: Xattrs) -> Result<Checksum, ostree::Error> {
        let target = link_target::normalise(&entry.link)?;
        let Entry { uid, gid, .. } = *entry;
        let checksum = symlink_checksum(uid, gid, &target, &xattrs);
        let payload = Payload::Symlink(target.into_bytes().into());
        self.remember(checksum, Object { uid, gid, mode: S_IFLNK | 0o777, xattrs, payload });
        Ok(checksum)
    }

    fn hardlink(&mut self, entry: &Entry, path: &[Name], owner: Owner) -> Result<(), ostree::Error> {
        match filter(&entry.link)? {
            Filtered::Keep(target) => match self.changed.get(&target) {
                Some(&(checksum, owner)) => self.tree.file(path, checksum, owner),
                None => self.tree.hardlink(path, &target, owner),
            },
            Filtered::Root | Filtered::Drop => {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                Err(ostree::Error::HardlinkTarget { path: text(&entry.path), target: text(&entry.link) })
            }
        }
    }

    fn remember(&mut self, checksum: Checksum, object: Object) {
        if self.seen.insert(checksum) {
            self.objects.push((checksum, object));
        }
    }

    fn finish(self) -> Result<Applied, Error> {
        self.contents.finish()?;
        Ok(Applied { tree: self.tree.finish().map_err(Error::Tree)?, objects: self.objects })
    }
}

/// Files of an image that encapsulates an ostree commit are hard links to objects of time 0. A build that changes such a file
/// records the object under its path in the repository, with a new time, and then the links to it (ostree-ext `tar/write.rs`).
fn is_changed_object(entry: &Entry, path: &[Name]) -> bool {
    entry.mtime > 0
        && path.len() > REPOSITORY.len()
        && REPOSITORY.iter().zip(path).all(|(above, name)| **name == **above)
}

fn wrong_path(path: &[u8], source: ostree::Error) -> Error {
    Error::Path { path: String::from_utf8_lossy(path).into_owned(), source }
}

fn special(path: &[u8], what: &'static str) -> Error {
    Error::Special { path: String::from_utf8_lossy(path).into_owned(), what }
}
