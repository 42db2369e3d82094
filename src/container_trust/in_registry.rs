//! Signatures of an image in a registry: files in a lookaside and attachments in its repository (containers/image,
//! `docs/signature-protocols.md`; cosign, `specs/SIGNATURE_SPEC.md`). The registry's own extension for signatures
//! (`X-Registry-Supports-Signatures`) is not asked.

use std::io;

use oci_spec::image::{ImageIndex, ImageManifest};
use url::Url;

use super::registries_d::Keeping;
use super::signature::{self, Signature, Sigstore};
use super::signatures::{self, Budget, FetchError, MOST, Signatures, SignaturesError};
use crate::digest::{Digest, DigestError};
use crate::http::without_secrets;
use crate::image_ref::Reference;

/// Upstream's limit for a manifest, in bytes.
const MANIFEST: u64 = 4 << 20;

/// The network, as far as signatures need it. Every answer with more than `limit` bytes is an error.
pub trait Fetch {
    /// The file at an http or https URL; `None` when the server answers that there is none (404).
    fn file(&self, url: &Url, limit: u64) -> Result<Option<Vec<u8>>, FetchError>;

    /// The manifest with this tag in the image's repository; `None` when there is none.
    fn manifest(&self, tag: &str, limit: u64) -> Result<Option<Vec<u8>>, FetchError>;

    /// A blob of the image's repository. The caller compares it.
    fn blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, FetchError>;

    /// The index of what refers to a manifest (OCI distribution-spec, "Listing Referrers", or the tag `sha256-DIGITS` where a
    /// registry does not know that); `None` when there is none.
    fn referrers(&self, manifest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, FetchError>;
}

/// What belongs to an image in a registry.
pub struct InRegistry<'a> {
    pub reference: Reference,
    pub keeping: Keeping,
    pub fetch: &'a dyn Fetch,
}

impl Signatures for InRegistry<'_> {
    fn of(&self, manifest: &Digest) -> Result<Vec<Signature>, SignaturesError> {
        let mut budget = Budget::default();
        let mut found = match &self.keeping.lookaside {
            Some(base) => self.lookaside(base, manifest, &mut budget)?,
            None => Vec::new(),
        };
        if self.keeping.use_sigstore_attachments {
            found.extend(self.attachments(manifest, &mut budget)?);
        }
        Ok(found)
    }

    fn each_place(&self) -> Vec<String> {
        let lookaside = self.keeping.lookaside.as_ref().map(|url| without_secrets(url).to_string());
        let attachments = self.keeping.use_sigstore_attachments.then(|| self.reference.name());
        lookaside.into_iter().chain(attachments).collect()
    }

    fn advice(&self) -> Option<String> {
        let name = self.reference.name();
        Some(match self.keeping.use_sigstore_attachments {
            true => format!(
                "an image that is pushed anew has to be signed anew; cosign tree {name}:TAG shows what is signed"
            ),
            false => format!(
                "cosign signatures in the registry are read with --cosign-key, or when a file in registries.d says \
                 `use-sigstore-attachments: true` for {name}"
            ),
        })
    }
}

