//! From the name of an image down to the manifest and the config of one platform; alike wherever the documents lie.

use std::io::Read;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Error, Limits, Platform, Result, json};
use crate::digest::Digest;
use crate::layer::{self, Announced, BlobError};

/// An index in an index in an index is already one more than anybody builds.
const DEEPEST: usize = 4;
pub const DOCKER_SCHEMA_2: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// Something that holds documents by their digests.
pub trait Documents {
    /// The bytes of a manifest or an index; the caller compares.
    fn manifest(&self, descriptor: &Descriptor, what: &str) -> Result<Box<dyn Read + Send>>;

    /// Which of an index's manifests is there, where a place keeps the one that somebody chose.
    fn only_one<'a>(&self, _listed: &[&'a Descriptor]) -> Option<&'a Descriptor> {
        None
    }

    /// The bytes of any other blob; the caller compares.
    fn blob(&self, descriptor: &Descriptor, what: &str) -> Result<Box<dyn Read + Send>>;

    /// For messages.
    fn location(&self) -> String;
}

/// What a media type of a manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DocumentKind {
    Manifest,
    Index,
}

fn kind(media_type: &str) -> Option<DocumentKind> {
    match media_type {
        "application/vnd.oci.image.manifest.v1+json" | DOCKER_SCHEMA_2 => Some(DocumentKind::Manifest),
        "application/vnd.oci.image.index.v1+json" | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            Some(DocumentKind::Index)
        }
        _ => None,
    }
}

/// The descriptor of a manifest or index that nothing describes, by what it says of itself (containers/image `GuessMIMEType`).
pub fn describe(bytes: &[u8], what: &str) -> Result<Descriptor> {
    let said: SelfDescription = json::parse(bytes, what)?;
    let media_type = match said {
        SelfDescription { media_type: Some(media_type), .. } => media_type,
        SelfDescription { schema_version: Some(1), .. } => MediaType::Other(DOCKER_SCHEMA_1.to_owned()),
        SelfDescription { config: Some(config), .. } if config.media_type.as_deref() == Some(DOCKER_CONFIG) => {
            MediaType::Other(DOCKER_SCHEMA_2.to_owned())
        }
        SelfDescription { config: Some(_), .. } => MediaType::ImageManifest,
        SelfDescription { manifests: Some(_), .. } => MediaType::ImageIndex,
        _ => MediaType::Other("(none)".to_owned()),
    };
    Ok(json::descriptor(media_type, &Announced { digest: Digest::of(bytes), size: bytes.len() as u64 })) // at most 64 bits
}

/// What tells manifests apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelfDescription {
    media_type: Option<MediaType>,
    schema_version: Option<u64>,
    config: Option<DescribedConfig>,
    manifests: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribedConfig {
    media_type: Option<String>,
}

/// The documents of one image, byte for byte.
pub struct Found {
    pub manifest: Vec<u8>,
    pub manifest_digest: Digest,
    pub config: Vec<u8>,
}

/// The image for `platform` that `top` is or leads to; refused when its config says that it is for another one.
pub fn find(documents: &dyn Documents, top: Descriptor, platform: &Platform, limits: &Limits) -> Result<Found> {
    let (manifest, manifest_digest, platform) = manifest(documents, top, platform.clone(), limits)?;
    let config = config(documents, &manifest, &platform, limits)?;
    Ok(Found { manifest, manifest_digest, config })
}

/// The manifest for `platform` with its digest, and the platform it was chosen for.
fn manifest(
    documents: &dyn Documents,
    mut descriptor: Descriptor,
    mut platform: Platform,
    limits: &Limits,
) -> Result<(Vec<u8>, Digest, Platform)> {
    for _ in 0..DEEPEST {
        let media_type = descriptor.media_type().to_string();
        let read = |what| {
            check_size(descriptor.size(), limits.manifest, what)?;
            let bytes = documents.manifest(&descriptor, what)?;
            whole(bytes, &descriptor, limits.manifest, what)
        };
        match kind(&media_type) {
            Some(DocumentKind::Manifest) => {
                let digest = json::announced(&descriptor, "the manifest")?.digest;
                return Ok((read("the manifest")?, digest, platform));
            }
            Some(DocumentKind::Index) => {
                let index: ImageIndex = json::parse(&read("the image index")?, "the image index")?;
                let images: Vec<_> = index.manifests().iter().collect();
                let (chosen, wanted) = match documents.only_one(&images) {
                    Some(kept) => (kept, platform),
                    None => platform.choose(&images, &documents.location())?,
                };
                (descriptor, platform) = (chosen.clone(), wanted);
            }
            None => {
                let what = format!("{} in {}", descriptor.digest(), documents.location());
                return Err(Error::NotAnImage { what, media_type });
            }
        }
    }
    Err(Error::NestedTooDeep { depth: DEEPEST })
}

fn config(documents: &dyn Documents, manifest: &[u8], platform: &Platform, limits: &Limits) -> Result<Vec<u8>> {
    let manifest: ImageManifest = json::parse(manifest, "the manifest")?;
    let descriptor = manifest.config();
    let media_type = descriptor.media_type().to_string();
    if !["application/vnd.oci.image.config.v1+json", DOCKER_CONFIG].contains(&media_type.as_str()) {
        return Err(Error::NotAnImage { what: "the config".to_owned(), media_type });
    }
    check_size(descriptor.size(), limits.config, "the config")?;
    let blob = documents.blob(descriptor, "the config")?;
    let bytes = whole(blob, descriptor, limits.config, "the config")?;
    let config: ImageConfiguration = json::parse(&bytes, "the config")?;
    platform.check(&config.os().to_string(), &config.architecture().to_string())?;
    Ok(bytes)
}

/// A small file that has no digest.
pub fn read(file: impl Read, limit: u64, name: &str, location: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|source| Error::Io { path: format!("{name} in {location}"), source })?;
    check_size(bytes.len() as u64, limit, name)?; // usize has at most 64 bits
    Ok(bytes)
}

/// All bytes of a document, compared with its descriptor.
fn whole(bytes: impl Read, descriptor: &Descriptor, limit: u64, what: &str) -> Result<Vec<u8>> {
    let announced = json::announced(descriptor, what)?;
    check_size(announced.size, limit, what)?;
    let failed = |source: BlobError| Error::Blob { what: what.to_owned(), source };
    layer::read_whole(bytes, announced).map_err(failed)
}

/// Refuses what is larger than `limit`.
pub fn check_size(found: u64, limit: u64, what: &str) -> Result<()> {
    if found > limit { Err(Error::TooLarge { what: what.to_owned(), found, limit }) } else { Ok(()) }
}
