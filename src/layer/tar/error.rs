//! What can be wrong with a tar stream.

use std::io;

/// Everything the tar reader refuses. Offsets are bytes from the beginning of the stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the tar stream ends at byte {at} in the middle of {what}")]
    Truncated { at: u64, what: &'static str },

    #[error("byte {at} of the tar stream is not the begin of a header: its checksum is wrong")]
    Checksum { at: u64 },

    #[error("the {field} field of the tar header at byte {at} is not a number: `{text}`")]
    Number { at: u64, field: &'static str, text: String },

    #[error("the {field} of the tar header at byte {at} is negative or larger than {limit}")]
    OutOfRange { at: u64, field: &'static str, limit: u64 },

    #[error("the PAX header at byte {at} is malformed: {why}")]
    Pax { at: u64, why: &'static str },

    #[error("the extended header at byte {at} has {len} bytes, {limit} are allowed")]
    ExtensionTooLong { at: u64, len: u64, limit: u64 },

    #[error("the extended header at byte {at} is followed by no file")]
    ExtensionWithoutFile { at: u64 },

    #[error("the sparse file at byte {at} has a malformed map: {why}")]
    Sparse { at: u64, why: &'static str },

    #[error("cannot read the tar stream at byte {at}: {source}")]
    Io { at: u64, source: io::Error },
}
