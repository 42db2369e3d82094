//! A signature as it was found: nothing of it is believed yet.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Deserializer};

/// Upstream's limit for one signature (`internal/iolimits`), in bytes.
pub const LIMIT: u64 = 4 << 20;
/// Media type of what cosign signs.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Annotation with the signature over it, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// How the media types of sigstore's own files begin; cosign 3 attaches them as referrers.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// One signature of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// An OpenPGP message (simple signing).
    Simple(Vec<u8>),
    /// A payload and what an attachment says of it.
    Sigstore(Sigstore),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sigstore {
    #[serde(rename = "mimeType")]
    pub media_type: String,
    #[serde(default, deserialize_with = "base64")]
    pub payload: Vec<u8>,
    #[serde(default, deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
}

/// Why bytes are no signature.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("it is empty")]
    Empty,
    #[error("it begins like no signature, with the byte {0:#04x}")]
    Begin(u8),
    #[error("its format `{0}` is not known")]
    Format(String),
    #[error("it is not the JSON it should be: {0}")]
    Json(#[from] serde_json::Error),
}

impl Signature {
    /// A file of a lookaside or a `dir:`: an OpenPGP message, or a zero byte, the name of a format, a newline and its content
    /// (containers/image, `internal/signature`).
    pub fn of_file(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.first() {
            None => Err(Malformed::Empty),
            Some(0) => Self::of_named_format(&bytes[1..]),
            // Old and new headers of compressed data, one-pass signatures and signatures (RFC 9580 §4.2).
            Some(0xa0..=0xa3 | 0xc8 | 0x90..=0x92 | 0xc4 | 0x88..=0x8b | 0xc2) => Ok(Self::Simple(bytes.to_vec())),
            Some(&other) => Err(Malformed::Begin(other)),
        }
    }

    fn of_named_format(bytes: &[u8]) -> Result<Self, Malformed> {
        let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
        let (format, content) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
        match format {
            b"simple-signing" => Ok(Self::Simple(content.to_vec())),
            b"sigstore-json" => Ok(Self::Sigstore(serde_json::from_slice(content)?)),
            _ => Err(Malformed::Format(String::from_utf8_lossy(&format[..end.min(80)]).into_owned())),
        }
    }
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Base64::decode_vec(&text.unwrap_or_default()).map_err(|_| serde::de::Error::custom("`payload` is not base64"))
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
