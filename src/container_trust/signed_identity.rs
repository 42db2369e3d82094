//! Which name a signature has to give the image (containers-policy.json(5), `signedIdentity`).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::image_ref::{Prefix, Reference};

/// The empty braces are there because unit variants would take any key.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum SignedIdentity {
    MatchExact {},
    MatchRepoDigestOrExact {},
    MatchRepository {},
    ExactReference {
        #[serde(deserialize_with = "exact")]
        docker_reference: Reference,
    },
    ExactRepository {
        docker_repository: Reference,
    },
    RemapIdentity {
        prefix: Prefix,
        signed_prefix: Prefix,
    },
}

impl Default for SignedIdentity {
    fn default() -> Self {
        Self::MatchRepoDigestOrExact {}
    }
}

impl SignedIdentity {
    /// Whether a signature for `signed` is one for the image that is asked for as `wanted`, which has a tag or a digest.
    pub fn admits(&self, wanted: Option<&Reference>, signed: &Reference) -> bool {
        match (self, wanted) {
            (Self::ExactReference { docker_reference }, _) => docker_reference == signed,
            (Self::ExactRepository { docker_repository }, _) => docker_repository.name() == signed.name(),
            (_, None) => false,
            (Self::MatchExact {}, Some(wanted)) => !signed.is_name_only() && wanted == signed,
            (Self::MatchRepoDigestOrExact {}, Some(wanted)) => repo_digest_or_exact(wanted, signed),
            (Self::MatchRepository {}, Some(wanted)) => wanted.name() == signed.name(),
            (Self::RemapIdentity { prefix, signed_prefix }, Some(wanted)) => {
                wanted.remapped(prefix, signed_prefix).is_ok_and(|wanted| repo_digest_or_exact(&wanted, signed))
            }
        }
    }
}

/// Of a reference by digest the digest was compared with the image already, so that the repository is enough.
fn repo_digest_or_exact(wanted: &Reference, signed: &Reference) -> bool {
    if signed.is_name_only() || wanted.is_name_only() {
        return false;
    }
    if wanted.tag().is_some() { wanted == signed } else { wanted.name() == signed.name() }
}

fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
    let reference = Reference::deserialize(deserializer)?;
    if reference.is_name_only() {
        return Err(D::Error::custom(format!("`{reference}` has neither a tag nor a digest")));
    }
    Ok(reference)
}
