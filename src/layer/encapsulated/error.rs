//! What can be wrong with the objects in a layer.

use crate::ostree::{self, Checksum, ObjectName};

/// Everything this room refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{path}` is no place for an ostree object")]
    Place { path: String },

    #[error("`{path}` is {found}, {expected}")]
    Kind { path: String, found: &'static str, expected: &'static str },

    #[error("`{path}` has {len} bytes, {limit} are allowed")]
    TooLong { path: String, len: u64, limit: u64 },

    #[error("the object {object} is not what its name says: its bytes have the checksum {found}")]
    Checksum { object: ObjectName, found: Checksum },

    #[error("the xattrs in `{path}` are not what their name says: their bytes have the checksum {found}")]
    XattrsChecksum { path: String, found: Checksum },

    #[error("the xattrs in `{path}`: {source}")]
    Xattrs { path: String, source: ostree::Error },

    #[error("`{path}` is a link to `{target}`, and no xattrs of that name come before it")]
    UnknownXattrs { path: String, target: String },

    #[error("the xattrs of {first}.file are followed by those of {second}.file, and not by that file")]
    FileMissing { first: Checksum, second: Checksum },

    #[error("its xattrs do not come before the object {object}")]
    XattrsMissing { object: ObjectName },

    #[error("before the object {object} come the xattrs of {other}.file")]
    XattrsOfAnother { object: ObjectName, other: Checksum },

    #[error("the link in {object}: {source}")]
    LinkTarget { object: ObjectName, source: ostree::Error },

    #[error("it is a component layer and holds {object}, and only files may be in such a layer")]
    NotAFile { object: ObjectName },

    #[error("it holds the object {object} twice")]
    Twice { object: ObjectName },

    #[error("it holds the commits {first} and {second}, and a commit layer has one")]
    SeveralCommits { first: Checksum, second: Checksum },

    #[error("it is the image's commit layer and holds no commit")]
    NoCommit,

    #[error("it holds signatures of the commit {signed}, and its commit is {commit}")]
    SignaturesOfAnother { signed: Checksum, commit: Checksum },
}
