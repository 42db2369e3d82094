//! The lists of images and layers that a store keeps (containers/storage `images.go` and `layers.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::error::Problem;
use crate::image_ref::{Reference, has_host};

/// Shorter ones are taken for names (containers/image `storage/storage_transport.go`).
const SHORTEST_ID: usize = 3;

/// An entry of `overlay-images/images.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageRecord {
    pub id: String,
    names: Option<Vec<String>>,
    digest: Option<String>,
    /// The topmost layer.
    pub layer: Option<String>,
    /// Of the files in `overlay-images/ID`.
    big_data_digests: Option<BTreeMap<String, String>>,
}

/// An entry of `overlay-layers/layers.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerRecord {
    pub id: String,
    pub parent: Option<String>,
    /// Of the tar stream that the layer was stored from.
    diff_digest: Option<String>,
    /// -1 where it is not known.
    diff_size: Option<i64>,
    /// Of a layer that was pulled in parts (zstd:chunked).
    toc_digest: Option<String>,
    flags: Option<BTreeMap<String, serde_json::Value>>,
}

/// What a user calls an image: `NAME[:TAG][@DIGEST]`, `[NAME@]ID`, or the beginning of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Full, in the order in which they are looked for; a short one may be Docker Hub's or one that was built here.
    names: Vec<Reference>,
    pub digest: Option<String>,
    id: Option<String>,
}

/// An image, and the name by which it was asked for, or one of its own.
pub type Found<'a> = (&'a ImageRecord, Option<&'a str>);

impl ImageRecord {
    pub fn names(&self) -> &[String] {
        self.names.as_deref().unwrap_or_default()
    }

    /// The digest of a file of the image.
    pub fn digest_of(&self, key: &str) -> Option<&str> {
        self.big_data_digests.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether it is the digest of one of its manifests.
    fn has_digest(&self, digest: &str) -> bool {
        let manifests = self.big_data_digests.iter().flatten().filter(|(key, _)| key.starts_with("manifest"));
        self.digest.as_deref() == Some(digest) || manifests.into_iter().any(|(_, found)| found == digest)
    }

    /// As a list shows it.
    fn title(&self) -> String {
        match self.names() {
            [] => format!("@{}", self.id.get(..12).unwrap_or(&self.id)),
            names => names.join(", "),
        }
    }
}

impl LayerRecord {
    pub fn is_incomplete(&self) -> bool {
        self.flag("incomplete") == Some(&serde_json::Value::Bool(true))
    }

    /// Of the tar stream that the layer was stored from. One that was pulled in parts may only have what its image's config
    /// says, which nobody has compared (containers/image `storage/storage_src.go`).
    pub fn diff_id(&self) -> Option<&str> {
        self.diff_digest.as_deref().or_else(|| self.flag("expected-layer-diffid")?.as_str())
    }

    /// Bytes of that tar stream. Of a layer that was pulled in parts, containers/storage before 1.56 notes down the sum of its
    /// files instead, so that this is unknown.
    pub fn size(&self) -> Option<u64> {
        self.diff_size.filter(|_| self.toc_digest.is_none()).and_then(|size| u64::try_from(size).ok())
    }

    fn flag(&self, name: &str) -> Option<&serde_json::Value> {
        self.flags.as_ref()?.get(name)
    }
}

impl Wanted {
    pub fn parse(text: &str) -> Self {
        let is_id = |id: &str| id.len() >= SHORTEST_ID && id.bytes().all(|b| b.is_ascii_hexdigit());
        let (name, digest, id) = match text.rsplit_once('@') {
            Some((name, digest)) if digest.contains(':') => (name, Some(digest), None),
            Some((name, id)) => match name.rsplit_once('@') {
                Some((name, digest)) => (name, Some(digest), Some(id)),
                None => (name, None, Some(id)),
            },
            None => (text, None, Some(text).filter(|text| is_id(text))),
        };
        let with_digest = digest.map_or(name.to_owned(), |digest| format!("{name}@{digest}"));
        let full = |name: &str| name.parse().ok().map(Reference::complete);
        let local = || full(&format!("localhost/{with_digest}")).filter(|_| !has_host(name));
        let names = match name {
            "" => Vec::new(),
            _ => full(&with_digest).into_iter().chain(local()).collect(),
        };
        Self { names, digest: digest.map(str::to_owned), id: id.map(str::to_owned) }
    }

    /// The image among all; the ids that are meant, when there are several.
    pub fn find<'a>(&self, images: &'a [ImageRecord]) -> Result<Option<Found<'a>>, Vec<String>> {
        let ids = self.ids(images);
        if let [id] = ids[..] {
            let image = images.iter().find(|image| image.id == id);
            return Ok(image.map(|image| (image, self.name_of(image))));
        }
        let found = self.by_name(images).or_else(|| self.by_digest(images));
        if found.is_none() && !ids.is_empty() {
            return Err(ids.into_iter().map(str::to_owned).collect());
        }
        Ok(found)
    }

    /// All ids that begin as the one that is wanted, or that one.
    fn ids<'a>(&self, images: &'a [ImageRecord]) -> Vec<&'a str> {
        let Some(wanted) = &self.id else { return Vec::new() };
        let ids: BTreeSet<&str> =
            images.iter().map(|image| &image.id[..]).filter(|id| id.starts_with(wanted)).collect();
        match ids.get(&wanted[..]) {
            Some(exact) => vec![exact],
            None => ids.into_iter().collect(),
        }
    }

    /// What an image that was asked for by its id is called.
    fn name_of<'a>(&self, image: &'a ImageRecord) -> Option<&'a str> {
        let names = image.names();
        let asked = names.iter().find(|name| self.names.iter().any(|wanted| wanted.to_string() == **name));
        let tagged = names.iter().find(|name| !name.contains('@'));
        asked.or(tagged).or(names.first()).map(String::as_str)
    }

    fn by_name<'a>(&self, images: &'a [ImageRecord]) -> Option<Found<'a>> {
        self.names.iter().find_map(|wanted| {
            images.iter().find_map(|image| {
                image.names().iter().find(|name| **name == wanted.to_string()).map(|name| (image, Some(&name[..])))
            })
        })
    }

    /// An image of that repository, whatever its tag.
    fn by_digest<'a>(&self, images: &'a [ImageRecord]) -> Option<Found<'a>> {
        let digest = self.digest.as_ref()?;
        self.names.iter().find_map(|wanted| {
            let same = |name: &&String| name.parse().is_ok_and(|name: Reference| name.name() == wanted.name());
            let mut images = images.iter().filter(|image| image.has_digest(digest));
            images.find_map(|image| image.names().iter().find(same).map(|name| (image, Some(&name[..]))))
        })
    }
}

