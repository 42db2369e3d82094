//! A whole commit out of a repository: found, verified, its directories, its files.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::super::crew::Crew;
use super::fetch::{self, Fetcher};
use super::tree::Directories;
use super::{Error, Policy, PulledCommit, Repository, Result, Rev};
use crate::image::{Contents, Object, Objects};
use crate::ostree::{Checksum, Commit, ObjectKind, ObjectName};
use crate::progress::{Event, Progress, Task};
use crate::spool::Spool;

/// What all contents of one commit may take.
const CONTENTS: u64 = 64 << 30;

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
    let found = repository.find(rev)?;
    let name = ObjectName { checksum: found.commit, kind: ObjectKind::Commit };
    let bytes = fetch::required(repository, name)?;
    let commit = Commit::parse(&bytes).map_err(|source| Error::Object { object: name, source })?;
    let detached_name = ObjectName { kind: ObjectKind::CommitMeta, ..name };
    let detached = repository.metadata(detached_name)?;
    let verification = policy.check(repository, &found, &bytes, &commit, detached.as_deref())?;

    let pull = Pull { repository, at_once: repository.at_once(threads), progress };
    let directories = Directories::fetch(repository, &BTreeMap::new(), &commit, pull.at_once)?;
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut unread = Vec::new();
    let root = directories.tree(&commit, &mut |path, checksum| {
        if seen.insert(checksum) {
            let list = if wanted.includes(path) { &mut files } else { &mut unread };
            list.push(checksum);
        }
    })?;
    let spool = Spool::new_in(scratch)?;
    let mut objects = Objects::default();
    objects.add_layer(0, pull.files(&files, &spool)?);
    objects.add_layer(1, unread.into_iter().map(|checksum| (checksum, Object::unread())));

    let mut metadata = directories.objects;
    metadata.insert(name, bytes);
    metadata.extend(detached.map(|bytes| (detached_name, bytes)));
    let contents = Contents { objects, spool };
    Ok(PulledCommit { checksum: found.commit, found, commit, root, metadata, contents, verification })
}

impl Wanted {
    fn includes(self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(wanted) => wanted(path),
        }
    }
}

struct Pull<'a> {
    repository: &'a dyn Repository,
    at_once: usize,
    progress: &'a dyn Progress,
}

impl Pull<'_> {
    fn files(&self, checksums: &[Checksum], spool: &Spool) -> Result<Vec<(Checksum, Object)>> {
        let total = Some(checksums.len() as u64); // usize has at most 64 bits
        self.progress.report(&Event::Begin { task: Task::Pull, label: "fetch files", total });
        let order: Vec<usize> = (0..checksums.len()).collect();
        let fetch = |fetcher: &mut Fetcher<'_>, piece: usize| {
            let mut fetch = || fetcher.file(checksums[piece], CONTENTS);
            let object = match self.repository.retry() {
                Some(retry) => retry.run(fetch)?,
                None => fetch()?,
            };
            self.progress.report(&Event::Advance { task: Task::Pull, by: 1 });
            Ok((checksums[piece], object))
        };
        let begin = || Fetcher::new(self.repository, spool.writer());
        let end = |fetcher: Fetcher<'_>| fetcher.finish();
        let objects = Crew::new(self.at_once).run(&order, begin, fetch, end)?;
        self.progress.report(&Event::End { task: Task::Pull });
        Ok(objects)
    }
}
