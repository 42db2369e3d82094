//! What a signature says: the JSON of simple signing (containers/image, `docs/containers-signature.5.md`), which cosign took
//! over under another type. A key in `critical` that is not known is an error.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::json::{Object, Unique, object};
use crate::image_ref::Reference;

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
    /// Whether it is there and not `null`.
    #[serde(deserialize_with = "optional")]
    optional: bool,
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

impl Payload {
    /// Reads the payload of a signature whose type has to be `kind`.
    pub fn parse(bytes: &[u8], kind: &str) -> Result<Self, serde_json::Error> {
        let Object(payload): Object<Self> = serde_json::from_slice(bytes)?;
        let found = &payload.critical.kind;
        if found != kind {
            return Err(serde_json::Error::custom(format!("its type is `{found}`, and `{kind}` is expected")));
        }
        // cosign writes `null` where nobody gave it annotations.
        if !payload.optional && kind != COSIGN {
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

/// Who made it and when, neither of which is used; other keys may be there.
fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let entries: Option<Unique<Value>> = Option::deserialize(deserializer)?;
    let Some(Unique(entries)) = entries else { return Ok(false) };
    if !matches!(entries.get("creator"), None | Some(Value::Null | Value::String(_))) {
        return Err(D::Error::custom("`creator` is not a string"));
    }
    let whole = |seconds: f64| seconds.fract() == 0.0 && seconds.abs() < 9.2e18;
    match entries.get("timestamp") {
        None | Some(Value::Null) => Ok(true),
        Some(seconds) if seconds.as_f64().is_some_and(whole) => Ok(true),
        Some(_) => Err(D::Error::custom("`timestamp` is not a whole number")),
    }
}
