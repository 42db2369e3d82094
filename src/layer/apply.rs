//! Entries of one layer become file objects and a tree, as `ostree commit --tree=tar` behind ostree-ext's filter makes them.

use std::collections::HashSet;

use super::Error;
use super::tar::{self, Entry, Input, Kind, Piece, Reader};
use crate::image::{Object, Payload};
use crate::ostree::object::{S_IFLNK, S_IFREG};
use crate::ostree::{
    self, Checksum, DirMeta, Directory, FileHasher, Filtered, LayerTree, Name, Owner, Xattrs, file_header, filter,
    link_target, symlink_checksum,
};
use crate::spool::{Content, Spool, SpoolWriter};

/// Files up to this size are hashed before they are written, so that none is written twice.
const SMALL: u64 = 1 << 20;
/// What paths, link targets and xattrs of one layer may take in memory: four million plain files.
const METADATA: u64 = 2 << 30;
/// Roughly what an entry takes beside its own texts.
const ENTRY: usize = 512;
/// Holes are hashed in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What a layer consists of.
#[derive(Debug)]
pub struct Applied {
    pub tree: Directory,
    /// In the order in which the layer first has them. Some may not be in the tree: a later entry took their name.
    pub objects: Vec<(Checksum, Object)>,
}

/// Unpacks a tar stream up to its end marker. Contents go to `spool`, at most `limit` bytes with holes counted.
pub fn apply(input: impl Input, spool: &Spool, limit: u64) -> Result<Applied, Error> {
    let mut reader = Reader::new(input);
    let mut importer = Importer::new(spool.writer(), limit);
    while let Some(entry) = reader.next_entry()? {
        importer.entry(&entry, &mut reader)?;
    }
    importer.finish()
}

struct Importer<'a> {
    writer: SpoolWriter<'a>,
    tree: LayerTree,
    objects: Vec<(Checksum, Object)>,
    seen: HashSet<Checksum>,
    small: Vec<u8>,
    metadata: u64,
    total: u64,
    limit: u64,
}

impl<'a> Importer<'a> {
    fn new(writer: SpoolWriter<'a>, limit: u64) -> Self {
        let (tree, objects, seen) = (LayerTree::new(), Vec::new(), HashSet::new());
        Self { writer, tree, objects, seen, small: Vec::new(), metadata: 0, total: 0, limit }
    }

    fn entry(&mut self, entry: &Entry, reader: &mut Reader<impl Input>) -> Result<(), Error> {
        self.count(entry)?;
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

    /// A bomb may consist of nothing but headers.
    fn count(&mut self, entry: &Entry) -> Result<(), Error> {
        let xattrs: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.metadata += (ENTRY + entry.path.len() + entry.link.len() + xattrs) as u64; // usize has at most 64 bits
        if self.metadata > METADATA { Err(Error::TooManyEntries { limit: METADATA }) } else { Ok(()) }
    }

    fn file(&mut self, entry: &Entry, xattrs: Xattrs, reader: &mut Reader<impl Input>) -> Result<Checksum, Error> {
        self.total = self.total.saturating_add(entry.size);
        if self.total > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        let mode = S_IFREG | entry.mode;
        let hasher = FileHasher::new(&file_header(entry.uid, entry.gid, mode, "", &xattrs));
        let (checksum, content) = if entry.size <= SMALL {
            self.small_file(hasher, reader)?
        } else {
            self.large_file(entry.size, hasher, reader)?
        };
        if let Some(content) = content {
            let payload = Payload::Regular(content);
            self.remember(checksum, Object { uid: entry.uid, gid: entry.gid, mode, xattrs, payload });
        }
        Ok(checksum)
    }

    /// Answers no content when the object is there already.
    fn small_file(
        &mut self,
        mut hasher: FileHasher,
        reader: &mut Reader<impl Input>,
    ) -> Result<(Checksum, Option<Content>), Error> {
        self.small.clear();
        reader.data::<tar::Error>(|piece| {
            match piece {
                Piece::Bytes(bytes) => self.small.extend_from_slice(bytes),
                // OK to cast: not more than SMALL.
                Piece::Zeros(len) => self.small.resize(self.small.len() + len as usize, 0),
            }
            Ok(())
        })?;
        hasher.update(&self.small);
        let checksum = hasher.finish();
        let known = self.seen.contains(&checksum);
        let content = if known { None } else { Some(self.writer.append(&self.small)?) };
        Ok((checksum, content))
    }

    fn large_file(
        &mut self,
        size: u64,
        mut hasher: FileHasher,
        reader: &mut Reader<impl Input>,
    ) -> Result<(Checksum, Option<Content>), Error> {
        let mut stream = self.writer.stream(size)?;
        reader.data::<Error>(|piece| match piece {
            Piece::Bytes(bytes) => {
                hasher.update(bytes);
                Ok(stream.write(bytes)?)
            }
            Piece::Zeros(len) => {
                hash_zeros(&mut hasher, len);
                Ok(stream.hole(len)?)
            }
        })?;
        Ok((hasher.finish(), Some(stream.finish()?)))
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
            Filtered::Keep(target) => self.tree.hardlink(path, &target, owner),
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

    fn finish(mut self) -> Result<Applied, Error> {
        self.writer.flush()?;
        Ok(Applied { tree: self.tree.finish().map_err(Error::Tree)?, objects: self.objects })
    }
}

fn hash_zeros(hasher: &mut FileHasher, mut len: u64) {
    while len > 0 {
        let step = usize::try_from(len).unwrap_or(usize::MAX).min(ZEROS.len());
        hasher.update(&ZEROS[..step]);
        len -= step as u64; // usize has at most 64 bits
    }
}

fn wrong_path(path: &[u8], source: ostree::Error) -> Error {
    Error::Path { path: String::from_utf8_lossy(path).into_owned(), source }
}

fn special(path: &[u8], what: &'static str) -> Error {
    Error::Special { path: String::from_utf8_lossy(path).into_owned(), what }
}
