//! Where images come from, and reading one completely.
//!
//! A `Source` finds the manifest for a platform and opens blobs; `load` verifies them and has the layers unpacked by `layer/`, and
//! `encapsulated` puts together the ostree commit that some of them hold. What the files of an image mean is not known here.

mod admission;
mod archive;
mod assemble;
mod crew;
mod dir;
mod directory;
mod docker_archive;
mod documents;
mod encapsulated;
mod error;
mod json;
mod load;
mod oci_layout;
pub mod ostree;
mod platform;
pub mod registry;
mod storage;

use std::collections::BTreeMap;
use std::io::Read;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};

use crate::container_trust::{Identity, Nowhere, Policy, Signatures};
use crate::digest::Digest;
use crate::image::{Contents, Image};
use crate::image_ref::ImageRef;
use crate::spool::Spool;
pub use admission::{KeptSignatures, admit, kept_signatures};
pub use error::{Error, Result};
pub use load::{Room, load};
pub use platform::Platform;

use self::ostree::PulledCommit;
use archive::Archive;
use dir::Dir;
use directory::Directory;
use docker_archive::DockerArchive;
use oci_layout::OciLayout;
use registry::Registry;
use storage::ContainersStorage;
pub use storage::StoreError;

/// Something that holds images.
pub trait Source: Sync {
    /// The manifest and config for `platform`. Their digests and sizes have been compared.
    fn resolve(&self, platform: &Platform, limits: &Limits) -> Result<Resolved>;

    /// The layers as this place keeps them, each of which `blob` opens: as the manifest lists them, unless the place inflates or
    /// unpacks what it takes in. As many as the manifest lists, in its order.
    fn kept(&self, manifest: &ImageManifest, _config: &ImageConfiguration) -> Result<Vec<Descriptor>> {
        Ok(manifest.layers().clone())
    }

    /// The bytes of a blob, as they come: the caller compares.
    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>>;

    /// Blobs that are worth being read at once, however few processors there are.
    fn at_once(&self) -> usize {
        1
    }

    /// The image as policies name it.
    fn identity(&self) -> Result<Identity>;

    /// Where its signatures are; most places keep none.
    fn signatures<'a>(&'a self, _resolved: &Resolved, _policy: &Policy) -> Result<Box<dyn Signatures + 'a>> {
        Ok(Box::new(Nowhere(self.identity()?.transport())))
    }
}

/// The documents of an image.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub manifest: Vec<u8>,
    pub manifest_digest: Digest,
    pub config: Vec<u8>,
    /// The index that led to the manifest, byte for byte, where the source has signatures for it.
    pub index: Option<Vec<u8>>,
    /// The name the image has where it lies, or that a machine follows in a registry.
    pub ref_name: Option<String>,
}

impl Resolved {
    pub fn parsed(&self) -> Result<Parsed> {
        let manifest = json::parse(&self.manifest, "the manifest")?;
        Ok(Parsed { manifest, config: json::parse(&self.config, "the config")? })
    }

    /// The labels, known before any layer is read.
    pub fn labels(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.parsed()?.labels())
    }
}

/// The documents as the types of the specification.
pub struct Parsed {
    pub manifest: ImageManifest,
    pub config: ImageConfiguration,
}

impl Parsed {
    /// The labels of the config.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.config.config().as_ref().and_then(|config| config.labels().clone());
        labels.unwrap_or_default().into_iter().collect()
    }
}

/// A source that has been read completely.
#[derive(Debug)]
pub enum Loaded {
    Container(Box<Image>),
    Commit(Box<PulledCommit>),
}

impl Loaded {
    /// The container image, where the source is one.
    pub fn image(&self) -> Option<&Image> {
        match self {
            Self::Container(image) => Some(image),
            Self::Commit(_) => None,
        }
    }

    /// The ostree commit, where the source is one.
    pub fn commit(&self) -> Option<&PulledCommit> {
        match self {
            Self::Container(_) => None,
            Self::Commit(commit) => Some(commit),
        }
    }

    pub fn contents(&self) -> &Contents {
        match self {
            Self::Container(image) => &image.contents,
            Self::Commit(commit) => &commit.contents,
        }
    }

    pub fn into_spool(self) -> Spool {
        match self {
            Self::Container(image) => image.contents.spool,
            Self::Commit(commit) => commit.contents.spool,
        }
    }

    /// What two sources of the same content have in common.
    pub fn identity(&self) -> String {
        match self {
            Self::Container(image) => image.manifest_digest.to_string(),
            Self::Commit(commit) => commit.checksum.to_string(),
        }
    }
}

/// How much of a foreign image is taken, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a manifest or an index; registries accept 4 MiB.
    pub manifest: u64,
    pub config: u64,
    /// That one layer may inflate to.
    pub layer: u64,
    /// Memory for the entries of all layers, as [`crate::layer::Memory`] counts: two million files.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { manifest: 4 << 20, config: 16 << 20, layer: 64 << 30, memory: 2 << 30 }
    }
}

/// Opens what the user named. Only the outermost look is taken: a directory, a tar archive, a store, the configuration of registries.
pub fn open(image: &ImageRef, access: &registry::Access) -> Result<Box<dyn Source>> {
    Ok(match image {
        ImageRef::Registry(reference) => Box::new(Registry::new(reference.clone(), access.clone())?),
        ImageRef::Oci { path, tag } => Box::new(OciLayout::new(Directory::open(path)?, tag.clone())),
        ImageRef::OciArchive { path, tag } => Box::new(OciLayout::new(Archive::open(path)?, tag.clone())),
        ImageRef::DockerArchive { path, image } => Box::new(DockerArchive::open(path, image.clone())?),
        ImageRef::Dir { path } => Box::new(Dir::open(path)?),
        ImageRef::ContainersStorage(reference) => Box::new(ContainersStorage::open(reference)?),
    })
}
