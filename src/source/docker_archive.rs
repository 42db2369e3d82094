//! What `docker save` writes (Moby's image specification v1.2; containers/image `docker/internal/tarfile/`): `manifest.json` says
//! where configuration and layers of each image lie. There is no manifest with digests, so the one that skopeo makes is made.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::OnceLock;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};
use serde::{Deserialize, Serialize};

use super::archive::{Archive, plain};
use super::documents::{DOCKER_CONFIG, DOCKER_SCHEMA_2, read};
use super::oci_layout::Files;
use super::{Error, Limits, Platform, Resolved, Result, Source, json};
use crate::container_trust::Identity;
use crate::digest::Digest;
use crate::image_ref::{ArchivedImage, Reference};
use crate::layer::{Announced, Compression};

const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// An archive, and its image that is meant.
pub struct DockerArchive {
    archive: Archive,
    image: Item,
    /// The name of the image that was asked for, or its first.
    name: Option<String>,
    config: Vec<u8>,
    /// What each layer inflates to, the lowest first.
    diff_ids: Vec<Digest>,
    /// Made once: for the sizes in it layers may have to be inflated.
    manifest: OnceLock<Vec<u8>>,
}

/// An image in `manifest.json`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl DockerArchive {
    pub fn open(path: &Path, wanted: Option<ArchivedImage>) -> Result<Self> {
        let (archive, limits) = (Archive::open(path)?, Limits::default());
        let items: Vec<Item> = json::parse(&file(&archive, "manifest.json", limits.manifest)?, "manifest.json")?;
        let (image, name) = choose(&items, wanted.as_ref(), &archive.location())?;
        let config = file(&archive, &image.config, limits.config)?;
        let parsed: ImageConfiguration = json::parse(&config, "the config")?;
        let diff_ids = parsed.rootfs().diff_ids().iter();
        let diff_ids = diff_ids.map(|id| json::digest(id, "a diff_id of the config")).collect::<Result<Vec<_>>>()?;
        if image.layers.len() != diff_ids.len() {
            return Err(Error::LayerCount { layers: image.layers.len(), diff_ids: diff_ids.len() });
        }
        Ok(Self { archive, image, name, config, diff_ids, manifest: OnceLock::new() })
    }

    /// Opens a layer, and says how it is compressed.
    fn layer(&self, index: usize) -> Result<(Box<dyn Read + Send>, u64, Compression)> {
        let path = &self.image.layers[index];
        let what = format!("layer {index}");
        let missing = || Error::MissingBlob { what, path: path.clone(), location: self.archive.location() };
        let opened = self.archive.open(&plain(path.as_bytes()))?;
        let (mut layer, len) = opened.ok_or_else(missing)?;
        let mut first = Vec::new();
        let begun = (&mut layer).take(4).read_to_end(&mut first);
        begun.map_err(|source| self.failed(path, source))?;
        let compression = Compression::of_content(&first);
        Ok((Box::new(io::Cursor::new(first).chain(layer)), len, compression))
    }

    /// Bytes that the layer inflates to.
    fn size(&self, index: usize, limits: &Limits) -> Result<u64> {
        let (layer, len, compression) = self.layer(index)?;
        if compression == Compression::None {
            return Ok(len);
        }
        let path = &self.image.layers[index];
        let inflated = compression.decoder(BufReader::new(layer.take(len)));
        let size =
            inflated.and_then(|inflated| io::copy(&mut inflated.take(limits.layer.saturating_add(1)), &mut io::sink()));
        let size = size.map_err(|source| self.failed(path, source))?;
        if size > limits.layer {
            return Err(Error::LayerTooLarge { path: path.clone(), limit: limits.layer });
        }
        Ok(size)
    }

    /// Byte for byte as skopeo writes it.
    fn make_manifest(&self, limits: &Limits) -> Result<Vec<u8>> {
        let layers = self.diff_ids.iter().enumerate().map(|(index, diff_id)| {
            Ok(DockerDescriptor { media_type: LAYER, size: self.size(index, limits)?, digest: *diff_id })
        });
        let layers = layers.collect::<Result<_>>()?;
        let config = DockerDescriptor {
            media_type: DOCKER_CONFIG,
            size: self.config.len() as u64, // usize has at most 64 bits
            digest: Digest::of(&self.config),
        };
        let manifest = DockerManifest { schema_version: 2, media_type: DOCKER_SCHEMA_2, config, layers };
        serde_json::to_vec(&manifest).map_err(|source| Error::Json { what: "the manifest".to_owned(), source })
    }

    fn failed(&self, path: &str, source: io::Error) -> Error {
        Error::Io { path: format!("{path} in {}", self.archive.location()), source }
    }
}

