//! The OCI image layout (image-spec `image-layout.md`): `oci-layout`, `index.json`, `blobs/sha256/…`.

use std::io::{self, Read};

use oci_spec::image::{Descriptor, ImageIndex};
use serde::Deserialize;

use super::documents::{self, Documents, Found};
use super::{Error, Limits, Platform, Resolved, Result, Source, json};
use crate::container_trust::Identity;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Something with the files of a layout in it.
pub trait Files: Sync {
    /// The file `name` and its length, if it is there.
    fn open(&self, name: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>>;

    /// For messages.
    fn location(&self) -> String;

    /// What policies call an image in it.
    fn identity(&self) -> io::Result<Identity>;
}

/// A layout, and which of its images is meant.
pub struct OciLayout<F> {
    files: F,
    tag: Option<String>,
}

/// The file `oci-layout`.
#[derive(Deserialize)]
struct LayoutFile {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

impl<F: Files> Source for OciLayout<F> {
    fn resolve(&self, platform: &Platform, limits: &Limits) -> Result<Resolved> {
        self.check_layout()?;
        let index: ImageIndex = json::parse(&self.file("index.json", limits.manifest)?, "index.json")?;
        let (entry, platform) = self.entry(&index, platform)?;
        let ref_name = ref_name(entry).map(str::to_owned);
        let Found { manifest, manifest_digest, config } = documents::find(self, entry.clone(), &platform, limits)?;
        Ok(Resolved { manifest, manifest_digest, config, index: None, ref_name })
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        Documents::blob(self, descriptor, "the blob")
    }

    fn identity(&self) -> Result<Identity> {
        self.files.identity().map_err(|source| Error::Io { path: self.files.location(), source })
    }
}

impl<F: Files> Documents for OciLayout<F> {
    fn manifest(&self, descriptor: &Descriptor, what: &str) -> Result<Box<dyn Read + Send>> {
        Documents::blob(self, descriptor, what)
    }

    fn blob(&self, descriptor: &Descriptor, what: &str) -> Result<Box<dyn Read + Send>> {
        let path = format!("blobs/sha256/{}", json::announced(descriptor, what)?.digest.hex());
        let missing =
            || Error::MissingBlob { what: what.to_owned(), path: path.clone(), location: self.files.location() };
        self.files.open(&path)?.map(|(blob, _)| blob).ok_or_else(missing)
    }

    fn location(&self) -> String {
        self.files.location()
    }
}

impl<F: Files> OciLayout<F> {
    pub fn new(files: F, tag: Option<String>) -> Self {
        Self { files, tag }
    }

    fn check_layout(&self) -> Result<()> {
        let layout: LayoutFile = json::parse(&self.file("oci-layout", 4096)?, "oci-layout")?;
        if layout.version.split('.').next() != Some("1") {
            return Err(self.not_a_layout(format!("its version is {}, 1.0.0 is supported", layout.version)));
        }
        Ok(())
    }

    /// A small file that has no digest.
    fn file(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let (file, _) = self.files.open(name)?.ok_or_else(|| self.not_a_layout(format!("it has no file {name}")))?;
        documents::read(file, limit, name, &self.files.location())
    }

    /// The entry of `index.json` that has the tag, or the only one, and what it has to be for. Entries without names but with
    /// platforms are one image.
    fn entry<'a>(&self, index: &'a ImageIndex, platform: &Platform) -> Result<(&'a Descriptor, Platform)> {
        let all = index.manifests();
        let wanted = self.tag.as_deref();
        let found: Vec<&Descriptor> = all.iter().filter(|d| wanted.is_none() || ref_name(d) == wanted).collect();
        let location = self.files.location();
        match (&found[..], wanted) {
            ([only], _) => Ok((only, platform.clone())),
            ([], None) => Err(Error::NoImage { location }),
            ([], Some(tag)) => Err(Error::NoSuchTag { location, tag: tag.to_owned(), tags: tags(all) }),
            (several, _) if is_one_image(several) => platform.choose(several, &location),
            (several, _) => Err(Error::SeveralImages { location, count: several.len(), tags: tags(all) }),
        }
    }

    fn not_a_layout(&self, why: String) -> Error {
        Error::NotALayout { path: self.files.location(), why }
    }
}

fn ref_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(REF_NAME).map(String::as_str)
}

/// One name, or none, for several platforms.
fn is_one_image(entries: &[&Descriptor]) -> bool {
    entries.iter().all(|entry| entry.platform().is_some() && ref_name(entry) == ref_name(entries[0]))
}

fn tags(entries: &[Descriptor]) -> String {
    let tags: Vec<_> = entries.iter().filter_map(ref_name).collect();
    if tags.is_empty() { "(none)".to_owned() } else { tags.join(", ") }
}
