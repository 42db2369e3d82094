//! What can be wrong with an image before its layers are read, and the name of the layer for what is wrong inside it.

use std::io;

use super::encapsulated;
use super::registry::RegistryError;
use super::storage::StoreError;
use crate::cache::CacheError;
use crate::container_trust::{Refused, RegistriesDError, SignaturesError};
use crate::digest::{Digest, DigestError};
use crate::image_ref::ReferenceError;
use crate::layer;
use crate::spool::SpoolError;

/// Everything this room refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    Io { path: String, source: io::Error },

    #[error("{path} is not an OCI image layout: {why}")]
    NotALayout { path: String, why: String },

    #[error("{path} is not an archive of `docker save`: {why}")]
    NotADockerArchive { path: String, why: String },

    #[error("{path} is not a directory of skopeo's `dir:` transport: {why}")]
    NotADir { path: String, why: &'static str },

    #[error("{path} is a directory, not an archive")]
    DirectoryForArchive { path: String },

    #[error("the archive {path} is cut off at {found} bytes, in a member of {member} bytes")]
    CutOff { path: String, found: u64, member: u64 },

    #[error("{path} is compressed with {compression}; only plain tar archives can be read")]
    CompressedArchive { path: String, compression: &'static str },

    #[error("{path} is not a tar archive: {source}")]
    Archive { path: String, source: layer::tar::Error },

    #[error("{what} is not the JSON it should be: {source}")]
    Json { what: String, source: serde_json::Error },

    #[error("{what} has {found} bytes, {limit} are allowed")]
    TooLarge { what: String, found: u64, limit: u64 },

    #[error("the layer {path} inflates to more than {limit} bytes")]
    LayerTooLarge { path: String, limit: u64 },

    #[error("{what}: {source}")]
    Blob { what: String, source: layer::BlobError },

    #[error("{what}: {source}")]
    Digest { what: String, source: DigestError },

    #[error("{what} is missing: there is no {path} in {location}")]
    MissingBlob { what: String, path: String, location: String },

    #[error("{location} contains no image")]
    NoImage { location: String },

    #[error("{location} contains {count} images; name one of its tags: {tags}")]
    SeveralImages { location: String, count: usize, tags: String },

    #[error("{location} contains no image with the tag `{tag}`; its tags are: {tags}")]
    NoSuchTag { location: String, tag: String, tags: String },

    #[error("there is no image for linux/{wanted} in {location}, only for {found}")]
    NoPlatform { wanted: String, location: String, found: String },

    #[error("the image is for {found}, but {wanted} is wanted")]
    WrongPlatform { wanted: String, found: String },

    #[error("{what} has the media type `{media_type}`, which is no image manifest and no index")]
    NotAnImage { what: String, media_type: String },

    #[error("image indexes lie {depth} deep in each other")]
    NestedTooDeep { depth: usize },

    #[error("the manifest lists {layers} layers, but the config has {diff_ids} diff_ids")]
    LayerCount { layers: usize, diff_ids: usize },

    #[error("the manifest lists {layers} layers, {limit} are allowed")]
    TooManyLayers { layers: usize, limit: usize },

    #[error("{}", layer::Error::TooManyEntries { limit: *limit })]
    TooManyEntries { limit: u64 },

    #[error("layer {index} ({digest}): {source}", digest = digest.short())]
    Layer { index: usize, digest: Digest, source: layer::Error },

    #[error("layer {index} ({digest}): {source}", digest = digest.short())]
    LayerBlob { index: usize, digest: Digest, source: Box<Error> },

    #[error(transparent)]
    Encapsulated(#[from] encapsulated::Error),

    #[error("{0}")]
    Store(#[from] StoreError),

    #[error("{0}")]
    Spool(#[from] SpoolError),

    #[error(transparent)]
    Refused(#[from] Box<Refused>),

    #[error(transparent)]
    RegistriesD(#[from] RegistriesDError),

    #[error(transparent)]
    Signatures(#[from] SignaturesError),

    #[error(transparent)]
    Reference(#[from] ReferenceError),

    #[error(transparent)]
    Cache(#[from] CacheError),

    #[error(transparent)]
    Registry(Box<RegistryError>),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<RegistryError> for Error {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CompressedArchive { compression, .. } => Some(format!("unpack it first, with {compression} -d")),
            Self::DirectoryForArchive { .. } => Some("directories are named by `oci:` or `dir:`".to_owned()),
            Self::NoPlatform { .. } | Self::WrongPlatform { .. } => {
                Some("choose one with --target-arch, or name one by its digest".to_owned())
            }
            Self::LayerTooLarge { .. } | Self::Layer { source: layer::Error::TooLarge { .. }, .. } => {
                Some("a larger --max-layer-size allows it".to_owned())
            }
            Self::TooManyLayers { .. } => {
                Some("no container engine runs such an image; podman build --squash-all joins its layers".to_owned())
            }
            Self::TooManyEntries { .. } => Some(
                "layers that replace each other's files count all of them: podman build --squash-all joins them"
                    .to_owned(),
            ),
            Self::TooLarge { .. } => {
                Some("documents of images have some kilobytes: this one is damaged, or made to do harm".to_owned())
            }
            Self::Registry(error) => error.hint(),
            Self::Refused(refused) => refused.hint(),
            Self::Cache(_) => Some(
                "`bootwright cache prune` makes room; --cache DIR chooses another place, --no-cache none".to_owned(),
            ),
            Self::Store(error) => error.hint(),
            Self::LayerBlob { source, .. } => source.hint(),
            Self::Layer { source: layer::Error::Blob(error), .. } | Self::Blob { source: error, .. }
                if !matches!(error, layer::BlobError::Read { .. }) =>
            {
                Some("the image is damaged where it lies or on its way: copy it anew, or push it again".to_owned())
            }
            Self::Layer { source: layer::Error::Blob(layer::BlobError::Read { source, .. }), .. } => {
                let inner = source.get_ref()?;
                let of_store = || inner.downcast_ref::<StoreError>()?.hint();
                inner.downcast_ref::<RegistryError>().map_or_else(of_store, RegistryError::hint)
            }
            _ => None,
        }
    }
}