impl Source for DockerArchive {
    fn resolve(&self, platform: &Platform, limits: &Limits) -> Result<Resolved> {
        let config: ImageConfiguration = json::parse(&self.config, "the config")?;
        platform.check(&config.os().to_string(), &config.architecture().to_string())?;
        let manifest = match self.manifest.get() {
            Some(manifest) => manifest.clone(),
            None => {
                let made = self.make_manifest(limits)?;
                self.manifest.get_or_init(|| made).clone()
            }
        };
        let manifest_digest = Digest::of(&manifest);
        Ok(Resolved {
            manifest,
            manifest_digest,
            config: self.config.clone(),
            index: None,
            ref_name: self.name.clone(),
        })
    }

    /// The manifest calls all layers compressed, and has the digests of what they inflate to.
    fn kept(&self, manifest: &ImageManifest, _config: &ImageConfiguration) -> Result<Vec<Descriptor>> {
        let mut kept = manifest.layers().clone();
        for layer in &mut kept {
            layer.set_media_type(MediaType::ImageLayer);
        }
        Ok(kept)
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let Announced { digest, .. } = json::announced(descriptor, "the layer")?;
        // OK to take the first: layers of one diff_id are one.
        let index = self.diff_ids.iter().position(|diff_id| *diff_id == digest);
        let missing = || Error::MissingBlob {
            what: "the layer".to_owned(),
            path: digest.to_string(),
            location: self.archive.location(),
        };
        let index = index.ok_or_else(missing)?;
        let (layer, _, compression) = self.layer(index)?;
        compression.decoder(BufReader::new(layer)).map_err(|source| self.failed(&self.image.layers[index], source))
    }

    fn identity(&self) -> Result<Identity> {
        // Any text may stand there, and no signature is compared with it.
        let name = self.name.as_deref().and_then(|name| name.parse().ok());
        Ok(Identity::docker_archive(self.archive.path(), name.as_ref()))
    }
}

/// A member of the archive.
fn file(archive: &Archive, name: &str, limit: u64) -> Result<Vec<u8>> {
    let location = archive.location();
    match archive.open(&plain(name.as_bytes()))? {
        Some((file, _)) => read(file, limit, name, &location),
        None if archive.open("oci-layout")?.is_some() => {
            let why = format!("it has no file {name}, but is in OCI image layout; then write `oci-archive:`");
            Err(Error::NotADockerArchive { path: location, why })
        }
        None => Err(Error::NotADockerArchive { path: location, why: format!("it has no file {name}") }),
    }
}

/// The image that is wanted, and its name.
fn choose(items: &[Item], wanted: Option<&ArchivedImage>, location: &str) -> Result<(Item, Option<String>)> {
    let tags = |item: &Item| item.repo_tags.clone().unwrap_or_default();
    let found = match (wanted, items) {
        (None, [only]) => Some((only, tags(only).into_iter().next())),
        (None, []) => return Err(Error::NoImage { location: location.to_owned() }),
        (None, several) => {
            let (location, tags) = (location.to_owned(), list(several));
            return Err(Error::SeveralImages { location, count: several.len(), tags });
        }
        (Some(ArchivedImage::Index(index)), items) => {
            items.get(*index).map(|item| (item, tags(item).into_iter().next()))
        }
        (Some(ArchivedImage::Name(name)), items) => items.iter().find_map(|item| {
            let full = |name: &str| name.parse().ok().map(Reference::complete);
            let same = |tag: &String| *tag == *name || full(name).is_some_and(|name| full(tag) == Some(name));
            tags(item).into_iter().find(same).map(|tag| (item, Some(tag)))
        }),
    };
    let found = found.map(|(item, name)| (item.clone(), name));
    let tag = wanted.map(ToString::to_string).unwrap_or_default();
    found.ok_or_else(|| Error::NoSuchTag { location: location.to_owned(), tag, tags: list(items) })
}

/// The names of all images; those without one by their index.
fn list(items: &[Item]) -> String {
    let name = |(index, item): (usize, &Item)| match item.repo_tags.as_deref() {
        None | Some([]) => format!("@{index}"),
        Some(tags) => tags.join(", "),
    };
    items.iter().enumerate().map(name).collect::<Vec<_>>().join(", ")
}

/// containers/image `manifest.Schema2`, in the order of its fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerManifest {
    schema_version: u32,
    media_type: &'static str,
    config: DockerDescriptor,
    layers: Vec<DockerDescriptor>,
}

/// containers/image `manifest.Schema2Descriptor`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerDescriptor {
    media_type: &'static str,
    size: u64,
    digest: Digest,
}
