//! The store of podman, buildah and CRI-O (containers/storage), read without them: the files of its driver `overlay`.
//!
//! A store unpacks what it takes in. Manifest and configuration stay as they came; the layers are put together from their files
//! so that they have their diff_ids. What they were compressed to is lost, so the digests in the manifest are those of blobs that
//! the store cannot give; bootc, which asks skopeo for manifest and layers, keeps that manifest all the same.

mod crc64;
mod error;
mod inside;
mod records;
mod tar_split;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};
use serde::de::DeserializeOwned;

use super::documents::{self, Documents};
use super::{Limits, Platform, Resolved, Result, Source, json};
use crate::container_trust::Identity;
use crate::containers_conf::Stores;
use crate::image_ref::StorageRef;
use crate::layer::Announced;
pub use error::{Problem, StoreError};
use inside::Inside;
use records::{ChainError, ImageRecord, LayerRecord, Wanted};
use tar_split::TarStream;

const DRIVER: &str = "overlay";
/// Of `images.json` and `layers.json`: a thousand images take one megabyte.
const RECORDS: u64 = 64 << 20;

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
            images.extend(read_list(root, "overlay-images/images.json")?);
            for layer in read_list::<LayerRecord>(root, "overlay-layers/layers.json")? {
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
        let asked = wanted.digest.map(|digest| format!("manifest-{digest}"));
        let manifest = asked.filter(|key| image.digest_of(key).is_some()).unwrap_or_else(|| "manifest".to_owned());
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
                Ok(directory) if directory.directory("composefs-data").is_ok() => {
                    return Err(Problem::Composefs { layer: layer.id.clone() });
                }
                Ok(directory) => return directory.directory("diff").map_err(|source| Problem::Io { path, source }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Problem::Io { path, source }),
            }
        }
        let root = self.roots.first().cloned().unwrap_or_default();
        Err(Problem::MissingLayer { root, layer: layer.id.clone() })
    }

    fn tar_stream(&self, layer: &LayerRecord, size: u64) -> Result<TarStream, Problem> {
        let diff = self.diff(layer)?;
        let (document, path) = self.open_in_any(&format!("overlay-layers/{}.tar-split.gz", layer.id)).map_err(
            |problem| match problem {
                Problem::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
                    Problem::NoTarSplit { layer: layer.id.clone(), path }
                }
                problem => problem,
            },
        )?;
        Ok(TarStream::new(document, path, diff, size))
    }

    /// A layer as it comes out of the store.
    fn descriptor(layer: &LayerRecord, diff_id: &str) -> Result<Announced, Problem> {
        let id = || layer.id.clone();
        if layer.is_incomplete() {
            return Err(Problem::Incomplete { layer: id() });
        }
        let size = layer.diff_size.and_then(|size| u64::try_from(size).ok());
        let (Some(found), Some(size)) = (&layer.diff_digest, size) else {
            return Err(Problem::Unknown { layer: id() });
        };
        match diff_id.parse() {
            Ok(digest) if found == diff_id => Ok(Announced { digest, size }),
            Ok(expected) => Err(Problem::DiffId { layer: id(), expected, found: found.clone() }),
            Err(_) => Err(Problem::Unknown { layer: id() }),
        }
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
        let (manifest, manifest_digest) = documents::manifest(self, top, platform, limits)?;
        let config = documents::config(self, &manifest, platform, limits)?;
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
        let kept = self.layers.iter().zip(diff_ids).map(|(layer, diff_id)| Self::descriptor(layer, diff_id));
        let kept = kept.map(|announced| Ok(json::descriptor(MediaType::ImageLayer, &announced?)));
        kept.collect::<Result<_, Problem>>().map_err(|problem| self.failed(problem).into())
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let digest = descriptor.digest().to_string();
        // OK to take the first: layers of one diff_id are one.
        let layer = self.layers.iter().find(|layer| layer.diff_digest.as_ref() == Some(&digest));
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
        let key = format!("manifest-{}", descriptor.digest());
        let is_other = self.image.digest_of(&self.manifest) != Some(descriptor.digest().as_ref());
        let key = if is_other && self.image.digest_of(&key).is_some() { &key } else { &self.manifest };
        Ok(Box::new(self.big_data(key).map_err(|problem| self.failed(problem))?))
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

/// One of the two lists of a store.
fn read_list<T: DeserializeOwned>(root: &Path, relative: &str) -> Result<Vec<T>, Problem> {
    let path = root.join(relative);
    let failed = |source| Problem::Io { path: path.clone(), source };
    let mut inside = match Inside::open(root) {
        Ok(inside) => inside,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Problem::NoStore { root: root.to_owned() });
        }
        Err(source) => return Err(Problem::Io { path: root.to_owned(), source }),
    };
    let file = match inside.file(relative.as_bytes()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return other_driver(root).map_or(Ok(Vec::new()), Err),
        Err(source) => return Err(failed(source)),
    };
    let found = file.metadata().map_err(failed)?.len();
    if found > RECORDS {
        return Err(Problem::TooLarge { path, found, limit: RECORDS });
    }
    let mut bytes = Vec::new();
    file.take(RECORDS).read_to_end(&mut bytes).map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|source| Problem::Json { path: path.clone(), source })
}

/// The driver that wrote the store, when it is not overlay.
fn other_driver(root: &Path) -> Option<Problem> {
    let drivers = ["aufs", "btrfs", "vfs", "zfs"];
    let found = drivers.into_iter().find(|driver| root.join(format!("{driver}-images")).is_dir());
    let has_overlay = root.join("overlay-images").is_dir();
    found.filter(|_| !has_overlay).map(|driver| Problem::Driver { root: root.to_owned(), driver: driver.to_owned() })
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
