//! Repositories on an HTTP server, mode `archive` (libostree `ostree-repo-pull.c`).

use std::sync::atomic::{AtomicUsize, Ordering};

use url::Url;

use super::fetch::archived;
use super::local::METADATA_LIMIT;
use super::{Access, Error, FileObject, Found, Repository, Result, Rev, SignedSummary, refs};
use crate::http::{Body, Client, HttpError, Retry};
use crate::image_ref::Location;
use crate::ostree::delta::{self, Superblock};
use crate::ostree::keyfile::RepoConfig;
use crate::ostree::summary::delta_index;
use crate::ostree::{Checksum, ObjectKind, ObjectName, Summary, refs as names, repo};

/// A configuration, a ref, a list of mirrors.
const TEXT_LIMIT: u64 = 1 << 20;
const SIGNATURE_LIMIT: u64 = 16 << 20;
/// More than anybody lists.
const MIRRORS: usize = 64;

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

/// Base URLs of the same files, each with a slash at its end.
struct Mirrors {
    bases: Vec<Url>,
    /// The one that answered last.
    current: AtomicUsize,
}

impl RemoteRepository {
    pub fn open(location: &Location, access: &Access) -> Result<Self> {
        let client = Client::new(&access.http)?;
        let metadata = Mirrors::at(&client, location)?;
        let content = match &access.content {
            Some(location) => Mirrors::at(&client, location)?,
            None => Mirrors { bases: metadata.bases.clone(), current: AtomicUsize::new(0) },
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

impl Mirrors {
    fn at(client: &Client, location: &Location) -> Result<Self> {
        let bases = match location {
            Location::Directory(path) => {
                return Err(Error::NotARepository {
                    location: path.display().to_string(),
                    why: "a URL is needed here".into(),
                });
            }
            Location::Server(url) => vec![with_slash(url)],
            Location::MirrorList(url) => {
                let list = client.bytes(url, TEXT_LIMIT)?;
                let list = parse_list(&String::from_utf8_lossy(&list));
                list.ok_or_else(|| Error::MirrorList { url: location.to_string() })?
            }
        };
        Ok(Self { bases, current: AtomicUsize::new(0) })
    }

    /// The first answer, beginning with the mirror that gave the last one; the error is that of the first asked.
    fn first<T>(&self, ask: impl Fn(&Url) -> std::result::Result<T, HttpError>) -> std::result::Result<T, HttpError> {
        let current = self.current.load(Ordering::Relaxed);
        let mut first_error = None;
        for step in 0..self.bases.len() {
            let index = (current + step) % self.bases.len();
            match ask(&self.bases[index]) {
                Ok(answer) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        // OK to expect: there is at least one mirror, and each gave an answer or an error.
        Err(first_error.expect("a mirror"))
    }
}

/// One base URL a line; `#` begins a comment. `None` when there is none, or a line is no URL of HTTP.
fn parse_list(text: &str) -> Option<Vec<Url>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let url = |line: &str| Url::parse(line).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let bases: Vec<Url> =
        lines.take(MIRRORS).map(|line| url(line).map(|url| with_slash(&url))).collect::<Option<_>>()?;
    (!bases.is_empty()).then_some(bases)
}

fn with_slash(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// The URL of a file; the query of the base, which may be a token, stays.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path()));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_list_has_one_url_a_line() {
        let bases = parse_list("# ours\n\nhttps://a.example/repo\n http://b.example/repo/ \n").unwrap();
        let texts: Vec<_> = bases.iter().map(Url::as_str).collect();
        assert_eq!(texts, ["https://a.example/repo/", "http://b.example/repo/"]);
        assert!(parse_list("# none\n").is_none() && parse_list("file:///srv\n").is_none());
    }

    #[test]
    fn files_lie_below_the_base_and_its_query_stays() {
        let base = with_slash(&Url::parse("https://a.example/r%20x/repo?token=1").unwrap());
        assert_eq!(
            join(&base, "objects/ab/c.filez").as_str(),
            "https://a.example/r%20x/repo/objects/ab/c.filez?token=1"
        );
    }
}