/// All names, for messages.
pub fn list(images: &[ImageRecord]) -> String {
    let titles: BTreeSet<String> = images.iter().map(ImageRecord::title).collect();
    if titles.is_empty() { "(none)".to_owned() } else { Vec::from_iter(titles).join(", ") }
}

/// The layers from the lowest to `top`.
pub fn chain(mut layers: BTreeMap<String, LayerRecord>, top: Option<String>) -> Result<Vec<LayerRecord>, ChainError> {
    let (mut chain, mut passed) = (Vec::new(), BTreeSet::new());
    let mut next = top.filter(|id| !id.is_empty());
    while let Some(id) = next {
        if passed.contains(&id) {
            return Err(ChainError::Cycle(id));
        }
        let layer = layers.remove(&id).ok_or(ChainError::Missing(id))?;
        next = layer.parent.clone().filter(|id| !id.is_empty());
        passed.insert(layer.id.clone());
        chain.push(layer);
    }
    chain.reverse();
    Ok(chain)
}

/// Why layers do not lie on each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainError {
    Missing(String),
    Cycle(String),
}

/// Ids become names of files.
pub fn check_id(what: &'static str, id: &str) -> Result<(), Problem> {
    let is_id = !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_id { Ok(()) } else { Err(Problem::Id { what, id: id.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the manifest of an image with that id.
    fn digest(id: &str) -> String {
        format!("sha256:{id:0>64}")
    }

    fn image(id: &str, names: &[&str]) -> ImageRecord {
        let digests = BTreeMap::from([("manifest".to_owned(), digest(id))]);
        ImageRecord {
            id: id.to_owned(),
            names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            big_data_digests: Some(digests),
            ..ImageRecord::default()
        }
    }

    #[test]
    fn an_image_is_found_by_name_id_and_digest() {
        let images = [
            image("aaa111", &["localhost/os:latest", "quay.io/me/os:1"]),
            image("aaa222", &["docker.io/library/debian:12"]),
            image("bbb333", &[]),
        ];
        let find = |text: &str| {
            let found = Wanted::parse(text).find(&images).unwrap();
            found.map(|(image, name)| (image.id.as_str(), name.unwrap_or_default()))
        };
        for (text, found) in [
            ("os", Some(("aaa111", "localhost/os:latest"))),
            ("localhost/os", Some(("aaa111", "localhost/os:latest"))),
            ("quay.io/me/os:1", Some(("aaa111", "quay.io/me/os:1"))),
            ("debian:12", Some(("aaa222", "docker.io/library/debian:12"))),
            ("docker.io/debian:12", Some(("aaa222", "docker.io/library/debian:12"))),
            ("debian", None),
            ("bbb", Some(("bbb333", ""))),
            ("@bbb333", Some(("bbb333", ""))),
            ("aaa222", Some(("aaa222", "docker.io/library/debian:12"))),
            (&format!("quay.io/me/os@{}", digest("aaa111")), Some(("aaa111", "quay.io/me/os:1"))),
            (&format!("quay.io/me/os@{}", digest("aaa222")), None),
            ("bb", None),
        ] {
            assert_eq!(find(text), found, "{text}");
        }
        assert_eq!(Wanted::parse("aaa").find(&images).unwrap_err(), ["aaa111", "aaa222"]);
        assert_eq!(find("quay.io/me/os:1@aaa111"), Some(("aaa111", "quay.io/me/os:1")));
        assert_eq!(list(&images), "@bbb333, docker.io/library/debian:12, localhost/os:latest, quay.io/me/os:1");
    }

    #[test]
    fn layers_lie_on_their_parents() {
        let layer = |id: &str, parent: &str| {
            (
                id.to_owned(),
                LayerRecord { id: id.to_owned(), parent: Some(parent.to_owned()), ..LayerRecord::default() },
            )
        };
        let layers =
            BTreeMap::from([layer("a", ""), layer("b", "a"), layer("c", "d"), layer("d", "c"), layer("e", "x")]);
        let ids = |top: &str| {
            let found = chain(layers.clone(), Some(top.to_owned()));
            found.map(|chain| chain.into_iter().map(|layer| layer.id).collect::<String>())
        };
        assert_eq!((ids("b"), ids("")), (Ok("ab".to_owned()), Ok(String::new())));
        assert_eq!(ids("c"), Err(ChainError::Cycle("c".to_owned())));
        assert_eq!(ids("e"), Err(ChainError::Missing("x".to_owned())));
    }

    #[test]
    fn an_id_is_no_path() {
        for id in ["", "..", "a/b", "a\0", "ä", &"a".repeat(129)] {
            assert!(check_id("a layer", id).is_err(), "{id}");
        }
        check_id("a layer", &"a".repeat(64)).unwrap();
    }
}
