//! What the ostree commit that an image was made of decides about the layers over it.

use super::BuildError;
use crate::deploy::{self, CommitTree};
use crate::image::Image;
use crate::os::{self, OsError, SelinuxPolicy};
use crate::tree::Files;

/// Leaves out what the commit's root could not show, and labels the rest by the commit's policy. What the layers turn the policy
/// into comes after that, for all files: it may know fewer of them, or none.
pub fn settle_layers(image: &mut Image, threads: usize) -> Result<(), BuildError> {
    let Some(base) = image.base.as_ref().filter(|_| !image.layers.is_empty()) else { return Ok(()) };
    let checkout = CommitTree::checkout(&image.contents, &base.root, 0)?;
    let files = Files { tree: &checkout.tree, root: checkout.deployment, spool: &image.contents.spool };
    let shows_everything = os::overlayfs_root_enabled(&files).map_err(OsError::from)?;
    let policy = SelinuxPolicy::find(&files)?;
    if !shows_everything {
        deploy::leave_out_what_is_outside_usr(image);
    }
    if let Some(policy) = policy {
        deploy::label_layers(image, &policy, threads)?;
    }
    Ok(())
}
