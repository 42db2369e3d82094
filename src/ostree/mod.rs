//! The ostree repository as bytes: objects, trees, commits, refs (libostree `ostree-core.c`, `ostree-repo*.c`).
//!
//! A layer's tar entries become a tree (`tar_filter`, `link_target`, `layer_tree`), layers become one tree (`merge`), a tree
//! becomes objects and a commit (`mtree`, `object`, `metadata`, `commit`), and all of it gets its place (`repo`, `refs`).
//! Repositories that somebody else wrote are read here too (`filez`, `detached`, `summary`, `delta`,
//! `keyfile`).
//! File contents are only hashed here, never stored. Deployments, SELinux policy, tar and JSON are not here.

pub mod checksum;
pub mod commit;
pub mod delta;
pub mod detached;
pub mod error;
pub mod filez;
mod hardlinks;
pub mod keyfile;
pub mod layer_tree;
pub mod link_target;
pub mod merge;
pub mod metadata;
pub mod mtree;
pub mod name;
pub mod object;
pub mod refs;
pub mod repo;
pub mod summary;
pub mod tar_filter;
pub mod variant;
pub mod variant_reader;
pub mod xattrs;

pub use checksum::Checksum;
pub use commit::{Commit, Value};
pub use detached::Signatures;
pub use error::Error;
pub use filez::FileMeta;
pub use layer_tree::{LayerTree, Owner};
pub use merge::{Merged, merge, merge_layers};
pub use metadata::{DirMeta, DirTree};
pub use mtree::{Directory, Node};
pub use name::Name;
pub use object::{FileHasher, ObjectKind, ObjectName, file_header, symlink_checksum};
pub use summary::Summary;
pub use tar_filter::{Filtered, filter};
pub use xattrs::Xattrs;
