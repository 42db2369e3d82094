//! Where signatures are found, whichever transport an image has; the files in which they lie.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::signature::{self, Malformed, Signature};
use crate::digest::Digest;

/// Upstream's limit for signatures of one image.
pub(super) const MOST: usize = 128;
/// All of them together, in bytes.
const TOTAL: u64 = 16 << 20;

/// What an image's signatures are asked of.
pub trait Signatures {
    /// All signatures of the image with this manifest, or of the index with this digest.
    fn of(&self, manifest: &Digest) -> Result<Vec<Signature>, SignaturesError>;

    /// Where it looks.
    fn each_place(&self) -> Vec<String>;

    /// All of that, for messages: "… was found" precedes, as in "no signature was found in PLACES".
    fn places(&self) -> String {
        self.each_place().join(" and ")
    }

    /// What would let it find more.
    fn advice(&self) -> Option<String> {
        None
    }
}

pub type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// Why signatures could not be read. None of this means that the image is unsigned.
#[derive(Debug, thiserror::Error)]
pub enum SignaturesError {
    #[error("the signature {path} cannot be read: {source}")]
    Io { path: String, source: io::Error },
    #[error("{what} cannot be fetched: {source}")]
    Fetch { what: String, source: FetchError },
    #[error("{what} is no signature: {source}")]
    Malformed { what: String, source: Malformed },
    #[error("{what} is not the JSON it should be: {source}")]
    Json { what: String, source: serde_json::Error },
    #[error("the payload of a signature has the digest {found}, and {announced} was announced")]
    Digest { found: Digest, announced: String },
    #[error("{what} has more than {limit} bytes")]
    TooLarge { what: String, limit: u64 },
    #[error("{place} has more than {MOST} signatures of the image")]
    TooMany { place: String },
}

/// An image whose transport keeps no signatures.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere(pub &'static str);

impl Signatures for Nowhere {
    fn of(&self, _: &Digest) -> Result<Vec<Signature>, SignaturesError> {
        Ok(Vec::new())
    }

    fn each_place(&self) -> Vec<String> {
        vec![format!("images in `{}:`, which keep none", self.0)]
    }

    fn advice(&self) -> Option<String> {
        Some("build from the registry, or from a copy in a `dir:`, where signatures are kept".to_owned())
    }
}

/// Signatures are counted from 1; the first number that is missing ends them.
pub(super) fn numbered(
    place: &str,
    mut get: impl FnMut(usize) -> Result<Option<Signature>, SignaturesError>,
) -> Result<Vec<Signature>, SignaturesError> {
    let mut found = Vec::new();
    while let Some(signature) = get(found.len() + 1)? {
        found.push(signature);
        if found.len() > MOST {
            return Err(SignaturesError::TooMany { place: place.to_owned() });
        }
    }
    Ok(found)
}

pub(super) fn file(bytes: &[u8], what: String) -> Result<Signature, SignaturesError> {
    Signature::of_file(bytes).map_err(|source| SignaturesError::Malformed { what, source })
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, SignaturesError> {
    let failed = |source| SignaturesError::Io { path: path.display().to_string(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(signature::LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > signature::LIMIT {
        return Err(SignaturesError::TooLarge { what: path.display().to_string(), limit: signature::LIMIT });
    }
    Ok(Some(bytes))
}

/// What all signatures of an image may take together.
#[derive(Default)]
pub(super) struct Budget(u64);

impl Budget {
    pub fn spend(&mut self, bytes: &[u8], place: &str) -> Result<(), SignaturesError> {
        self.0 += bytes.len() as u64;
        let too_large = || SignaturesError::TooLarge { what: format!("the signatures in {place}"), limit: TOTAL };
        if self.0 > TOTAL { Err(too_large()) } else { Ok(()) }
    }
}
