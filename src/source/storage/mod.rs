//! The store of podman, buildah and CRI-O (containers/storage), read without them: the files of its driver `overlay`.
//!
//! A store unpacks what it takes in. Manifest and configuration stay as they came; the layers are put together from their files
//! so that they have their diff_ids. What they were compressed to is lost, so the digests in the manifest are those of blobs that
//! the store cannot give; bootc, which asks skopeo for manifest and layers, keeps that manifest all the same.

mod crc64;
mod error;
mod inside;
mod lists;
mod records;
mod tar_split;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};

use super::documents::{self, Documents, Found};
use super::{Limits, Platform, Resolved, Result, Source, json};
use crate::container_trust::Identity;
use crate::containers_conf::Stores;
use crate::image_ref::StorageRef;
use crate::layer::Announced;
pub use error::{Problem, StoreError};
use inside::Inside;
use records::{ChainError, ImageRecord, LayerRecord, Wanted};
use tar_split::{Document, TarStream};

const DRIVER: &str = "overlay";
/// The key of the manifest that was pulled; others have `-DIGEST` behind it.
const MANIFEST: &str = "manifest";

/// An image in a store.
pub struct ContainersStorage {
    /// The first is the store; others are looked into for what it lacks.
    roots: Vec<PathBuf>,
    image: ImageRecord,
    /// Which of its names was asked for.
    name: Option<String>,
    /// The key of its manifest.
    manifest: String,
    /// The lowest first.
    layers: Vec<LayerRecord>,
    export: String,
}

impl ContainersStorage {
    /// Finds the image and its layers.
    pub fn open(reference: &StorageRef) -> Result<Self> {
        let stores = match &reference.store {
            Some(spec) => Ok(Stores::of_spec(spec)),
            None => Stores::configured().map_err(Problem::from),
        };
        let root = stores.as_ref().ok().and_then(|stores| stores.roots.first());
        let export = export(reference, root.map(PathBuf::as_path));
        let opened = stores.and_then(|stores| Self::find(stores, reference));
        opened.map_err(|problem| StoreError { problem, export }.into())
    }

    fn find(stores: Stores, reference: &StorageRef) -> Result<Self, Problem> {
        let Stores { driver, roots } = stores;
        let root = roots.first().cloned().unwrap_or_default();
        if let Some(driver) = driver.filter(|driver| !matches!(&driver[..], DRIVER | "overlay2")) {
            return Err(Problem::Driver { root, driver });
        }
        let mut images: Vec<ImageRecord> = Vec::new();
        let mut layers = BTreeMap::new();
        for root in &roots {
            images.extend(lists::read(root, lists::IMAGES)?);
            for layer in lists::read::<LayerRecord>(root, lists::LAYERS)? {
                layers.entry(layer.id.clone()).or_insert(layer);
            }
        }
        let wanted = Wanted::parse(&reference.image);
        let called = || reference.image.clone();
        let found = wanted.find(&images).map_err(|ids| Problem::Ambiguous {
            root: root.clone(),
            image: called(),
            images: ids.join(", "),
        })?;
        let Some((image, name)) = found else {
            return Err(Problem::NoImage { root, image: called(), images: records::list(&images) });
        };
        records::check_id("an image", &image.id)?;
        let layers = records::chain(layers, image.layer.clone()).map_err(|error| match error {
            ChainError::Missing(layer) => Problem::MissingLayer { root, layer },
            ChainError::Cycle(layer) => Problem::Cycle { layer },
        })?;
        layers.iter().try_for_each(|layer| records::check_id("a layer", &layer.id))?;
        // An image that was pulled by the digest of an index is stored with index and manifest.
        let asked = wanted.digest.map(|digest| format!("{MANIFEST}-{digest}"));
        let manifest = asked.filter(|key| image.digest_of(key).is_some()).unwrap_or_else(|| MANIFEST.to_owned());
        let (image, name) = (image.clone(), name.map(str::to_owned));
        let full = name.clone().unwrap_or_else(|| format!("@{}", image.id));
        let full = StorageRef { store: reference.store.clone(), image: full };
        let export = export(&full, roots.first().map(PathBuf::as_path));
        Ok(Self { roots, image, name, manifest, layers, export })
    }

    fn failed(&self, problem: Problem) -> StoreError {
        StoreError { problem, export: self.export.clone() }
    }

