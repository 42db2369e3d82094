//! Whether an image may be used at all: asked when its documents are known and before any layer is read.

use super::{Resolved, Result, Source};
use crate::container_trust::{self, Accepted, Policy};

/// Asks `policy` about the image at the time `now`, in seconds since 1970.
pub fn admit(source: &dyn Source, resolved: &Resolved, policy: &Policy, now: i64) -> Result<Accepted> {
    let identity = source.identity()?;
    let signatures = source.signatures(resolved, policy)?;
    let image =
        container_trust::Image { identity: &identity, manifest: &resolved.manifest, index: resolved.index.as_deref() };
    Ok(container_trust::admit(policy, image, &*signatures, now)?)
}
