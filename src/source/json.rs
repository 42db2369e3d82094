//! Documents of an image: bytes to the types of the OCI image specification.

use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::{Error, Result};
use crate::digest::Digest;
use crate::layer::Announced;
use oci_spec::image::{Descriptor, MediaType};

/// Reads `bytes` as `T`; Docker's schema 2 fits the same types.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })
}

/// What a descriptor announces. Only sha256 is supported.
pub fn announced(descriptor: &Descriptor, what: &str) -> Result<Announced> {
    Ok(Announced { digest: digest(descriptor.digest().as_ref(), what)?, size: descriptor.size() })
}

/// The descriptor that announces this.
pub fn descriptor(media_type: MediaType, announced: &Announced) -> Descriptor {
    let digest = oci_spec::image::Sha256Digest::from_str(&announced.digest.hex());
    // OK to expect: the 64 lower-case digits come out of a digest.
    Descriptor::new(media_type, announced.size, digest.expect("64 digits"))
}

/// A digest in a document.
pub fn digest(text: &str, what: &str) -> Result<Digest> {
    text.parse().map_err(|source| Error::Digest { what: what.to_owned(), source })
}
