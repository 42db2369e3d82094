//! One repository of a registry, written to and read by its protocol: what skopeo does not put there.

use bootwright::container_trust::{Fetch, FetchError};
use bootwright::digest::Digest;
use reqwest::blocking::{Client, Response};
use url::Url;

use super::registry::Registry;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// One repository of it.
pub struct Repository<'a> {
    registry: &'a Registry,
    client: Client,
    path: String,
}

impl<'a> Repository<'a> {
    pub fn of(registry: &'a Registry, path: &str) -> Self {
        Self { registry, client: Client::builder().no_proxy().build().unwrap(), path: path.to_owned() }
    }
}

impl Repository<'_> {
    fn url(&self, rest: &str) -> String {
        format!("http://{}/v2/{}/{rest}", self.registry.host(), self.path)
    }

    pub fn put_blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let begun = self.client.post(self.url("blobs/uploads/")).send().unwrap().error_for_status().unwrap();
        let mut place = Url::parse(begun.headers()["location"].to_str().unwrap()).unwrap();
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let put = self.client.put(place).body(bytes.to_vec());
        put.header("Content-Type", "application/octet-stream").send().unwrap().error_for_status().unwrap();
        digest
    }

    pub fn put_manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) {
        let put = self.client.put(self.url(&format!("manifests/{tag}"))).header("Content-Type", media_type);
        let answer = put.body(bytes.to_vec()).send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().unwrap());
    }

    /// The manifest of a tag as its bytes are.
    pub fn get_manifest(&self, tag: &str) -> Vec<u8> {
        self.manifest(tag, 1 << 20).unwrap().unwrap()
    }

    fn get(&self, rest: &str, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        let types = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                     application/vnd.docker.distribution.manifest.v2+json, \
                     application/vnd.docker.distribution.manifest.list.v2+json";
        body(self.client.get(self.url(rest)).header("Accept", types).send()?, limit)
    }
}

fn body(answer: Response, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
    if answer.status() == 404 {
        return Ok(None);
    }
    let bytes = answer.error_for_status()?.bytes()?.to_vec();
    if bytes.len() as u64 > limit { Err("too large".into()) } else { Ok(Some(bytes)) }
}

impl Fetch for Repository<'_> {
    fn file(&self, url: &Url, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        body(self.client.get(url.clone()).send()?, limit)
    }

    fn manifest(&self, tag: &str, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        self.get(&format!("manifests/{tag}"), limit)
    }

    fn blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.get(&format!("blobs/{digest}"), limit)?.ok_or_else(|| "no such blob".into())
    }

    fn referrers(&self, manifest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        self.get(&format!("manifests/sha256-{}", manifest.hex()), limit)
    }
}
