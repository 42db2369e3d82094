//! Signatures in the files of a `dir:` (containers/image, `directory/directory_transport.go`).

use std::path::PathBuf;

use super::signature::Signature;
use super::signatures::{self, Budget, Signatures, SignaturesError};
use crate::digest::Digest;

/// The files of a `dir:`.
#[derive(Clone, Debug)]
pub struct InDirectory {
    pub path: PathBuf,
    /// Of the directory's `manifest.json`; signatures of other manifests in it are named by their digest.
    pub primary: Digest,
}

impl Signatures for InDirectory {
    fn of(&self, manifest: &Digest) -> Result<Vec<Signature>, SignaturesError> {
        let prefix = if *manifest == self.primary { String::new() } else { format!("{}.", manifest.hex()) };
        let mut budget = Budget::default();
        signatures::numbered(&self.places(), |number| {
            let path = self.path.join(format!("{prefix}signature-{number}"));
            let Some(bytes) = signatures::read(&path)? else { return Ok(None) };
            budget.spend(&bytes, &self.places())?;
            signatures::file(&bytes, path.display().to_string()).map(Some)
        })
    }

    fn each_place(&self) -> Vec<String> {
        vec![self.path.display().to_string()]
    }
}
