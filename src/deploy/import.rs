//! From an image's layers to ostree commits, as bootc's importer makes them (ostree-ext `container/store.rs`).

use std::collections::{BTreeMap, BTreeSet};

use canon_json::CanonJsonSerialize;
use oci_spec::image::{ImageConfiguration, ImageManifest, MediaType};
use serde_json::Value as Json;

use super::{DeployError, go_json};
use crate::digest::Digest;
use crate::image::{Base, Image, Payload};
use crate::ostree::refs::blob_ref;
use crate::ostree::{self, Checksum, Commit, DirMeta, Directory, Name, ObjectKind, ObjectName, Value, Xattrs, repo};

/// The version bootc's importer writes into its commits; readers only test that one is there.
const IMPORTER_VERSION: &str = "0.15.3";
const IMPORTER_VERSION_KEY: &str = "ostree.importer.version";

/// What podman build leaves in the tree while it runs commands: removed when empty.
const RUNTIME_INJECTED: [&str; 2] = ["hostname", "resolv.conf"];

/// A commit that can be deployed, and what the repository has to hold beside it.
pub struct Imported {
    pub commit: Checksum,
    pub root: Directory,
    /// What the commit calls itself, for the boot menu.
    pub version: Option<String>,
    /// The commit of each layer, the lowest first; none where the source is a commit itself.
    pub layers: Vec<Checksum>,
    /// Refs beside that of the deployment and that of the target, by the path of their files.
    pub refs: Vec<(String, Checksum)>,
    /// Every object but files.
    pub metadata: BTreeMap<ObjectName, Vec<u8>>,
    pub warnings: Vec<String>,
}

/// Makes the commits. Their ids are a pure function of the image; an image without a creation time takes `fallback_time`.
pub fn import(image: &Image, fallback_time: i64) -> Result<Imported, DeployError> {
    let json = StoredJson::of(image)?;
    let mut warnings = image.warnings.clone();
    let timestamp = match &json.created {
        Some(text) => seconds(text)?,
        None => {
            warnings
                .push(format!("the image has no creation time; its commits get {fallback_time} seconds since 1970"));
            fallback_time
        }
    };
    let mut metadata = BTreeMap::new();
    let mut layers = match &image.base {
        Some(base) => commits_of(base, &mut metadata)?,
        None => Vec::new(),
    };
    for layer in &image.layers {
        let facts = vec![(IMPORTER_VERSION_KEY.to_owned(), version())];
        layers.push(commit(&layer.tree, facts, None, timestamp, &mut metadata));
    }
    let mut refs = Vec::new();
    for (blob, commit) in image.blobs().zip(&layers) {
        refs.push((repo::ref_path(&blob_ref(&blob.digest.to_string())?), *commit));
    }
    let base = image.base.as_ref();
    let trees = image.layers.iter().map(|layer| layer.tree.clone());
    let mut merged = ostree::merge_layers(base.map(|base| base.root.clone()), trees)?;
    warnings.extend(metadata_warning(&merged.ignored_metadata));
    remove_runtime_files(&mut merged.root, image);
    let facts = vec![
        ("ostree.container.image-config".to_owned(), Value::String(json.config)),
        (IMPORTER_VERSION_KEY.to_owned(), version()),
        ("ostree.manifest".to_owned(), Value::String(json.manifest)),
        ("ostree.manifest-digest".to_owned(), Value::String(image.manifest_digest.to_string())),
    ];
    let commit = commit(&merged.root, facts, base.map(|base| base.commit), timestamp, &mut metadata);
    Ok(Imported { commit, root: merged.root, version: None, layers, refs, metadata, warnings })
}

fn version() -> Value {
    Value::String(IMPORTER_VERSION.to_owned())
}

/// Refuses by its labels what is no bootable container, before a layer is read.
pub fn refuse_unsupported(labels: &BTreeMap<String, String>) -> Result<(), DeployError> {
    let bootable = ["containers.bootc", "ostree.bootable"].iter().any(|label| labels.contains_key(*label));
    if bootable { Ok(()) } else { Err(DeployError::NoBootableLabel) }
}

/// The commit of each layer that holds objects of the base: its own, then one for each component layer.
fn commits_of(base: &Base, objects: &mut BTreeMap<ObjectName, Vec<u8>>) -> Result<Vec<Checksum>, DeployError> {
    objects.extend(base.metadata.clone());
    let component_layers = base.layers.iter().skip(1).map(|layer| object_set(&layer.files, objects));
    [Ok(base.commit)].into_iter().chain(component_layers).collect()
}

/// A commit that keeps objects in the repository: one directory, in which every file has its checksum as its name.
fn object_set(
    files: &BTreeSet<Checksum>,
    objects: &mut BTreeMap<ObjectName, Vec<u8>>,
) -> Result<Checksum, DeployError> {
    let mut directory = Directory::new(DirMeta::new(0, 0, 0o755, Xattrs::default()));
    for checksum in files {
        directory.files.insert(Name::new(&checksum.to_string())?, *checksum);
    }
    Ok(commit(&directory, Vec::new(), None, 0, objects))
}

fn commit(
    tree: &Directory,
    metadata: Vec<(String, Value)>,
    parent: Option<Checksum>,
    timestamp: i64,
    objects: &mut BTreeMap<ObjectName, Vec<u8>>,
) -> Checksum {
    let (root_tree, root_meta) = tree.write(&mut |name, bytes| {
        objects.insert(name, bytes);
    });
    let (subject, body) = Default::default();
    let commit = Commit { metadata, parent, subject, body, timestamp, root_tree, root_meta };
    let (checksum, bytes) = (commit.checksum(), commit.bytes());
    objects.insert(ObjectName { checksum, kind: ObjectKind::Commit }, bytes);
    checksum
}

