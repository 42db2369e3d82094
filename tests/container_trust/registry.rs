//! Debian's docker-registry on this machine, and what the room under test asks of it.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bootwright::container_trust::{Fetch, FetchError};
use bootwright::digest::Digest;
use reqwest::blocking::{Client, Response};
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use crate::oracle;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An empty registry, until it is dropped.
pub struct Registry {
    child: Child,
    port: u16,
    client: Client,
    _directory: TempDir,
}

impl Registry {
    pub fn start() -> Registry {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = json!({
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": directory.path().join("storage")}},
            "http": {"addr": format!("127.0.0.1:{port}")},
        });
        let file = directory.path().join("config.yml");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(oracle::tool("docker-registry", "docker-registry"));
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "docker-registry does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Registry { child, port, client: Client::builder().no_proxy().build().unwrap(), _directory: directory }
    }

    /// As references name it.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn repository(&self, path: &str) -> Repository<'_> {
        Repository { registry: self, path: path.to_owned() }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One repository of it.
pub struct Repository<'a> {
    registry: &'a Registry,
    path: String,
}

impl Repository<'_> {
    fn url(&self, rest: &str) -> String {
        format!("http://{}/v2/{}/{rest}", self.registry.host(), self.path)
    }

    pub fn put_blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let begun = self.registry.client.post(self.url("blobs/uploads/")).send().unwrap().error_for_status().unwrap();
        let mut place = Url::parse(begun.headers()["location"].to_str().unwrap()).unwrap();
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let put = self.registry.client.put(place).body(bytes.to_vec());
        put.header("Content-Type", "application/octet-stream").send().unwrap().error_for_status().unwrap();
        digest
    }

    pub fn put_manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) {
        let put = self.registry.client.put(self.url(&format!("manifests/{tag}"))).header("Content-Type", media_type);
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
        body(self.registry.client.get(self.url(rest)).header("Accept", types).send()?, limit)
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
        body(self.registry.client.get(url.clone()).send()?, limit)
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
