//! Repositories on an HTTP server, mode `archive` (libostree `ostree-repo-pull.c`).

use super::fetch::archived;
use super::local::METADATA_LIMIT;
use super::mirrors::{Mirrors, join};
use super::{Access, Error, FileObject, Found, Repository, Result, Rev, SignedSummary, refs};
use crate::http::{Body, Client, Retry};
use crate::image_ref::Location;
use crate::ostree::delta::{self, Superblock};
use crate::ostree::keyfile::RepoConfig;
use crate::ostree::summary::delta_index;
use crate::ostree::{Checksum, ObjectKind, ObjectName, Summary, refs as names, repo};

/// A configuration, a ref, an index.
const TEXT_LIMIT: u64 = 1 << 20;
const SIGNATURE_LIMIT: u64 = 16 << 20;

/// A repository behind one URL, or behind several that are alike.
pub struct RemoteRepository {
    client: Client,
    /// For messages.
    name: String,
    metadata: Mirrors,
    content: Mirrors,
    summary: Option<SignedSummary>,
    now: i64,
}

impl RemoteRepository {
    pub fn open(location: &Location, access: &Access) -> Result<Self> {
        let client = Client::new(&access.http)?;
        let metadata = Mirrors::at(&client, location)?;
        let content = match &access.content {
            Some(location) => Mirrors::at(&client, location)?,
            None => metadata.again(),
        };
        let name = location.to_string();
        let mut repository = Self { client, name, metadata, content, summary: None, now: access.now };
        repository.check_config()?;
        repository.summary = repository.find_summary()?;
        Ok(repository)
    }

    /// The first mirror that serves a `config` is the one that is used.
    fn check_config(&self) -> Result<()> {
        let wrong = |why: String| Error::NotARepository { location: self.name.clone(), why };
        let config = self.find("config", TEXT_LIMIT)?.ok_or_else(|| wrong("it serves no file `config`".into()))?;
        let config = RepoConfig::parse(&String::from_utf8_lossy(&config));
        let config = config.map_err(|error| wrong(format!("its `config`: {error}")))?;
        match config.mode.as_str() {
            "archive" | "archive-z2" => Ok(()),
            _ => Err(Error::NotServed { location: self.name.clone(), mode: config.mode }),
        }
    }

    fn find_summary(&self) -> Result<Option<SignedSummary>> {
        let Some(bytes) = self.find("summary", METADATA_LIMIT)? else { return Ok(None) };
        let summary =
            Summary::parse(&bytes).map_err(|source| Error::Summary { location: self.name.clone(), source })?;
        let signature = self.find("summary.sig", SIGNATURE_LIMIT)?;
        Ok(Some(SignedSummary { summary, bytes, signature }))
    }

    fn find(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let found = self.metadata.first(|base| self.client.bytes(&join(base, path), limit));
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// By the summary, or by the index that it says there is.
    fn offers_delta(&self, to: Checksum) -> Result<bool> {
        let Some(signed) = &self.summary else { return Ok(false) };
        let name = to.to_string();
        if signed.summary.static_deltas.contains_key(&name) {
            return Ok(true);
        }
        if !signed.summary.indexed_deltas {
            return Ok(false);
        }
        let index = self.find(&delta::index_path(to), TEXT_LIMIT)?;
        Ok(index.and_then(|bytes| delta_index(&bytes)).is_some_and(|deltas| deltas.contains_key(&name)))
    }

    fn ref_at(&self, path: &str) -> Result<Option<Checksum>> {
        let Some(bytes) = self.find(path, TEXT_LIMIT)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        text.trim_end().parse().map(Some).map_err(|source| Error::Ref { path: path.to_owned(), source })
    }

    /// The summary and the ref's own file, which have to agree where both are there: an old summary hides what is new.
    fn find_ref(&self, collection: Option<&str>, name: &str) -> Result<Option<Checksum>> {
        let path = match collection {
            Some(collection) => repo::mirror_ref_path(collection, name),
            None => repo::ref_path(name),
        };
        let file = self.ref_at(&path)?;
        let Some(signed) = &self.summary else { return Ok(file) };
        if let Some(expired) =
            signed.summary.expires.filter(|&expires| i64::try_from(expires).is_ok_and(|t| t < self.now))
        {
            return Err(Error::ExpiredSummary { location: self.name.clone(), expired });
        }
        let listed = signed.summary.commit(collection, name);
        match (file, listed) {
            (Some(file), Some(listed)) if file != listed => {
                let (location, name) = (self.name.clone(), name.to_owned());
                Err(Error::StaleSummary { location, name, listed, file })
            }
            _ => Ok(listed.or(file)),
        }
    }
}

impl Repository for RemoteRepository {
    fn find(&self, rev: &Rev) -> Result<Found> {
        let (collection, name) = match rev {
            Rev::Commit(commit) => return Ok(Found { commit: *commit, name: None, remote: None }),
            Rev::Ref { remote, name } => (remote.as_deref(), name),
        };
        let found = match collection {
            Some(collection) if !names::is_collection(collection) => None,
            collection => self.find_ref(collection, name)?,
        };
        let listed = || self.summary.as_ref().map(|signed| signed.summary.names()).unwrap_or_default();
        match found {
            Some(commit) => Ok(Found { commit, name: Some(name.clone()), remote: None }),
            None => Err(refs::no_such_ref(self.name.clone(), rev, listed())),
        }
    }

    fn metadata(&self, object: ObjectName) -> Result<Option<Vec<u8>>> {
        self.find(&repo::object_path(object), METADATA_LIMIT)
    }

    /// One attempt: what is read later may break, and then all of it is done again.
    fn file(&self, checksum: Checksum) -> Result<FileObject<'_>> {
        let object = ObjectName { checksum, kind: ObjectKind::File };
        let path = format!("{}z", repo::object_path(object));
        let body = self.content.first(|base| self.client.get(&join(base, &path)));
        let body: Body = body.map_err(|error| match error.is_not_found() {
            true => Error::MissingObject { object, location: self.name.clone() },
            false => error.into(),
        })?;
        archived(object, body)
    }

    fn delta(&self, to: Checksum) -> Result<Option<Superblock>> {
        if !self.offers_delta(to)? {
            return Ok(None);
        }
        let path = format!("{}/superblock", delta::directory(to));
        let Some(bytes) = self.find(&path, METADATA_LIMIT)? else { return Ok(None) };
        let superblock = Superblock::parse(&bytes).map_err(|source| Error::Delta { to, source })?;
        Ok(Some(superblock).filter(|superblock| superblock.to == to))
    }

    fn delta_part(&self, to: Checksum, part: usize, size: u64) -> Result<Vec<u8>> {
        let path = format!("{}/{part}", delta::directory(to));
        let bytes = self.content.first(|base| self.client.bytes(&join(base, &path), size));
        bytes.map_err(|error| match error.is_not_found() {
            true => Error::NoDelta { location: self.name.clone(), to, part },
            false => error.into(),
        })
    }

    fn at_once(&self, _processors: usize) -> usize {
        self.client.at_once()
    }

    fn retry(&self) -> Option<Retry> {
        Some(self.client.retry())
    }

    fn summary(&self) -> Option<&SignedSummary> {
        self.summary.as_ref()
    }

    fn must_be_signed(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}
