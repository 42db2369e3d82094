//! Whether an image may be used at all: asked when its documents are known and before any layer is read.

use serde::Serialize;

use super::{Resolved, Result, Source};
use crate::container_trust::{self, Accepted, BUNDLE, Origin, PAYLOAD, Policy, Signature};
use crate::digest::Digest;

/// Asks `policy` about the image at the time `now`, in seconds since 1970.
pub fn admit(source: &dyn Source, resolved: &Resolved, policy: &Policy, now: i64) -> Result<Accepted> {
    let identity = source.identity()?;
    let signatures = source.signatures(resolved, policy)?;
    let image =
        container_trust::Image { identity: &identity, manifest: &resolved.manifest, index: resolved.index.as_deref() };
    Ok(container_trust::admit(policy, image, &*signatures, now)?)
}

/// How many signatures are kept with an image, or with the index that led to it, by their kinds. Nothing of them is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptSignatures {
    /// Where they were looked for.
    pub places: String,
    /// Of cosign, in the form that is supported.
    pub cosign: usize,
    /// Of GPG simple signing.
    pub gpg: usize,
    /// Sigstore bundles, the form of cosign 3; asked for where there is none of the other form.
    pub bundles: usize,
}

/// Looks for signatures of the image and of the index that led to it: where cosign keeps them, and where `policy` would look.
pub fn kept_signatures(source: &dyn Source, resolved: &Resolved, policy: Option<&Policy>) -> Result<KeptSignatures> {
    let index = resolved.index.as_deref().map(Digest::of);
    let (mut places, mut found) = (Vec::new(), Vec::new());
    // Keys on the command line look where cosign keeps them as well.
    let of_file = policy.filter(|policy| matches!(policy.origin(), Origin::File(_)));
    for policy in [Some(&Policy::without_keys()), of_file].into_iter().flatten() {
        let signatures = source.signatures(resolved, policy)?;
        let new = signatures.each_place().into_iter().filter(|place| !places.contains(place));
        places.extend(new.collect::<Vec<_>>());
        for manifest in [Some(resolved.manifest_digest), index].into_iter().flatten() {
            let new = signatures.of(&manifest)?.into_iter().filter(|signature| !found.contains(signature));
            found.extend(new.collect::<Vec<_>>());
        }
    }
    Ok(KeptSignatures::count(places.join(" and "), &found))
}

impl KeptSignatures {
    fn count(places: String, found: &[Signature]) -> Self {
        let mut kept = Self { places, ..Self::default() };
        for signature in found {
            *match signature {
                Signature::Simple(_) => &mut kept.gpg,
                Signature::Sigstore(attached) if attached.media_type == PAYLOAD => &mut kept.cosign,
                Signature::Sigstore(attached) if attached.media_type.starts_with(BUNDLE) => &mut kept.bundles,
                Signature::Sigstore(_) => continue,
            } += 1;
        }
        kept
    }
}
