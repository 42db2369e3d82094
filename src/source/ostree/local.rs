//! Repositories in a directory, in every mode but `bare-split-xattrs` (libostree `ostree-repo.c`).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::local_object::{self, Mode};
use super::{Error, FileObject, Found, Repository, Result, Rev, refs};
use crate::ostree::keyfile::RepoConfig;
use crate::ostree::{Checksum, ObjectKind, ObjectName, repo};

/// A repository's configuration and refs are a few lines each.
const TEXT_LIMIT: u64 = 1 << 20;
/// libostree's limit for an object other than a file (`OSTREE_MAX_METADATA_SIZE`).
pub const METADATA_LIMIT: u64 = 128 << 20;
/// How many repositories a `parent` may lead through.
const PARENTS: usize = 8;

/// A repository and those its `parent` key leads to, the nearest first.
pub struct LocalRepository {
    path: PathBuf,
    config: RepoConfig,
    stores: Vec<Store>,
}

/// A directory `objects` and how files lie in it.
struct Store {
    path: PathBuf,
    mode: Mode,
}

impl LocalRepository {
    pub fn open(path: &Path) -> Result<Self> {
        let config = config(path)?;
        let mut stores = vec![Store { path: path.to_owned(), mode: mode(path, &config)? }];
        let mut parent = config.parent.clone();
        while let Some(path) = parent.map(PathBuf::from) {
            if stores.len() > PARENTS {
                return Err(Error::NotARepository { location: describe(&path), why: "its parents have no end".into() });
            }
            let config = self::config(&path)?;
            stores.push(Store { mode: mode(&path, &config)?, path });
            parent = config.parent;
        }
        Ok(Self { path: path.to_owned(), config, stores })
    }

    /// The commit in the file of a ref.
    fn ref_at(&self, path: &str) -> Result<Option<Checksum>> {
        let Some(bytes) = read(&self.path.join(path), TEXT_LIMIT)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        text.trim_end().parse().map(Some).map_err(|source| Error::Ref { path: path.to_owned(), source })
    }

    fn find_ref(&self, remote: Option<&str>, name: &str) -> Result<Option<Found>> {
        let found = |commit, remote| Found { commit, name: Some(name.to_owned()), remote };
        let Some(remote) = remote else {
            if let Some(commit) = self.ref_at(&repo::ref_path(name))? {
                return Ok(Some(found(commit, None)));
            }
            return self.find_mirrored(name);
        };
        if let Some(commit) = self.ref_at(&repo::remote_ref_path(remote, name))? {
            let url = self.config.file.remote(remote, "url").map(str::to_owned);
            return Ok(Some(found(commit, Some((remote.to_owned(), url)))));
        }
        Ok(self.ref_at(&repo::mirror_ref_path(remote, name))?.map(|commit| found(commit, None)))
    }

    /// A mirrored ref may be named without its collection where only one has it.
    fn find_mirrored(&self, name: &str) -> Result<Option<Found>> {
        let mut commits = Vec::new();
        for collection in list(&self.path.join("refs/mirrors"))? {
            commits.extend(self.ref_at(&repo::mirror_ref_path(&collection, name))?);
        }
        commits.dedup();
        let found = |commit| Found { commit, name: Some(name.to_owned()), remote: None };
        Ok(if let [commit] = commits[..] { Some(found(commit)) } else { None })
    }

    /// All refs as a user may write them.
    fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        walk(&self.path.join("refs/heads"), "", &mut names)?;
        for (directory, separator) in [("refs/remotes", ":"), ("refs/mirrors", ":")] {
            for owner in list(&self.path.join(directory))? {
                walk(&self.path.join(directory).join(&owner), &format!("{owner}{separator}"), &mut names)?;
            }
        }
        Ok(names)
    }
}

impl Repository for LocalRepository {
    fn find(&self, rev: &Rev) -> Result<Found> {
        let found = match rev {
            Rev::Commit(commit) => return Ok(Found { commit: *commit, name: None, remote: None }),
            Rev::Ref { remote, name } => self.find_ref(remote.as_deref(), name)?,
        };
        match found {
            Some(found) => Ok(found),
            None => Err(refs::no_such_ref(self.describe(), rev, self.names()?)),
        }
    }

    fn metadata(&self, object: ObjectName) -> Result<Option<Vec<u8>>> {
        for store in &self.stores {
            if let Some(bytes) = read(&store.path.join(repo::object_path(object)), METADATA_LIMIT)? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn file(&self, checksum: Checksum) -> Result<FileObject<'_>> {
        for store in &self.stores {
            if let Some(object) = local_object::open(&store.path, store.mode, checksum)? {
                return Ok(object);
            }
        }
        Err(Error::MissingObject { object: ObjectName { checksum, kind: ObjectKind::File }, location: self.describe() })
    }

    fn at_once(&self, processors: usize) -> usize {
        processors
    }

    fn must_be_signed(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        describe(&self.path)
    }
}

fn describe(path: &Path) -> String {
    path.display().to_string()
}

fn config(path: &Path) -> Result<RepoConfig> {
    let wrong = |why: String| Error::NotARepository { location: describe(path), why };
    let bytes = read(&path.join("config"), TEXT_LIMIT)?.ok_or_else(|| wrong("it has no file `config`".into()))?;
    RepoConfig::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| wrong(format!("its `config`: {error}")))
}

fn mode(path: &Path, config: &RepoConfig) -> Result<Mode> {
    Mode::parse(&config.mode).ok_or_else(|| Error::Mode { location: describe(path), mode: config.mode.clone() })
}

/// A whole file; `None` when there is none, or none that is a file.
fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { what: path.display().to_string(), limit });
    }
    Ok(Some(bytes))
}

/// The names in a directory in byte order, those that are UTF-8; nothing where there is no directory.
fn list(path: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// A link is an alias of a ref, never a directory to look into.
fn walk(path: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    for name in list(path)? {
        let child = path.join(&name);
        if fs::symlink_metadata(&child).is_ok_and(|stat| stat.is_dir()) {
            walk(&child, &format!("{prefix}{name}/"), names)?;
        } else {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}
