//! skopeo's `dir:` (containers/image `directory/`): `manifest.json`, manifests of single platforms as `HEX.manifest.json`, all other
//! blobs by the digits of their digests.

use std::io::Read;
use std::path::Path;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};

use super::directory::Directory;
use super::documents::{self, Documents, Found};
use super::oci_layout::Files;
use super::{Error, Limits, Platform, Resolved, Result, Source, json};
use crate::container_trust::{Identity, InDirectory, Policy, Signatures};
use crate::digest::Digest;
use crate::layer::Compression;

const MANIFEST: &str = "manifest.json";

/// An image in a directory.
pub struct Dir(Directory);

impl Dir {
    pub fn open(path: &Path) -> Result<Self> {
        let not_a_dir = |why| Error::NotADir { path: path.display().to_string(), why };
        let metadata = path.metadata().map_err(|source| Error::Io { path: path.display().to_string(), source })?;
        if !metadata.is_dir() {
            return Err(not_a_dir("it is not a directory"));
        }
        let directory = Directory::open(path)?;
        match (directory.open(MANIFEST)?, directory.open("index.json")?) {
            (Some(_), _) => Ok(Self(directory)),
            (None, Some(_)) => Err(not_a_dir("it is in OCI image layout; then write `oci:`")),
            (None, None) => Err(not_a_dir("it has no file manifest.json")),
        }
    }

    fn file(&self, name: &str, what: &str) -> Result<Box<dyn Read + Send>> {
        let missing =
            || Error::MissingBlob { what: what.to_owned(), path: name.to_owned(), location: self.0.location() };
        self.0.open(name)?.map(|(file, _)| file).ok_or_else(missing)
    }

    /// By the first bytes: skopeo 1.9 writes layers that a store or archive inflated under the media type that they had before.
    fn media_type(&self, layer: &Descriptor) -> Result<Descriptor> {
        let mut layer = layer.clone();
        if Compression::of(layer.media_type().as_ref()).is_ok() {
            let mut first = Vec::new();
            let read = self.blob(&layer)?.take(4).read_to_end(&mut first);
            read.map_err(|source| Error::Io { path: self.0.location(), source })?;
            layer.set_media_type(Compression::of_content(&first).media_type());
        }
        Ok(layer)
    }
}

impl Source for Dir {
    fn resolve(&self, platform: &Platform, limits: &Limits) -> Result<Resolved> {
        let file = self.file(MANIFEST, "the manifest")?;
        let bytes = documents::read(file, limits.manifest, MANIFEST, &self.0.location())?;
        let top = documents::describe(&bytes, MANIFEST)?;
        let documents = Described { dir: self, top: top.digest().clone() };
        let Found { manifest, manifest_digest, config } = documents::find(&documents, top, platform, limits)?;
        let index = (bytes != manifest).then_some(bytes);
        Ok(Resolved { manifest, manifest_digest, config, index, ref_name: None })
    }

    fn identity(&self) -> Result<Identity> {
        Identity::dir(self.0.path()).map_err(|source| Error::Io { path: self.0.location(), source })
    }

    fn signatures<'a>(&'a self, resolved: &Resolved, _policy: &Policy) -> Result<Box<dyn Signatures + 'a>> {
        let primary = resolved.index.as_deref().map_or(resolved.manifest_digest, Digest::of);
        Ok(Box::new(InDirectory { path: self.0.path().to_owned(), primary }))
    }

    fn kept(&self, manifest: &ImageManifest, _config: &ImageConfiguration) -> Result<Vec<Descriptor>> {
        manifest.layers().iter().map(|layer| self.media_type(layer)).collect()
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        self.file(&json::announced(descriptor, "the blob")?.digest.hex(), "the blob")
    }
}

/// The directory, and the digest of what its `manifest.json` is.
struct Described<'a> {
    dir: &'a Dir,
    top: oci_spec::image::Digest,
}

impl Documents for Described<'_> {
    fn manifest(&self, descriptor: &Descriptor, what: &str) -> Result<Box<dyn Read + Send>> {
        if *descriptor.digest() == self.top {
            return self.dir.file(MANIFEST, what);
        }
        self.dir.file(&format!("{}.manifest.json", json::announced(descriptor, what)?.digest.hex()), what)
    }

    fn blob(&self, descriptor: &Descriptor, what: &str) -> Result<Box<dyn Read + Send>> {
        self.dir.file(&json::announced(descriptor, what)?.digest.hex(), what)
    }

    fn location(&self) -> String {
        self.dir.0.location()
    }
}
