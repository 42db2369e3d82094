//! What can be wrong with a layer.

use super::{encapsulated, tar};
use crate::digest::Digest;
use crate::ostree;
use crate::spool::SpoolError;

/// Everything this room refuses. Which layer it was is added by the one who asked for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Blob(#[from] BlobError),

    #[error("its media type `{0}` is no kind of layer: tar, tar+gzip and tar+zstd are")]
    MediaType(String),

    #[error("its {compression} stream is broken after {at} bytes of content: {what}")]
    Compression { compression: &'static str, at: u64, what: String },

    #[error("it inflates to more than {limit} bytes")]
    TooLarge { limit: u64 },

    #[error("the names, links and xattrs of the image need more than {limit} bytes of memory")]
    TooManyEntries { limit: u64 },

    #[error("its content has the digest {found}, the image's config says {expected}")]
    DiffId { expected: Digest, found: Digest },

    #[error("{0}")]
    Tar(#[from] tar::Error),

    #[error("{0}")]
    Encapsulated(Box<encapsulated::Error>),

    #[error("`{path}`: {source}")]
    Path { path: String, source: ostree::Error },

    #[error("{0}")]
    Tree(ostree::Error),

    #[error("`{path}` is {what}, which ostree cannot store; only below dev, proc, run, sys and tmp may be such")]
    Special { path: String, what: &'static str },

    #[error("{0}")]
    Spool(#[from] SpoolError),

    /// Never seen by a user: another layer's error is the reason.
    #[error("reading it was stopped")]
    Stopped,
}

impl From<encapsulated::Error> for Error {
    fn from(error: encapsulated::Error) -> Self {
        Self::Encapsulated(Box::new(error))
    }
}

/// What can be wrong with a blob, whatever is in it.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("cannot read it after {at} bytes: {source}")]
    Read { at: u64, source: std::io::Error },

    #[error("it has only {found} bytes, its descriptor says {expected}")]
    TooShort { expected: u64, found: u64 },

    #[error("it has more than the {expected} bytes of its descriptor")]
    TooLong { expected: u64 },

    #[error("it has the digest {found}, its descriptor says {expected}")]
    Digest { expected: Digest, found: Digest },
}
