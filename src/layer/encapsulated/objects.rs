//! Entries of one layer become objects.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Error;
use super::member::{Member, linked_xattrs, member};
use super::xattrs::XattrSets;
use crate::image::{Object, Payload};
use crate::layer::contents::Contents;
use crate::layer::tar::{self, Entry, Input, Kind, Piece, Reader};
use crate::layer::{self, Share};
use crate::ostree::object::{S_IFLNK, S_IFREG};
use crate::ostree::{Checksum, FileHasher, ObjectKind, ObjectName, Xattrs, file_header, link_target, symlink_checksum};
use crate::spool::Spool;

/// ostree-ext's limit for a set of xattrs.
const XATTRS: u64 = 1 << 20;
/// ostree-ext's limit for a commit, a directory and signatures.
const OBJECT: u64 = 10 << 20;
/// Roughly what an object or a set takes in memory beside its bytes, in its layer and in the image's tree.
const EACH: u64 = 1024;

type Files = Vec<(Checksum, Object)>;

/// What a commit layer consists of.
#[derive(Debug, Serialize, Deserialize)]
pub struct CommitLayer {
    pub commit: Checksum,
    /// The commit, its signatures where it has some, and directories. Compared with their names, not yet parsed.
    pub metadata: BTreeMap<ObjectName, Vec<u8>>,
    /// In the order of the layer.
    pub objects: Files,
}

/// Reads a commit layer. Contents go to `spool`, at most `limit` bytes; what stays in memory comes out of `share`.
pub fn read_commit(
    input: impl Input,
    spool: &Spool,
    limit: u64,
    share: &mut Share<'_>,
) -> Result<CommitLayer, layer::Error> {
    let Importer { commit, metadata, objects, .. } = Importer::run(input, Contents::new(spool, limit), share, false)?;
    let commit = commit.ok_or(Error::NoCommit)?;
    match metadata.keys().find(|name| name.kind == ObjectKind::CommitMeta && name.checksum != commit) {
        Some(name) => Err(Error::SignaturesOfAnother { signed: name.checksum, commit }.into()),
        None => Ok(CommitLayer { commit, metadata, objects }),
    }
}

/// Reads a component layer: its objects in their order, each once.
pub fn read_component(
    input: impl Input,
    spool: &Spool,
    limit: u64,
    share: &mut Share<'_>,
) -> Result<Files, layer::Error> {
    Ok(Importer::run(input, Contents::new(spool, limit), share, true)?.objects)
}

struct Importer<'a, 'b> {
    share: &'a mut Share<'b>,
    is_component: bool,
    xattrs: XattrSets,
    commit: Option<Checksum>,
    metadata: BTreeMap<ObjectName, Vec<u8>>,
    objects: Files,
    seen: HashSet<Checksum>,
}

impl<'a, 'b> Importer<'a, 'b> {
    fn run(
        input: impl Input,
        mut contents: Contents<'_>,
        share: &'a mut Share<'b>,
        is_component: bool,
    ) -> Result<Self, layer::Error> {
        let (xattrs, metadata, objects, seen) = Default::default();
        let mut importer = Self { share, is_component, xattrs, commit: None, metadata, objects, seen };
        let mut reader = Reader::new(input);
        while let Some(entry) = reader.next_entry()? {
            if entry.kind != Kind::Directory
                && let Some(member) = member(&entry.path)?
            {
                importer.member(member, &entry, &mut reader, &mut contents)?;
            }
        }
        contents.finish()?;
        Ok(importer)
    }

    fn member(
        &mut self,
        member: Member,
        entry: &Entry,
        reader: &mut Reader<impl Input>,
        contents: &mut Contents<'_>,
    ) -> Result<(), layer::Error> {
        match member {
            Member::Object(name) if name.kind == ObjectKind::File => self.file(name, entry, reader, contents),
            Member::Object(object) if self.is_component => Err(Error::NotAFile { object }.into()),
            Member::Object(name) => self.metadata(name, entry, reader),
            Member::Xattrs(name) => self.named_xattrs(name, entry, reader),
            Member::XattrsOf(file) => self.xattrs_of(file, entry, reader),
        }
    }

    fn metadata(
        &mut self,
        object: ObjectName,
        entry: &Entry,
        reader: &mut Reader<impl Input>,
    ) -> Result<(), layer::Error> {
        let bytes = whole(entry, reader, OBJECT)?;
        let found = Checksum::of(&bytes);
        if object.kind != ObjectKind::CommitMeta && found != object.checksum {
            return Err(Error::Checksum { object, found }.into());
        }
        if object.kind == ObjectKind::Commit
            && let Some(first) = self.commit.replace(object.checksum)
        {
            return Err(Error::SeveralCommits { first, second: object.checksum }.into());
        }
        self.count(bytes.len() as u64)?; // usize has at most 64 bits
        self.metadata.insert(object, bytes);
        Ok(())
    }

    fn named_xattrs(
        &mut self,
        name: Checksum,
        entry: &Entry,
        reader: &mut Reader<impl Input>,
    ) -> Result<(), layer::Error> {
        let found = self.add_xattrs(entry, reader)?;
        if found == name { Ok(()) } else { Err(Error::XattrsChecksum { path: text(&entry.path), found }.into()) }
    }