    /// A file that belongs to the image, under the name that its key has there (containers/storage `makeBigDataBaseName`).
    fn big_data(&self, key: &str) -> Result<fs::File, Problem> {
        let is_plain = key.bytes().all(|b| b == b'.' || b.is_ascii_digit() || b.is_ascii_lowercase());
        let name = if is_plain { key.to_owned() } else { format!("={}", Base64::encode_string(key.as_bytes())) };
        self.open_in_any(&format!("overlay-images/{}/{name}", self.image.id)).map(|(file, _)| file)
    }

    /// A file that lies in one of the directories, and where.
    fn open_in_any(&self, relative: &str) -> Result<(fs::File, PathBuf), Problem> {
        let mut missing = None;
        for root in &self.roots {
            let path = root.join(relative);
            match Inside::open(root).and_then(|mut root| root.file(relative.as_bytes())) {
                Ok(file) => return Ok((file, path)),
                Err(source) if source.kind() == io::ErrorKind::NotFound => {
                    missing.get_or_insert(Problem::Io { path, source });
                }
                Err(source) => return Err(Problem::Io { path, source }),
            }
        }
        Err(missing.unwrap_or(Problem::NoStore { root: PathBuf::new() }))
    }

    /// The directory of a layer's files.
    fn diff(&self, layer: &LayerRecord) -> Result<Inside, Problem> {
        let relative = format!("{DRIVER}/{}", layer.id);
        for root in &self.roots {
            let path = root.join(&relative);
            match Inside::open(root).and_then(|root| root.directory(&relative)) {
                Ok(directory) => return Self::files_of(layer, directory, &path.join("diff")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Problem::Io { path, source }),
            }
        }
        let root = self.roots.first().cloned().unwrap_or_default();
        Err(Problem::MissingLayer { root, layer: layer.id.clone() })
    }

    /// What `diff` is in the directory of a layer, unless something marks it as another thing.
    fn files_of(layer: &LayerRecord, mut directory: Inside, path: &Path) -> Result<Inside, Problem> {
        let layer = || layer.id.clone();
        if directory.directory("composefs-data").is_ok() {
            return Err(Problem::Composefs { layer: layer() });
        }
        if directory.file(b"additionallayer").is_ok() {
            return Err(Problem::AdditionalLayerStore { layer: layer() });
        }
        directory.directory("diff").map_err(|source| Problem::Io { path: path.to_owned(), source })
    }

    /// What says how a layer is put together, and where it is.
    fn tar_split(&self, layer: &LayerRecord) -> Result<(fs::File, PathBuf), Problem> {
        let opened = self.open_in_any(&format!("overlay-layers/{}.tar-split.gz", layer.id));
        opened.map_err(|problem| match problem {
            Problem::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
                Problem::NoTarSplit { layer: layer.id.clone(), path }
            }
            problem => problem,
        })
    }

    fn tar_stream(&self, layer: &LayerRecord, size: u64) -> Result<TarStream, Problem> {
        let diff = self.diff(layer)?;
        let (document, path) = self.tar_split(layer)?;
        Ok(TarStream::new(document, path, diff, size))
    }

    /// A layer as it comes out of the store.
    fn descriptor(&self, layer: &LayerRecord, diff_id: &str) -> Result<Announced, Problem> {
        let id = || layer.id.clone();
        if layer.is_incomplete() {
            return Err(Problem::Incomplete { layer: id() });
        }
        let found = layer.diff_id().ok_or_else(|| Problem::Unknown { layer: id() })?;
        let digest = diff_id.parse().map_err(|_| Problem::Unknown { layer: id() })?;
        if found != diff_id {
            return Err(Problem::DiffId { layer: id(), expected: digest, found: found.to_owned() });
        }
        let size = match layer.size() {
            Some(size) => size,
            None => {
                let (document, path) = self.tar_split(layer)?;
                Document::new(document, path, u64::MAX).length()?
            }
        };
        Ok(Announced { digest, size })
    }

    /// Under which key a manifest is kept.
    fn key_of(&self, descriptor: &Descriptor) -> Option<String> {
        let digest = descriptor.digest().as_ref();
        let keys = [MANIFEST.to_owned(), format!("{MANIFEST}-{digest}")];
        keys.into_iter().find(|key| self.image.digest_of(key) == Some(digest))
    }
}

