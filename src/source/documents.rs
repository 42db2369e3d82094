//! From the name of an image down to the manifest and the config of one platform; alike wherever the documents lie.

use std::io::Read;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use super::{Error, Limits, Platform, Result, json};
use crate::digest::Digest;
use crate::layer::{self, BlobError};

/// An index in an index in an index is already one more than anybody builds.
const DEEPEST: usize = 4;

/// Something that holds documents by their digests.
pub trait Documents {
    /// The bytes of a manifest or an index; the caller compares.
    fn manifest(&self, descriptor: &Descriptor, what: &str) -> Result<Box<dyn Read + Send>>;

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
        "application/vnd.oci.image.manifest.v1+json" | "application/vnd.docker.distribution.manifest.v2+json" => {
            Some(DocumentKind::Manifest)
        }
        "application/vnd.oci.image.index.v1+json" | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            Some(DocumentKind::Index)
        }
        _ => None,
    }
}

/// The manifest for `platform`, byte for byte, with its digest.
pub fn manifest(
    documents: &dyn Documents,
    mut descriptor: Descriptor,
    platform: &Platform,
    limits: &Limits,
) -> Result<(Vec<u8>, Digest)> {
    for _ in 0..DEEPEST {
        let media_type = descriptor.media_type().to_string();
        let read = |what| {
            let bytes = documents.manifest(&descriptor, what)?;
            whole(bytes, &descriptor, limits.manifest, what)
        };
        match kind(&media_type) {
            Some(DocumentKind::Manifest) => {
                return Ok((read("the manifest")?, json::announced(&descriptor, "the manifest")?.digest));
            }
            Some(DocumentKind::Index) => {
                let index: ImageIndex = json::parse(&read("the image index")?, "the image index")?;
                let images: Vec<_> = index.manifests().iter().collect();
                descriptor = platform.choose(&images, &documents.location())?.clone();
            }
            None => {
                let what = format!("{} in {}", descriptor.digest(), documents.location());
                return Err(Error::NotAnImage { what, media_type });
            }
        }
    }
    Err(Error::NestedTooDeep { depth: DEEPEST })
}

/// The config that `manifest` names, byte for byte; refused when it is for another platform.
pub fn config(documents: &dyn Documents, manifest: &[u8], platform: &Platform, limits: &Limits) -> Result<Vec<u8>> {
    let manifest: ImageManifest = json::parse(manifest, "the manifest")?;
    let descriptor = manifest.config();
    let media_type = descriptor.media_type().to_string();
    if !["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"]
        .contains(&media_type.as_str())
    {
        return Err(Error::NotAnImage { what: "the config".to_owned(), media_type });
    }
    let blob = documents.blob(descriptor, "the config")?;
    let bytes = whole(blob, descriptor, limits.config, "the config")?;
    let config: ImageConfiguration = json::parse(&bytes, "the config")?;
    platform.check(&config.os().to_string(), &config.architecture().to_string())?;
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