    /// Current writers give the set itself, older ones a hard link to it.
    fn xattrs_of(
        &mut self,
        file: Checksum,
        entry: &Entry,
        reader: &mut Reader<impl Input>,
    ) -> Result<(), layer::Error> {
        let set = match entry.kind {
            Kind::Hardlink => linked_xattrs(&entry.link),
            _ => Some(self.add_xattrs(entry, reader)?),
        };
        let is_known = set.map_or(Ok(false), |set| self.xattrs.announce(file, set))?;
        let unknown = || Error::UnknownXattrs { path: text(&entry.path), target: text(&entry.link) };
        if is_known { Ok(()) } else { Err(unknown().into()) }
    }

    fn add_xattrs(&mut self, entry: &Entry, reader: &mut Reader<impl Input>) -> Result<Checksum, layer::Error> {
        let bytes = whole(entry, reader, XATTRS)?;
        let added = self.xattrs.add(&bytes);
        let (name, new) = added.map_err(|source| Error::Xattrs { path: text(&entry.path), source })?;
        if let Some(set) = new {
            self.count(set.weight())?;
        }
        Ok(name)
    }

    fn file(
        &mut self,
        object: ObjectName,
        entry: &Entry,
        reader: &mut Reader<impl Input>,
        contents: &mut Contents<'_>,
    ) -> Result<(), layer::Error> {
        let xattrs = self.xattrs.take(object)?;
        if !self.seen.insert(object.checksum) {
            return if self.is_component { Err(Error::Twice { object }.into()) } else { Ok(()) };
        }
        // Objects share a set in memory, but not in a cache, nor as they come out of one.
        self.count(entry.link.len() as u64 + xattrs.weight())?; // usize has at most 64 bits
        let file = match entry.kind {
            Kind::Regular => regular(object, entry, xattrs, reader, contents)?,
            Kind::Symlink => symlink(object, entry, xattrs)?,
            kind => return Err(wrong_kind(entry, kind, "and a file object is a file or a symbolic link").into()),
        };
        self.objects.push((object.checksum, file));
        Ok(())
    }

    fn count(&mut self, bytes: u64) -> Result<(), layer::Error> {
        self.share.take(EACH + bytes)
    }
}

/// Extended attributes that the entry itself has are a part of its set, for containers.
fn regular(
    object: ObjectName,
    entry: &Entry,
    xattrs: Xattrs,
    reader: &mut Reader<impl Input>,
    contents: &mut Contents<'_>,
) -> Result<Object, layer::Error> {
    let Entry { uid, gid, .. } = *entry;
    let mode = S_IFREG | entry.mode;
    let hasher = FileHasher::new(&file_header(uid, gid, mode, "", &xattrs));
    let taken = contents.take(entry.size, hasher, reader)?;
    if taken.checksum != object.checksum {
        return Err(Error::Checksum { object, found: taken.checksum }.into());
    }
    Ok(Object { uid, gid, mode, xattrs, payload: Payload::Regular(contents.keep(&taken)?) })
}

fn symlink(object: ObjectName, entry: &Entry, xattrs: Xattrs) -> Result<Object, Error> {
    let Entry { uid, gid, .. } = *entry;
    let target = link_target::readable(&entry.link).map_err(|source| Error::LinkTarget { object, source })?;
    let found = symlink_checksum(uid, gid, target, &xattrs);
    if found != object.checksum {
        return Err(Error::Checksum { object, found });
    }
    Ok(Object { uid, gid, mode: S_IFLNK | 0o777, xattrs, payload: Payload::Symlink(target.as_bytes().into()) })
}

/// The bytes of an entry that is kept in memory.
fn whole(entry: &Entry, reader: &mut Reader<impl Input>, limit: u64) -> Result<Vec<u8>, layer::Error> {
    if entry.kind != Kind::Regular {
        return Err(wrong_kind(entry, entry.kind, "and a regular file has to be there").into());
    }
    if entry.size > limit {
        return Err(Error::TooLong { path: text(&entry.path), len: entry.size, limit }.into());
    }
    let mut bytes = Vec::new();
    reader.data::<tar::Error>(|piece| {
        match piece {
            Piece::Bytes(more) => bytes.extend_from_slice(more),
            // OK to cast: not more than `limit`.
            Piece::Zeros(len) => bytes.resize(bytes.len() + len as usize, 0),
        }
        Ok(())
    })?;
    Ok(bytes)
}

fn wrong_kind(entry: &Entry, kind: Kind, expected: &'static str) -> Error {
    let found = match kind {
        Kind::Regular => "a regular file",
        Kind::Hardlink => "a hard link",
        Kind::Symlink => "a symbolic link",
        Kind::CharacterDevice => "a character device",
        Kind::BlockDevice => "a block device",
        Kind::Directory => "a directory",
        Kind::Fifo => "a fifo",
    };
    Error::Kind { path: text(&entry.path), found, expected }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
