//! What can be wrong with a repository, a ref, and the objects behind it.

use std::io;
use std::path::PathBuf;

use crate::http::{HttpError, Retryable};
use crate::ostree::{self, Checksum, ObjectName};
use crate::spool::SpoolError;
use crate::trust::{Distrust, SignatureFact};

/// Everything this room refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("{path} may not be read by this user", path = path.display())]
    Unreadable { path: PathBuf },

    #[error("{location} is no ostree repository: {why}")]
    NotARepository { location: String, why: String },

    #[error("{location} is an ostree repository of the mode `{mode}`, which cannot be read here")]
    Mode { location: String, mode: String },

    #[error("`{text}` is no name of a ref: words of letters, digits, `_`, `-` and `.` with `/` between them are")]
    RefName { text: String },

    #[error("{location} has no ref `{wanted}`{}", nearest(near, *count))]
    NoSuchRef { location: String, wanted: String, near: Vec<String>, count: usize },

    #[error("the ref in {path} names no commit: {source}")]
    Ref { path: String, source: ostree::Error },

    #[error("{location} lacks the object {object}")]
    MissingObject { object: ObjectName, location: String },

    #[error("the object {object} is not what its name says: its bytes have the checksum {found}")]
    Checksum { object: ObjectName, found: Checksum },

    #[error("the object {object} does not have the {announced} bytes that its header announces")]
    Size { object: ObjectName, announced: u64 },

    #[error("the object {object}: {source}")]
    Object { object: ObjectName, source: ostree::Error },

    #[error("the object {object} cannot be unpacked: {source}")]
    Stream { object: ObjectName, source: io::Error },

    #[error("{path} lacks the xattr `user.ostreemeta` that every file of a bare-user repository has", path = path.display())]
    NoOstreeMeta { path: PathBuf },

    #[error("the xattrs of {path}: {source}", path = path.display())]
    Xattrs { path: PathBuf, source: ostree::Error },

    #[error("{what} has more than {limit} bytes")]
    TooLarge { what: String, limit: u64 },

    #[error("the directory `{path}` of the commit needs the object {checksum}, which was not fetched")]
    Incomplete { path: String, checksum: Checksum },

    #[error("the commit's tree has more than {limit} names")]
    TooManyNames { limit: usize },

    #[error("the commit's tree: {0}")]
    Tree(ostree::Error),

    #[error("{location} serves an ostree repository of the mode `{mode}`, and only `archive` is made for servers")]
    NotServed { location: String, mode: String },

    #[error("the mirror list {url} names no server: a line with an http or https URL does")]
    MirrorList { url: String },

    #[error("the commit {commit} cannot be trusted: {reason}")]
    Untrusted { commit: Checksum, reason: Distrust },

    #[error("the commit {commit} comes from a server, and no key was given to verify it{}", signed_by(signers))]
    NoKeys { commit: Checksum, signers: Vec<String> },

    #[error("{location} has no part {part} of the static delta to {to}")]
    NoDelta { location: String, to: Checksum, part: usize },

    #[error("the static delta to {to}: {source}")]
    Delta { to: Checksum, source: ostree::Error },

    #[error("part {part} of the static delta to {to} cannot be unpacked: {source}")]
    DeltaPart { to: Checksum, part: usize, source: io::Error },

    #[error("the signatures of {what}: {source}")]
    Signatures { what: &'static str, source: ostree::Error },

    #[error("the summary of {location} is not the one that was signed: {fact}")]
    SummarySignature { location: String, fact: Box<SignatureFact> },

    #[error("the commit was made for {}, not for {name}", list(bound))]
    RefBinding { name: String, bound: Vec<String> },

    #[error("the commit is bound to no ref, as every commit of the collection {collection} has to be")]
    NoRefBinding { collection: String },

    #[error("the commit belongs to {}, not to the collection {wanted}", bound.as_deref().unwrap_or("no collection"))]
    CollectionBinding { wanted: String, bound: Option<String> },

    #[error("the commit is of {}, and nothing before {} is taken", date(*made), date(*limit))]
    TooOld { made: i64, limit: i64 },

    #[error("the summary of {location}: {source}")]
    Summary { location: String, source: ostree::Error },

    #[error("the summary of {location} was good until {}", date(i64::try_from(*expired).unwrap_or(i64::MAX)))]
    ExpiredSummary { location: String, expired: u64 },

    #[error("the summary of {location} is stale: it says that {name} is {listed}, and the ref's own file says {file}")]
    StaleSummary { location: String, name: String, listed: Checksum, file: Checksum },

    #[error(transparent)]
    Http(HttpError),

    #[error(transparent)]
    Spool(#[from] SpoolError),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What broke the reading of an object.
    pub(super) fn broken_stream(object: ObjectName, source: io::Error) -> Self {
        match HttpError::from_io(source) {
            Ok(error) => Self::Http(error),
            Err(source) => Self::Stream { object, source },
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => {
                "a `bare` repository keeps the owners of its files: export it as `archive` (ostree init --repo=NEW --mode=archive; \
                 ostree pull-local --repo=NEW OLD REF), or run as its owner"
            }
            Self::Mode { .. } => "copy it into one of the mode `archive`: ostree pull-local --repo=NEW OLD REF",
            Self::NoKeys { .. } => {
                "give the vendor's key with --gpg-key FILE or --sign-key FILE; --no-verify takes the commit as it is"
            }
            Self::Untrusted { .. } => "--gpg-key FILE and --sign-key FILE say whose commits are taken",
            Self::SummarySignature { .. } => "its owner signs a new one with `ostree summary -u`; --no-verify does not look",
            Self::RefBinding { .. } => "name a ref that the commit was made for",
            Self::NotARepository { .. } => "a repository is a directory with a file `config`, as `ostree init` makes it",
            Self::NoDelta { .. } | Self::Delta { .. } | Self::DeltaPart { .. } => {
                "`ostree static-delta generate` makes a new one; without any, objects are fetched one by one"
            }
            Self::Summary { .. } => "its owner makes a new one with `ostree summary -u`",
            Self::NotServed { .. } => "serve a copy of the mode `archive`: ostree pull-local --repo=NEW OLD REF",
            Self::StaleSummary { .. } | Self::ExpiredSummary { .. } => {
                "its owner makes a new one with `ostree summary -u`; a commit's id in place of the ref passes the summary by"
            }
            Self::Http(error) => return http_hint(error.last()),
            Self::NoSuchRef { .. } => "`ostree refs` lists the refs of a repository",
            Self::Checksum { .. } | Self::Size { .. } | Self::Stream { .. } | Self::MissingObject { .. } => {
                "`ostree fsck` checks a repository, `ostree pull` repairs it"
            }
            _ => return None,
        }
        .to_owned())
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl Retryable for Error {
    fn into_http(self) -> std::result::Result<HttpError, Self> {
        match self {
            Self::Http(error) => Ok(error),
            error => Err(error),
        }
    }
}

/// UTC, to the second.
fn date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| format!("{seconds} seconds after 1970"), |time| time.to_string())
}

