//! The composefs room: the EROFS image `.ostree.cfs` that describes a deployment, and fs-verity digests.
//!
//! The image holds names, modes, owners, xattrs and symlink targets; a non-empty file only points at its object, and
//! overlayfs joins the two when the system boots (composefs, "EROFS image format"; libostree, `ostree-repo-composefs.c`).
//! What is written is composefs version 0 and byte for byte what libcomposefs writes for the same tree, because the
//! digest of the image may be signed. All times are 0.
//!
//! Knows nothing of repositories: the caller names each file's object. Reading images is not here, nor is storing
//! fs-verity metadata in a filesystem.

mod body;
mod check;
mod fs_verity;
mod inode;
mod layout;
mod node;
mod on_disk;
mod overlay;
mod placement;
mod record;
mod writer;
mod xattr;
mod xxh32;

pub use check::Error;
pub use fs_verity::fs_verity_digest;
pub use node::{Kind, Node, with_required_directories};

/// The EROFS image of the tree under `root`, a multiple of 4096 bytes.
///
/// Children may come in any order. The image adds what the format asks for and nothing else: `.` and `..`, the overlay
/// xattrs, and in the root a whiteout for each of the names `00` to `ff`, which hide the object directories.
pub fn image(root: Node) -> Result<Vec<u8>, Error> {
    check::check(&root)?;
    Ok(writer::write(&inode::number(overlay::whiteouts(root))))
}
