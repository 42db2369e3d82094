//! A whole commit out of a repository: found, verified, fetched, put together.

use std::collections::HashMap;
use std::path::Path;

use super::delta::{self, FromDelta};
use super::pull::{Pull, Pulled};
use super::tree::Directories;
use super::{Error, Found, Policy, PulledCommit, Repository, Result, Rev, Verification, fetch};
use crate::image::{Contents, Object, Objects};
use crate::ostree::{Checksum, Commit, Directory, ObjectKind, ObjectName};
use crate::progress::Progress;
use crate::spool::Spool;

/// Of which files the contents are fetched.
#[derive(Clone, Copy)]
pub enum Wanted {
    All,
    /// Those at these paths; the others read as empty.
    Only(fn(&str) -> bool),
}

/// Fetches the commit that `rev` names; contents go to an unnamed file in `scratch`. The answer does not depend on `threads`.
pub fn load(
    repository: &dyn Repository,
    rev: &Rev,
    policy: &Policy,
    wanted: Wanted,
    scratch: &Path,
    threads: usize,
    progress: &dyn Progress,
) -> Result<PulledCommit> {
    let head = Head::fetch(repository, rev, policy)?;
    let spool = Spool::new_in(scratch)?;
    let delta = match wanted {
        Wanted::All => from_delta(repository, &head, &spool, threads, progress)?,
        Wanted::Only(_) => FromDelta::default(),
    };
    let threads = repository.at_once(threads);
    let pull = Pull { repository, spool: &spool, threads, progress, known: &delta.metadata };
    let pulled = pull.run(delta.pulled, head.roots(), matches!(wanted, Wanted::All))?;
    let (root, files) = tree(&pulled.directories, &head.commit, wanted)?;
    let pulled = match wanted {
        Wanted::All => pulled,
        Wanted::Only(_) => pull.run(pulled, read(&files), true)?,
    };
    Ok(head.with(root, files, pulled, spool))
}

/// A commit that was found and is taken.
struct Head {
    found: Found,
    name: ObjectName,
    bytes: Vec<u8>,
    commit: Commit,
    /// `.commitmeta`.
    detached: Option<Vec<u8>>,
    verification: Verification,
}

impl Head {
    fn fetch(repository: &dyn Repository, rev: &Rev, policy: &Policy) -> Result<Self> {
        let found = repository.find(rev)?;
        let name = ObjectName { checksum: found.commit, kind: ObjectKind::Commit };
        let bytes = fetch::required(repository, name)?;
        let commit = Commit::parse(&bytes).map_err(|source| Error::Object { object: name, source })?;
        let detached = repository.metadata(detached(name))?;
        let verification = policy.check(repository, &found, &bytes, &commit, detached.as_deref())?;
        Ok(Self { found, name, bytes, commit, detached, verification })
    }

    fn roots(&self) -> Vec<ObjectName> {
        let tree = ObjectName { checksum: self.commit.root_tree, kind: ObjectKind::DirTree };
        vec![tree, ObjectName { checksum: self.commit.root_meta, kind: ObjectKind::DirMeta }]
    }

    fn with(self, root: Directory, files: Vec<(Checksum, bool)>, pulled: Pulled, spool: Spool) -> PulledCommit {
        let Pulled { directories, files: mut fetched, .. } = pulled;
        let mut object = |checksum| (checksum, fetched.remove(&checksum).unwrap_or_else(Object::unread));
        let mut objects = Objects::default();
        objects.add_layer(0, files.into_iter().map(|(checksum, _)| object(checksum)));
        let mut metadata = directories.objects;
        metadata.insert(self.name, self.bytes);
        metadata.extend(self.detached.map(|bytes| (detached(self.name), bytes)));
        let Self { found, commit, verification, .. } = self;
        let contents = Contents { objects, spool };
        PulledCommit { checksum: found.commit, found, commit, root, metadata, contents, verification }
    }
}

fn detached(commit: ObjectName) -> ObjectName {
    ObjectName { kind: ObjectKind::CommitMeta, ..commit }
}

fn from_delta(
    repository: &dyn Repository,
    head: &Head,
    spool: &Spool,
    processors: usize,
    progress: &dyn Progress,
) -> Result<FromDelta> {
    match repository.delta(head.found.commit)? {
        Some(superblock) => delta::fetch(repository, &superblock, spool, processors, progress),
        None => Ok(FromDelta::default()),
    }
}

/// The tree, and each of its files once, in the order of a walk by names: whether its content is wanted at one of its paths.
fn tree(directories: &Directories, commit: &Commit, wanted: Wanted) -> Result<(Directory, Vec<(Checksum, bool)>)> {
    let (mut files, mut places) = (Vec::new(), HashMap::new());
    let root = directories.tree(commit, &mut |path, checksum| {
        let place = *places.entry(checksum).or_insert(files.len());
        if place == files.len() {
            files.push((checksum, false));
        }
        files[place].1 |= wanted.includes(path);
    })?;
    Ok((root, files))
}

/// The objects of the files that are wanted.
fn read(files: &[(Checksum, bool)]) -> Vec<ObjectName> {
    let wanted = files.iter().filter(|(_, wanted)| *wanted);
    wanted.map(|&(checksum, _)| ObjectName { checksum, kind: ObjectKind::File }).collect()
}

impl Wanted {
    fn includes(self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(wanted) => wanted(path),
        }
    }
}
