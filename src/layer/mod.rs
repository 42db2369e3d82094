//! A layer: from the blob to a tree and its objects (OCI image-spec `layer.md`; ostree-ext `tar/write.rs`).
//!
//! `pipeline` runs the threads, `blob` verifies, `compression` inflates, `tar` reads entries, `apply` makes objects of them.
//! Which layers an image has, and what their trees become together, is not known here.

mod apply;
mod blob;
mod chunks;
mod compression;
mod error;
mod pipeline;
pub mod tar;

pub use apply::{Applied, apply};
pub use blob::{Announced, Blob, read_whole};
pub use compression::Compression;
pub use error::{BlobError, Error};
pub use pipeline::{Expected, Finished, Watcher, run};
