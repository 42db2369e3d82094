//! The layers of an image in an OCI layout directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// The blobs of the layers, lowest first.
pub fn layers(oci: &Path) -> Result<Vec<PathBuf>> {
    let index = json(&oci.join("index.json"))?;
    let manifest = json(&blob(oci, &index["manifests"][0])?)?;
    manifest["layers"].as_array().context("a list of layers")?.iter().map(|layer| blob(oci, layer)).collect()
}

/// The image in a few words.
pub fn facts(oci: &Path) -> Result<String> {
    let layers = layers(oci)?;
    let bytes: u64 = layers.iter().map(|layer| Ok(fs::metadata(layer)?.len())).sum::<Result<u64>>()?;
    Ok(format!("{} layers, {} MB compressed", layers.len(), bytes / 1_000_000))
}

fn blob(oci: &Path, descriptor: &Value) -> Result<PathBuf> {
    let digest = descriptor["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    Ok(oci.join("blobs/sha256").join(digest.context("a sha256 digest")?))
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}
