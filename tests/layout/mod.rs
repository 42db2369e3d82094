//! OCI image layouts made for a test, right or wrong on purpose.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bootwright::cache::Cache;
use bootwright::digest::Digest;
use bootwright::image::Image;
use bootwright::image_ref::ImageRef;
use bootwright::progress::Silent;
use bootwright::source::{self, Error, Limits, Platform};
use serde_json::{Value, json};

pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// One layer: its blob, and the digest of what it inflates to.
#[derive(Clone)]
pub struct Layer {
    pub blob: Vec<u8>,
    pub media_type: &'static str,
    pub diff_id: String,
}

impl Layer {
    pub fn plain(tar: &[u8]) -> Self {
        Self::new(tar.to_vec(), TAR, tar)
    }

    pub fn gzip(tar: &[u8]) -> Self {
        Self::new(gzip(tar), GZIP, tar)
    }

    pub fn zstd(tar: &[u8]) -> Self {
        Self::new(zstd::encode_all(tar, 3).unwrap(), ZSTD, tar)
    }

    pub fn new(blob: Vec<u8>, media_type: &'static str, tar: &[u8]) -> Self {
        Self { blob, media_type, diff_id: Digest::of(tar).to_string() }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layout directory.
pub struct Layout {
    pub dir: tempfile::TempDir,
}

impl Layout {
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { dir }
    }

    /// A layout with one image of these layers.
    pub fn of(layers: &[Layer]) -> Self {
        let layout = Self::empty();
        let image = layout.image(layers, "amd64");
        layout.index(&[image]);
        layout
    }

    /// The architecture of the machine that tests, in OCI's words.
    pub fn host() -> &'static str {
        if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn blob_path(&self, digest: &Value) -> PathBuf {
        self.path().join("blobs").join(digest.as_str().unwrap().replace(':', "/"))
    }

    /// Stores a blob; answers its descriptor.
    pub fn put(&self, bytes: &[u8], media_type: &str) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.path().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
    }

    pub fn image(&self, layers: &[Layer], architecture: &str) -> Value {
        let descriptors = layers.iter().map(|layer| self.put(&layer.blob, layer.media_type)).collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        self.manifest(descriptors, &json!(diff_ids), architecture)
    }

    pub fn manifest(&self, layers: Vec<Value>, diff_ids: &Value, architecture: &str) -> Value {
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2024-01-02T03:04:05Z",
            "config": { "Labels": { "containers.bootc": "1" } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.put(config.to_string().as_bytes(), CONFIG);
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.put(manifest.to_string().as_bytes(), MANIFEST)
    }

    pub fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }

    pub fn load(&self) -> Result<Image, Error> {
        load(&format!("oci:{}", self.path().display()), None)
    }

    /// The message of a layout that must not load.
    pub fn refusal(&self) -> String {
        self.load().expect_err("a refusal").to_string()
    }
}

pub fn load(image: &str, architecture: Option<&str>) -> Result<Image, Error> {
    load_with(image, architecture, 2)
}

pub fn load_with(image: &str, architecture: Option<&str>, threads: usize) -> Result<Image, Error> {
    load_within(image, architecture, threads, &Limits::default(), None)
}

pub fn load_within(
    image: &str,
    architecture: Option<&str>,
    threads: usize,
    limits: &Limits,
    cache: Option<&Cache>,
) -> Result<Image, Error> {
    let image: ImageRef = image.parse().unwrap();
    let source = source::open(&image, &Default::default())?;
    let resolved = source.resolve(&Platform::new(architecture), limits)?;
    let room = source::Room { spool_dir: &std::env::temp_dir(), cache };
    source::load(&*source, resolved, &room, threads, limits, &Silent)
}

/// An entry of a layer.
pub enum Entry<'a> {
    Dir(&'a str),
    File(&'a str, &'a [u8]),
    Symlink(&'a str, &'a str),
    Hardlink(&'a str, &'a str),
    Special(&'a str, tar::EntryType),
}

/// A tar stream of 0755, 0777 (links) and 0644 entries owned by 0:0. Names go into the header as they are, `..` too.
pub fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let (name, kind, link, data): (_, _, &str, &[u8]) = match *entry {
            Entry::Dir(name) => (name, tar::EntryType::Directory, "", b""),
            Entry::File(name, data) => (name, tar::EntryType::Regular, "", data),
            Entry::Symlink(name, link) => (name, tar::EntryType::Symlink, link, b""),
            Entry::Hardlink(name, link) => (name, tar::EntryType::Link, link, b""),
            Entry::Special(name, kind) => (name, kind, "", b""),
        };
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() {
            0o755
        } else if kind.is_symlink() {
            0o777
        } else {
            0o644
        });
        header.set_size(data.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }
    builder.into_inner().unwrap()
}

/// What a regular file of a layer contains.
pub fn content(image: &Image, layer: usize, path: &str) -> Vec<u8> {
    use bootwright::{image::Payload, ostree::Node};
    use std::io::Read;
    let Some(Node::File(checksum)) = image.layers[layer].tree.lookup(path) else { panic!("no file {path}") };
    let mut bytes = Vec::new();
    match &image.contents.objects.get(&checksum).unwrap().payload {
        Payload::Regular(content) => drop(image.contents.spool.reader(*content).read_to_end(&mut bytes).unwrap()),
        Payload::Symlink(target) => bytes.extend_from_slice(target),
    }
    bytes
}
