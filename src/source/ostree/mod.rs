//! Refs of ostree repositories, on disk or on a server: the commit a ref names, verified, with every object it consists of.
//!
//! A `Repository` finds commits and hands out objects; `load` verifies them and puts contents into the spool. What the bytes of
//! objects mean is `ostree/`'s business, who signed them `trust/`'s. Deployments are not here.

mod delta;
mod error;
mod fetch;
mod load;
mod local;
mod local_object;
mod mirrors;
mod policy;
mod pull;
mod queue;
mod refs;
mod remote;
mod tree;

use std::collections::BTreeMap;
use std::io::Read;

use crate::http::{self, Retry};
use crate::image::Contents;
use crate::image_ref::Location;
use crate::ostree::delta::Superblock;
use crate::ostree::{Checksum, Commit, Directory, FileMeta, ObjectName, Summary};
pub use error::{Error, Result};
pub use load::{Wanted, load};
use local::LocalRepository;
pub use policy::{Policy, Verification};
pub use refs::Rev;
use remote::RemoteRepository;
pub(super) use tree::Directories;

/// Something that holds ostree objects.
pub trait Repository: Sync {
    /// The commit that `rev` names.
    fn find(&self, rev: &Rev) -> Result<Found>;

    /// A whole object other than a file; the caller compares its checksum. `None`: it is not there.
    fn metadata(&self, object: ObjectName) -> Result<Option<Vec<u8>>>;

    /// A file object; the caller compares its checksum.
    fn file(&self, checksum: Checksum) -> Result<FileObject<'_>>;

    /// How many objects to ask for at once, on a machine with so many processors.
    fn at_once(&self, processors: usize) -> usize;

    /// The static delta from nothing to this commit, where there is one.
    fn delta(&self, _to: Checksum) -> Result<Option<Superblock>> {
        Ok(None)
    }

    /// The file of a delta's part.
    fn delta_part(&self, to: Checksum, part: usize, _size: u64) -> Result<Vec<u8>> {
        Err(Error::NoDelta { location: self.describe(), to, part })
    }

    /// How to try again what broke; `None` where nothing breaks.
    fn retry(&self) -> Option<Retry> {
        None
    }

    /// What the repository says of itself as a whole.
    fn summary(&self) -> Option<&SignedSummary> {
        None
    }

    /// Whether a commit without a good signature is an error: where others have had their hands on it.
    fn must_be_signed(&self) -> bool;

    /// For messages.
    fn describe(&self) -> String;
}

/// How repositories on servers are reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub http: http::Options,
    /// Where the files are, when elsewhere than the rest.
    pub content: Option<Location>,
    /// Seconds since 1970.
    pub now: i64,
}

/// A summary and what its signatures are over.
#[derive(Debug)]
pub struct SignedSummary {
    pub summary: Summary,
    pub bytes: Vec<u8>,
    /// `summary.sig`.
    pub signature: Option<Vec<u8>>,
}

/// What a ref stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub commit: Checksum,
    /// The ref, where one was named.
    pub name: Option<String>,
    /// The repository's own remote that the ref was pulled from, and its URL.
    pub remote: Option<(String, Option<String>)>,
}

/// A regular file or symbolic link.
pub struct FileObject<'a> {
    pub meta: FileMeta,
    /// Bytes of the content, as far as the repository says.
    pub size: u64,
    /// Nothing for a symbolic link.
    pub content: Box<dyn Read + Send + 'a>,
}

/// A commit with everything it consists of, verified.
#[derive(Debug)]
pub struct PulledCommit {
    pub found: Found,
    pub checksum: Checksum,
    pub commit: Commit,
    pub root: Directory,
    /// Every object but files, the commit and what was said of it afterwards among them.
    pub metadata: BTreeMap<ObjectName, Vec<u8>>,
    pub contents: Contents,
    pub verification: Verification,
}

impl PulledCommit {
    /// What its owner should know of it.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.verification.warning.iter().cloned().collect();
        if let Some(text) = self.commit.string("ostree.endoflife") {
            warnings.push(format!("the commit has reached its end of life: {text}"));
        }
        if let Some(name) = self.commit.string("ostree.endoflife-rebase") {
            warnings.push(format!("the commit has reached its end of life; its successor is the ref {name}"));
        }
        warnings
    }
}

/// Opens a repository.
pub fn open(location: &Location, access: &Access) -> Result<Box<dyn Repository>> {
    match location {
        Location::Directory(path) => Ok(Box::new(LocalRepository::open(path)?)),
        Location::Server(_) | Location::MirrorList(_) => Ok(Box::new(RemoteRepository::open(location, access)?)),
    }
}