impl Source for ContainersStorage {
    fn resolve(&self, platform: &Platform, limits: &Limits) -> Result<Resolved> {
        let file = self.big_data(&self.manifest).map_err(|problem| self.failed(problem))?;
        let bytes = documents::read(file, limits.manifest, "the manifest", &self.location())?;
        let mut top = documents::describe(&bytes, "the manifest")?;
        if let Some(digest) = self.image.digest_of(&self.manifest) {
            let announced = Announced { digest: json::digest(digest, "the manifest")?, size: top.size() };
            top = json::descriptor(top.media_type().clone(), &announced);
        }
        let Found { manifest, manifest_digest, config } = documents::find(self, top, platform, limits)?;
        Ok(Resolved { manifest, manifest_digest, config, index: None, ref_name: self.name.clone() })
    }

    fn identity(&self) -> Result<Identity> {
        let name = self.name.as_deref().map(str::parse).transpose()?;
        let root = self.roots.first().map_or(Path::new("/"), PathBuf::as_path);
        Ok(Identity::containers_storage(DRIVER, root, name.as_ref(), Some(&self.image.id)))
    }

    fn kept(&self, _manifest: &ImageManifest, config: &ImageConfiguration) -> Result<Vec<Descriptor>> {
        let diff_ids = config.rootfs().diff_ids();
        let (found, expected) = (self.layers.len(), diff_ids.len());
        if found != expected {
            return Err(self.failed(Problem::LayerCount { found, diff_ids: expected }).into());
        }
        let kept = self.layers.iter().zip(diff_ids).map(|(layer, diff_id)| self.descriptor(layer, diff_id));
        let kept = kept.map(|announced| Ok(json::descriptor(MediaType::ImageLayer, &announced?)));
        kept.collect::<Result<_, Problem>>().map_err(|problem| self.failed(problem).into())
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let digest = descriptor.digest().to_string();
        // OK to take the first: layers of one diff_id are one.
        let layer = self.layers.iter().find(|layer| layer.diff_id() == Some(&digest));
        let missing =
            || Problem::MissingLayer { root: self.roots.first().cloned().unwrap_or_default(), layer: digest.clone() };
        let stream = layer.ok_or_else(missing).and_then(|layer| self.tar_stream(layer, descriptor.size()));
        let stream = stream.map_err(|problem| self.failed(problem))?;
        Ok(Box::new(Layer { stream, export: self.export.clone() }))
    }
}

impl Documents for ContainersStorage {
    /// The manifest that is meant, or what an index in its place lists.
    fn manifest(&self, descriptor: &Descriptor, _what: &str) -> Result<Box<dyn Read + Send>> {
        let found = match self.image.digest_of(&self.manifest) {
            Some(digest) if digest != descriptor.digest().as_ref() => self.key_of(descriptor),
            _ => Some(self.manifest.clone()),
        };
        let missing = || Problem::NoManifest { digest: descriptor.digest().to_string() };
        let file = found.ok_or_else(missing).and_then(|key| self.big_data(&key));
        Ok(Box::new(file.map_err(|problem| self.failed(problem))?))
    }

    /// The one that was pulled.
    fn only_one<'a>(&self, listed: &[&'a Descriptor]) -> Option<&'a Descriptor> {
        let pulled = self.image.digest_of(MANIFEST);
        let pulled = listed.iter().find(|one| pulled == Some(one.digest().as_ref()));
        pulled.or_else(|| listed.iter().find(|one| self.key_of(one).is_some())).copied()
    }

    fn blob(&self, descriptor: &Descriptor, _what: &str) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.big_data(descriptor.digest().as_ref()).map_err(|problem| self.failed(problem))?))
    }

    fn location(&self) -> String {
        self.roots.first().map(|root| root.display().to_string()).unwrap_or_default()
    }
}

/// A layer's tar stream as a reader whose errors carry the command that exports the image.
struct Layer {
    stream: TarStream,
    export: String,
}

impl Read for Layer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let export = &self.export;
        self.stream.read(buf).map_err(|problem| io::Error::other(StoreError { problem, export: export.clone() }))
    }
}

/// The command that exports the image, by the owner of the store: that of a user holds files of all the user's subordinate ids.
fn export(image: &StorageRef, root: Option<&Path>) -> String {
    let me = nix::unistd::geteuid().as_raw();
    let owner = root.and_then(|root| root.metadata().ok()).map(|metadata| metadata.uid());
    let skopeo = match owner {
        _ if me == 0 => "skopeo",
        Some(owner) if owner == me => "podman unshare skopeo",
        _ => "sudo skopeo",
    };
    // Brackets mean something to a shell.
    let quote = if image.store.is_some() { "'" } else { "" };
    format!("{skopeo} copy {quote}containers-storage:{image}{quote} oci:DIR:TAG")
}
