//! A layer: from the blob to objects, and to the tree that they make (OCI image-spec `layer.md`; ostree-ext `tar/write.rs`).
//!
//! `pipeline` runs the threads, `blob` verifies, `compression` inflates, `tar` reads entries. `apply` makes objects and a tree of
//! them, `encapsulated` finds objects that are objects already. Which layers an image has, and what they become together, is not
//! known here.

mod apply;
mod blob;
mod chunks;
mod compression;
mod contents;
pub mod encapsulated;
mod error;
mod memory;
mod pipeline;
pub mod tar;

pub use apply::{Applied, apply};
pub use blob::{Announced, Blob, read_whole};
pub use compression::Compression;
pub use error::{BlobError, Error};
pub use memory::{Memory, Share};
pub use pipeline::{Expected, Finished, Role, Room, Unpacked, Watcher, run};
