//! Writes an OCI image layout directory (OCI image specification 1.1: image-layout, manifest, config, layer).
//!
//! One image with the tag `latest`; layers are gzip with a fixed header. Equal layers are equal blobs.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::layer;
use crate::tree::Tree;

/// `created` of the image: [`crate::tree::EPOCH`] as RFC 3339.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// A layer that lies in the layout.
#[derive(Clone, Debug)]
pub struct Layer {
    pub name: String,
    pub digest: String,
    pub size: u64,
    pub diff_id: String,
}

/// What an image says of itself.
pub struct Labels<'a> {
    /// Go's name.
    pub architecture: &'static str,
    pub kernel_version: &'a str,
    pub version: &'a str,
}

/// A layout directory in the making.
pub struct Layout {
    path: PathBuf,
}

/// Counts and hashes what goes through.
struct Hashing<W> {
    inner: W,
    sha256: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.sha256.update(&buffer[..written]);
        self.size += u64::try_from(written).map_err(io::Error::other)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Hashing { inner, sha256: Sha256::new(), size: 0 }
    }

    fn finish(self) -> (W, String, u64) {
        (self.inner, hex(&self.sha256.finalize()), self.size)
    }
}

impl Layout {
    pub fn create(path: &Path) -> Result<Layout> {
        fs::create_dir_all(path.join("blobs/sha256")).with_context(|| format!("making {}", path.display()))?;
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Layout { path: path.to_owned() })
    }

    /// Compresses one layer and keeps it as a blob.
    pub fn add_layer(&self, name: &str, tree: &Tree) -> Result<Layer> {
        let unnamed = self.path.join(format!("blobs/{name}.partial"));
        let file = Hashing::new(BufWriter::new(File::create(&unnamed)?));
        let tar = Hashing::new(GzEncoder::new(file, Compression::default()));
        let (gzip, diff_id, _) = layer::write(tree, tar)?.finish();
        let (mut file, digest, size) = gzip.finish()?.finish();
        file.flush()?;
        fs::rename(&unnamed, self.blob(&digest))?;
        Ok(Layer { name: name.to_owned(), digest, size, diff_id })
    }

    /// Compresses layers side by side; the order stays.
    pub fn add_layers(&self, trees: &[(String, Tree)]) -> Result<Vec<Layer>> {
        thread::scope(|scope| {
            let start = |(name, tree)| scope.spawn(move || self.add_layer(name, tree));
            let threads: Vec<_> = trees.iter().map(|(name, tree)| start((name, tree))).collect();
            // OK to unwrap: only a panic of the thread itself is an error here, and it should go on.
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// Takes over a layer of another layout as a hard link.
    pub fn share_layer(&self, other: &Layout, layer: &Layer) -> Result<()> {
        Ok(fs::hard_link(other.blob(&layer.digest), self.blob(&layer.digest))?)
    }

    /// Config, manifest and index of the only image, in this order.
    pub fn finish(&self, layers: &[Layer], labels: &Labels<'_>) -> Result<()> {
        let config = self.add_json(&config(layers, labels), "application/vnd.oci.image.config.v1+json")?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": layers.iter().map(descriptor).collect::<Vec<_>>(),
        });
        let mut manifest = self.add_json(&manifest, "application/vnd.oci.image.manifest.v1+json")?;
        manifest["platform"] = json!({ "architecture": labels.architecture, "os": "linux" });
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        Ok(fs::write(self.path.join("index.json"), index.to_string())?)
    }

    fn add_json(&self, value: &Value, media_type: &str) -> Result<Value> {
        let text = value.to_string();
        let digest = hex(&Sha256::digest(&text));
        fs::write(self.blob(&digest), &text)?;
        Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": text.len() }))
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.path.join("blobs/sha256").join(digest)
    }
}

fn descriptor(layer: &Layer) -> Value {
    json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": format!("sha256:{}", layer.digest),
        "size": layer.size,
    })
}

fn config(layers: &[Layer], labels: &Labels<'_>) -> Value {
    let history = |layer: &Layer| json!({ "created": CREATED, "created_by": format!("layer {}", layer.name) });
    json!({
        "created": CREATED,
        "architecture": labels.architecture,
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["/sbin/init"],
            "Labels": {
                "containers.bootc": "1",
                "ostree.bootable": "1",
                "ostree.linux": labels.kernel_version,
                "org.opencontainers.image.version": labels.version,
            },
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|layer| format!("sha256:{}", layer.diff_id)).collect::<Vec<_>>(),
        },
        "history": layers.iter().map(history).collect::<Vec<_>>(),
    })
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