fn signed_by(signers: &[String]) -> String {
    if signers.is_empty() {
        "; it is not signed".to_owned()
    } else {
        format!("; it is signed by {}", signers.join(", "))
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no ref".to_owned() } else { names.join(", ") }
}

fn http_hint(error: &HttpError) -> Option<String> {
    let text = match error {
        HttpError::Tls { .. } => {
            "--tls-ca FILE trusts another authority; --tls-client-cert and --tls-client-key show who you are"
        }
        HttpError::Connect { .. } => {
            "look at the URL, the network, and the proxies in the environment (https_proxy, no_proxy)"
        }
        // nginx's answer to who shows no certificate.
        HttpError::Status { status, .. } if status.as_u16() == 400 => {
            "a server that asks for a certificate gets one with --tls-client-cert and --tls-client-key"
        }
        HttpError::Status { status, .. } if status.as_u16() == 401 => "write the URL as https://USER:PASSWORD@HOST/…",
        HttpError::Timeout { .. } | HttpError::Broken { .. } => "try again; what was fetched so far is not kept",
        _ => return None,
    };
    Some(text.to_owned())
}

fn nearest(near: &[String], count: usize) -> String {
    if near.is_empty() {
        return ", nor any other".to_owned();
    }
    let names: Vec<_> = near.iter().map(|name| format!("`{name}`")).collect();
    let more = if count > near.len() { format!(", {} in all", count) } else { String::new() };
    format!("; it has {}{more}", names.join(", "))
}
