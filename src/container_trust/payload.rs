//! What a signature says: the JSON of simple signing (containers/image, `docs/containers-signature.5.md`), which cosign took
//! over under another type. A key in `critical` that is not known is an error.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::json::{Object, object};
use super::reference::Reference;

/// Of simple signing by GPG.
pub const SIMPLE: &str = "atomic container signature";
/// Of cosign.
pub const COSIGN: &str = "cosign container image signature";

/// What was signed: a manifest, under a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    #[serde(deserialize_with = "object")]
    critical: Critical,
    #[serde(deserialize_with = "object_or_null")]
    optional: Option<Optional>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "object")]
    image: Image,
    #[serde(deserialize_with = "object")]
    identity: Identity,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

/// Other keys may be here.
#[derive(Debug, Deserialize)]
struct Optional {
    #[serde(rename = "creator")]
    _creator: Option<String>,
    #[serde(default, rename = "timestamp", deserialize_with = "whole_seconds")]
    _timestamp: (),
}

impl Payload {
    /// Reads the payload of a signature whose type has to be `kind`.
    pub fn parse(bytes: &[u8], kind: &str) -> Result<Self, serde_json::Error> {
        let Object(payload): Object<Self> = serde_json::from_slice(bytes)?;
        let found = &payload.critical.kind;
        if found != kind {
            return Err(serde_json::Error::custom(format!("its type is `{found}`, and `{kind}` is expected")));
        }
        // cosign writes `null` where nobody gave it annotations.
        if payload.optional.is_none() && kind != COSIGN {
            return Err(serde_json::Error::custom("`optional` is null"));
        }
        Ok(payload)
    }

    /// `ALGORITHM:DIGITS` of the manifest.
    pub fn digest(&self) -> &str {
        &self.critical.image.docker_manifest_digest
    }

    /// As it stands there.
    pub fn name(&self) -> &str {
        &self.critical.identity.docker_reference
    }

    pub fn reference(&self) -> Option<Reference> {
        self.name().parse().ok()
    }
}

/// The key has to be there.
fn object_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Optional>, D::Error> {
    let optional: Option<Object<Optional>> = Option::deserialize(deserializer)?;
    Ok(optional.map(|optional| optional.0))
}

fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let seconds: Option<f64> = Option::deserialize(deserializer)?;
    let whole = seconds.is_none_or(|seconds| seconds.fract() == 0.0 && seconds.abs() < 9.2e18);
    if whole { Ok(()) } else { Err(D::Error::custom("`timestamp` is not a whole number")) }
}