impl InRegistry<'_> {
    fn lookaside(&self, base: &Url, manifest: &Digest, budget: &mut Budget) -> Result<Vec<Signature>, SignaturesError> {
        signatures::numbered(&self.places(), |number| {
            let mut url = base.clone();
            let digits = manifest.hex();
            // The components of a repository's path need no escapes.
            let (base, path) = (base.path().trim_end_matches('/'), self.reference.path());
            url.set_path(&format!("{base}/{path}@sha256={digits}/signature-{number}"));
            let Some(bytes) = self.lookaside_file(&url)? else { return Ok(None) };
            budget.spend(&bytes, &self.places())?;
            signatures::file(&bytes, without_secrets(&url).to_string()).map(Some)
        })
    }

    fn lookaside_file(&self, url: &Url) -> Result<Option<Vec<u8>>, SignaturesError> {
        if url.scheme() == "file" {
            let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "its URL names a host");
            let path =
                url.to_file_path().map_err(|()| SignaturesError::Io { path: url.to_string(), source: wrong() })?;
            return signatures::read(&path);
        }
        let failed =
            |source| SignaturesError::Fetch { what: format!("the signature {}", without_secrets(url)), source };
        self.fetch.file(url, signature::LIMIT).map_err(failed)
    }

    /// The layers of the manifest with the tag `sha256-DIGITS.sig`. Other attachments than signatures only count.
    fn attachments(&self, manifest: &Digest, budget: &mut Budget) -> Result<Vec<Signature>, SignaturesError> {
        let what = format!("the signatures {}:sha256-{}.sig", self.reference.name(), manifest.hex());
        let failed = |source| SignaturesError::Fetch { what: what.clone(), source };
        let tag = format!("sha256-{}.sig", manifest.hex());
        let Some(bytes) = self.fetch.manifest(&tag, MANIFEST).map_err(failed)? else {
            return Ok(self.bundles(manifest));
        };
        let attached: ImageManifest =
            serde_json::from_slice(&bytes).map_err(|source| SignaturesError::Json { what: what.clone(), source })?;
        if attached.layers().len() > MOST {
            return Err(SignaturesError::TooMany { place: what });
        }
        let mut found = Vec::new();
        for layer in attached.layers() {
            let media_type = layer.media_type().to_string();
            let payload = if media_type == signature::PAYLOAD {
                self.payload(layer.digest().as_ref(), &what)?
            } else {
                Vec::new()
            };
            budget.spend(&payload, &what)?;
            let annotations = layer.annotations().clone().unwrap_or_default().into_iter().collect();
            found.push(Signature::Sigstore(Sigstore { media_type, payload, annotations }));
        }
        Ok(found)
    }

    fn payload(&self, announced: &str, what: &str) -> Result<Vec<u8>, SignaturesError> {
        let digest: Digest = announced.parse().map_err(|error: DigestError| SignaturesError::Json {
            what: what.to_owned(),
            source: serde::de::Error::custom(error),
        })?;
        let failed = |source| SignaturesError::Fetch { what: what.to_owned(), source };
        let bytes = self.fetch.blob(&digest, signature::LIMIT).map_err(failed)?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(SignaturesError::Digest { found, announced: announced.to_owned() });
        }
        Ok(bytes)
    }

    /// cosign 3 attaches its signatures as referrers. They are not read, but an image that has them is not called unsigned. That
    /// is all that hangs on the answer: registries without this interface say so in many ways, and are taken at their word.
    fn bundles(&self, manifest: &Digest) -> Vec<Signature> {
        let Ok(Some(bytes)) = self.fetch.referrers(manifest, MANIFEST) else { return Vec::new() };
        let Ok(index) = serde_json::from_slice::<ImageIndex>(&bytes) else { return Vec::new() };
        let types = index.manifests().iter().filter_map(|referrer| referrer.artifact_type().as_ref());
        let bundles = types.map(ToString::to_string).filter(|media_type| media_type.starts_with(signature::BUNDLE));
        let empty = |media_type| Sigstore { media_type, payload: Vec::new(), annotations: Default::default() };
        bundles.take(MOST).map(|media_type| Signature::Sigstore(empty(media_type))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = Result<Option<Vec<u8>>, FetchError>;

    /// A registry without signatures, which answers the question for referrers so.
    struct Silent(fn() -> Answer);

    impl Fetch for Silent {
        fn file(&self, _: &Url, _: u64) -> Result<Option<Vec<u8>>, FetchError> {
            Ok(None)
        }

        fn manifest(&self, _: &str, _: u64) -> Result<Option<Vec<u8>>, FetchError> {
            Ok(None)
        }

        fn blob(&self, _: &Digest, _: u64) -> Result<Vec<u8>, FetchError> {
            Err("no such blob".into())
        }

        fn referrers(&self, _: &Digest, _: u64) -> Answer {
            (self.0)()
        }
    }

    #[test]
    fn whatever_a_registry_says_of_referrers_the_other_signatures_count() {
        let answers: [fn() -> Answer; 3] =
            [|| Err("400 Bad Request".into()), || Ok(Some(b"<html>".to_vec())), || Ok(None)];
        for answer in answers {
            let fetch = Silent(answer);
            let keeping = Keeping { lookaside: None, use_sigstore_attachments: true };
            let reference = "registry.example/me/os:1".parse().unwrap();
            let found = InRegistry { reference, keeping, fetch: &fetch }.of(&Digest::of(b"manifest"));
            assert!(found.unwrap().is_empty());
        }
    }
}
