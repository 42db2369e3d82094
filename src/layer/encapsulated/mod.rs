//! A commit layer or component layer: objects of an ostree commit in a tar stream (ostree-ext `tar/import.rs`).
//!
//! They lie below `sysroot/ostree/repo`; everything else in such a layer is there for those who run the image as a container. Every
//! object is compared with its name. Whether a commit has all its objects is known when all layers are read, in
//! `source/encapsulated`.

mod error;
mod member;
mod objects;
mod xattrs;

pub use error::Error;
pub use objects::{CommitLayer, read_commit, read_component};