fn remove_runtime_files(tree: &mut Directory, image: &Image) {
    let name = |text: &str| Name::new(text).ok();
    let directory = |parent: &mut Directory, text: &str| {
        name(text).and_then(|name| parent.dirs.remove(&name).map(|dir| (name, dir)))
    };
    // Taken out and put back, because the tree is only reached through its maps.
    let Some((usr_name, mut usr)) = directory(tree, "usr") else { return };
    if let Some((etc_name, mut etc)) = directory(&mut usr, "etc") {
        for file in RUNTIME_INJECTED.iter().filter_map(|file| name(file)) {
            let object = etc.files.get(&file).and_then(|checksum| image.contents.objects.get(checksum));
            if object.is_some_and(|object| matches!(&object.payload, Payload::Regular(content) if content.len == 0)) {
                etc.files.remove(&file);
            }
        }
        usr.dirs.insert(etc_name, etc);
    }
    tree.dirs.insert(usr_name, usr);
}

fn metadata_warning(paths: &[String]) -> Option<String> {
    let shown = paths.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if paths.len() > 5 { ", …" } else { "" };
    (!paths.is_empty()).then(|| {
        format!(
            "{} directories keep the owner and mode of the lowest layer that has them, as bootc installs them: {shown}{more}",
            paths.len()
        )
    })
}

/// Manifest and configuration in the form that the merge commit keeps: through the OCI types, then canonical (RFC 8785).
struct StoredJson {
    manifest: String,
    config: String,
    created: Option<String>,
}

impl StoredJson {
    fn of(image: &Image) -> Result<StoredJson, DeployError> {
        let given: Json = parse("configuration", &image.config)?;
        let object = given.as_object().ok_or_else(|| wrong("configuration", "it is no JSON object"))?;
        let config_text = go_json::image_configuration(object);
        let config: ImageConfiguration = parse("configuration", config_text.as_bytes())?;
        let mut manifest: ImageManifest = parse("manifest", &image.manifest)?;
        if is_docker(&manifest) {
            convert_docker(&mut manifest, &config_text)?;
        }
        let annotation =
            manifest.annotations().as_ref().and_then(|all| all.get("org.opencontainers.image.created").cloned());
        Ok(StoredJson {
            created: annotation.or_else(|| config.created().clone()),
            manifest: canonical("manifest", &manifest)?,
            config: canonical("configuration", &config)?,
        })
    }
}

fn parse<T: serde::de::DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, DeployError> {
    serde_json::from_slice(bytes).map_err(|error| wrong(what, &error.to_string()))
}

fn canonical<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, DeployError> {
    value.to_canon_json_string().map_err(|error| wrong(what, &error.to_string()))
}

fn wrong(what: &'static str, message: &str) -> DeployError {
    DeployError::ImageJson { what, message: message.to_owned() }
}

fn is_docker(manifest: &ImageManifest) -> bool {
    matches!(manifest.media_type(), Some(MediaType::Other(kind)) if kind.starts_with("application/vnd.docker."))
}

/// A layer that registries do not have to keep.
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// What skopeo does to a Docker schema 2 manifest: OCI's media types, and the rewritten configuration's digest and size.
fn convert_docker(manifest: &mut ImageManifest, config: &str) -> Result<(), DeployError> {
    manifest.set_media_type(Some(MediaType::ImageManifest));
    let digest = Digest::of(config.as_bytes()).to_string();
    let mut descriptor = manifest.config().clone();
    descriptor.set_media_type(MediaType::ImageConfig);
    descriptor.set_digest(digest.parse().map_err(|_| wrong("configuration", "its digest cannot be written"))?);
    descriptor.set_size(config.len() as u64); // usize is at most 64 bits
    manifest.set_config(descriptor);
    let mut layers = manifest.layers().clone();
    for layer in &mut layers {
        let oci = match layer.media_type() {
            MediaType::Other(kind) if kind == FOREIGN => MediaType::ImageLayerNonDistributableGzip,
            MediaType::Other(kind) if kind.ends_with(".tar.gzip") => MediaType::ImageLayerGzip,
            MediaType::Other(kind) if kind.ends_with(".tar.zstd") => MediaType::ImageLayerZstd,
            MediaType::Other(kind) if kind.ends_with(".tar") => MediaType::ImageLayer,
            other => other.clone(),
        };
        layer.set_media_type(oci);
    }
    manifest.set_layers(layers);
    Ok(())
}

/// The image's creation time in seconds since 1970; `None` when it has none that can be read.
pub fn created(image: &Image) -> Option<i64> {
    seconds(&StoredJson::of(image).ok()?.created?).ok()
}

/// RFC 3339 to whole seconds, rounded down.
fn seconds(text: &str) -> Result<i64, DeployError> {
    let time: jiff::Timestamp = text.parse().map_err(|_| DeployError::Created { text: text.to_owned() })?;
    Ok(time.as_second() - i64::from(time.subsec_nanosecond() < 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_set_is_the_commit_that_bootc_makes_of_a_component_layer() {
        let hello = "44f778e59f0a4748d6b0c90a47347212a231c4ad1e8f7ea5c5dffc7749153a6b".parse().unwrap();
        let commit = object_set(&[hello].into(), &mut BTreeMap::new()).unwrap();
        assert_eq!(commit.to_string(), "9991cb6a41d96284a68a4c9888b0d009f65775fbaa71559d2b1f318295e504b0");
    }

    #[test]
    fn times_before_1970_round_down() {
        assert_eq!(seconds("2025-10-09T08:53:20.9Z").unwrap(), 1_760_000_000);
        assert_eq!(seconds("1969-12-31T23:59:59.5Z").unwrap(), -1);
        assert!(seconds("yesterday").is_err());
    }
}
