//! What can be wrong with a container store.

use std::io;
use std::path::PathBuf;

use crate::containers_conf::ConfError;
use crate::digest::Digest;

/// What is wrong, and how another tool gets the image out where this one cannot.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct StoreError {
    pub problem: Problem,
    /// The command that exports the image.
    pub export: String,
}

/// Everything that is refused of a store.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot read {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("there is no container storage in {root}", root = root.display())]
    NoStore { root: PathBuf },

    #[error(transparent)]
    Configuration(#[from] ConfError),

    #[error("{root} keeps images with the driver `{driver}`; only the files of `overlay` can be read", root = root.display())]
    Driver { root: PathBuf, driver: String },

    #[error("{path} has {found} bytes, {limit} are allowed", path = path.display())]
    TooLarge { path: PathBuf, found: u64, limit: u64 },

    #[error("{path} is not the JSON it should be: {source}", path = path.display())]
    Json { path: PathBuf, source: serde_json::Error },

    #[error("{root} has no image `{image}`; its images are: {images}", root = root.display())]
    NoImage { root: PathBuf, image: String, images: String },

    #[error("several images of {root} have an id that begins with `{image}`: {images}", root = root.display())]
    Ambiguous { root: PathBuf, image: String, images: String },

    #[error("`{id}` is not the id of {what}: letters and digits are expected")]
    Id { what: &'static str, id: String },

    #[error("the image's layer {layer} is missing in {root}", root = root.display())]
    MissingLayer { root: PathBuf, layer: String },

    #[error("the layer {layer} is among its own parents")]
    Cycle { layer: String },

    #[error("the layer {layer} was not stored completely")]
    Incomplete { layer: String },

    #[error("the store has {found} layers for the image, but the config has {diff_ids} diff_ids")]
    LayerCount { found: usize, diff_ids: usize },

    #[error("the store does not know what the layer {layer} was made of: it has no digest of it")]
    Unknown { layer: String },

    #[error("the store has no manifest {digest}, which its index lists for this platform")]
    NoManifest { digest: String },

    #[error("the layer {layer} has the diff_id {found}, the image's config says {expected}")]
    DiffId { layer: String, expected: Digest, found: String },

    #[error("the layer {layer} is kept in composefs form, which cannot be read here")]
    Composefs { layer: String },

    #[error("the layer {layer} is kept in an additional layer store, which cannot be read here")]
    AdditionalLayerStore { layer: String },

    #[error(
        "{path} was stored as a sparse file, and a store does not keep how: the layer cannot be put together as it was",
        path = path.display()
    )]
    Sparse { path: PathBuf },

    #[error("the layer {layer} cannot be put together as it was: {path} is missing", path = path.display())]
    NoTarSplit { layer: String, path: PathBuf },

    #[error("{path} is broken: {why}", path = path.display())]
    TarSplit { path: PathBuf, why: String },

    #[error("{path} has {found} bytes, but had {expected} when the layer was stored", path = path.display())]
    Size { path: PathBuf, expected: u64, found: u64 },

    #[error("{path} is not what it was when the layer was stored: its CRC-64 differs", path = path.display())]
    Checksum { path: PathBuf },
}

impl StoreError {
    /// The export, where another tool or another user has a chance to read what could not be read here.
    pub fn hint(&self) -> Option<String> {
        let export = || format!("export the image and build from the copy: {}", self.export);
        match &self.problem {
            Problem::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => None,
            Problem::Io { .. }
            | Problem::Driver { .. }
            | Problem::Unknown { .. }
            | Problem::Composefs { .. }
            | Problem::AdditionalLayerStore { .. } => Some(export()),
            Problem::Incomplete { .. } => Some("pull the image again".to_owned()),
            // skopeo and podman fail to export it as well.
            Problem::Sparse { .. } | Problem::NoTarSplit { .. } => {
                Some("build from where the image came from: docker://, oci: or dir:".to_owned())
            }
            Problem::NoStore { .. } => Some("name it: containers-storage:[overlay@/GRAPHROOT]NAME:TAG".to_owned()),
            _ => None,
        }
    }
}
