//! What the signatures of an image are fetched with: its own session, and any server for a lookaside.

use std::io::Read;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use url::Url;

use super::blob::Blob;
use super::{MANIFESTS, Registry, RegistryError, Result};
use crate::container_trust::{Fetch, FetchError};
use crate::digest::Digest;
use crate::http::{Answer, Client, HttpError};

impl Fetch for Registry {
    /// The client of a lookaside is told no credentials of the registry.
    fn file(&self, url: &Url, limit: u64) -> std::result::Result<Option<Vec<u8>>, FetchError> {
        let client = Client::new(&self.access.http)?;
        let found = client.retry().run(|| whole(client.ask(url, HeaderMap::new())?, limit));
        Ok(found?)
    }

    fn manifest(&self, tag: &str, limit: u64) -> std::result::Result<Option<Vec<u8>>, FetchError> {
        Ok(self.document(&format!("manifests/{tag}"), limit)?)
    }

    fn blob(&self, digest: &Digest, limit: u64) -> std::result::Result<Vec<u8>, FetchError> {
        let (session, _) = self.opened()?;
        let mut bytes = Vec::new();
        let blob = Blob::open(session, *digest)?;
        blob.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(format!("the blob {digest} has more than {limit} bytes").into());
        }
        Ok(bytes)
    }

    fn referrers(&self, manifest: &Digest, limit: u64) -> std::result::Result<Option<Vec<u8>>, FetchError> {
        match self.document(&format!("referrers/{manifest}"), limit)? {
            Some(index) => Ok(Some(index)),
            None => Ok(self.document(&format!("manifests/sha256-{}", manifest.hex()), limit)?),
        }
    }
}

impl Registry {
    fn document(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let (session, _) = self.opened()?;
        let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(MANIFESTS))]);
        session.retry.run(|| Ok::<_, RegistryError>(whole(session.ask(path, &accept)?, limit)?))
    }
}

/// `None` for what is not there.
fn whole(answer: Answer, limit: u64) -> std::result::Result<Option<Vec<u8>>, HttpError> {
    if answer.status == StatusCode::NOT_FOUND { Ok(None) } else { answer.success()?.bytes(limit).map(Some) }
}
