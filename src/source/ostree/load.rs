//! A whole commit out of a repository: found, verified, fetched, put together.

use std::collections::HashSet;
use std::path::Path;

use super::delta::{self, FromDelta};
use super::pull::{Pull, Pulled};
use super::{Error, Policy, PulledCommit, Repository, Result, Rev, fetch};
use crate::image::{Contents, Object, Objects};
use crate::ostree::{Checksum, Commit, ObjectKind, ObjectName};
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
    let found = repository.find(rev)?;
    let name = ObjectName { checksum: found.commit, kind: ObjectKind::Commit };
    let bytes = fetch::required(repository, name)?;
    let commit = Commit::parse(&bytes).map_err(|source| Error::Object { object: name, source })?;
    let detached_name = ObjectName { kind: ObjectKind::CommitMeta, ..name };
    let detached = repository.metadata(detached_name)?;
    let verification = policy.check(repository, &found, &bytes, &commit, detached.as_deref())?;

    let spool = Spool::new_in(scratch)?;
    let delta = match wanted {
        Wanted::All => repository.delta(found.commit)?,
        Wanted::Only(_) => None,
    };
    let FromDelta { pulled, metadata: known } = match &delta {
        Some(superblock) => delta::fetch(repository, superblock, &spool, threads, progress)?,
        None => FromDelta::default(),
    };
    let threads = repository.at_once(threads);
    let pull = Pull { repository, spool: &spool, threads, progress, known: &known };
    let pulled = pull.run(pulled, roots(&commit), matches!(wanted, Wanted::All))?;
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let root = pulled.directories.tree(&commit, &mut |path, checksum| {
        if seen.insert(checksum) {
            files.push((checksum, wanted.includes(path)));
        }
    })?;
    let pulled = match wanted {
        Wanted::All => pulled,
        Wanted::Only(_) => {
            let of_kind = |&(checksum, _): &(Checksum, bool)| ObjectName { checksum, kind: ObjectKind::File };
            pull.run(pulled, files.iter().filter(|(_, wanted)| *wanted).map(of_kind).collect(), true)?
        }
    };

    let Pulled { directories, files: mut objects, .. } = pulled;
    let mut in_order = Objects::default();
    in_order.add_layer(
        0,
        files.into_iter().map(|(checksum, _)| (checksum, objects.remove(&checksum).unwrap_or_else(Object::unread))),
    );
    let mut metadata = directories.objects;
    metadata.insert(name, bytes);
    metadata.extend(detached.map(|bytes| (detached_name, bytes)));
    let contents = Contents { objects: in_order, spool };
    Ok(PulledCommit { checksum: found.commit, found, commit, root, metadata, contents, verification })
}

fn roots(commit: &Commit) -> Vec<ObjectName> {
    let tree = ObjectName { checksum: commit.root_tree, kind: ObjectKind::DirTree };
    vec![tree, ObjectName { checksum: commit.root_meta, kind: ObjectKind::DirMeta }]
}

impl Wanted {
    fn includes(self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(wanted) => wanted(path),
        }
    }
}
