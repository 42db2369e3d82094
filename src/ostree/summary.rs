//! A repository's `summary`: its refs and static deltas in one file, `(a(s(taya{sv}))a{sv})` (libostree `ostree-repo.c`).

use std::collections::BTreeMap;

use super::variant_reader::{self, Member};
use super::{Checksum, Error};

/// What a server says of its repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Commits by ref.
    pub refs: BTreeMap<String, Checksum>,
    /// Refs of other collections that are mirrored here: collection, then ref.
    pub mirrored: BTreeMap<String, BTreeMap<String, Checksum>>,
    pub collection_id: Option<String>,
    /// Seconds since 1970; nobody should believe the summary afterwards.
    pub expires: Option<u64>,
    /// Checksums of superblocks by `TO` or `FROM-TO`.
    pub static_deltas: BTreeMap<String, Checksum>,
    /// Whether deltas are listed in files of their own, below `delta-indexes`.
    pub indexed_deltas: bool,
}

const VARIABLE: Member = Member::Variable(1);
const ALIGNED: Member = Member::Variable(8);

impl Summary {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let what = "it is not a (a(s(taya{sv}))a{sv}) of refs";
        Self::members(bytes).ok_or(Error::Object { object: "summary", len: bytes.len(), what })
    }

    /// The commit of a ref, or of one mirrored from a collection.
    pub fn commit(&self, collection: Option<&str>, name: &str) -> Option<Checksum> {
        match collection {
            Some(collection) if self.collection_id.as_deref() != Some(collection) => {
                self.mirrored.get(collection)?.get(name).copied()
            }
            _ => self.refs.get(name).copied(),
        }
    }

    /// All refs, those of other collections as `COLLECTION:REF`.
    pub fn names(&self) -> Vec<String> {
        let mirrored = self
            .mirrored
            .iter()
            .flat_map(|(collection, refs)| refs.keys().map(move |name| format!("{collection}:{name}")));
        self.refs.keys().cloned().chain(mirrored).collect()
    }

    fn members(bytes: &[u8]) -> Option<Self> {
        let [refs, metadata] = variant_reader::tuple(bytes, [ALIGNED, ALIGNED])?;
        let mut summary = Self { refs: read_refs(refs)?, ..Self::default() };
        for (key, type_string, value) in entries(metadata)? {
            match (key, type_string) {
                ("ostree.summary.collection-id", "s") => {
                    summary.collection_id = Some(variant_reader::string(value)?.to_owned());
                }
                ("ostree.summary.expires", "t") => {
                    summary.expires = Some(u64::from_be_bytes(value.try_into().ok()?));
                }
                ("ostree.summary.indexed-deltas", "b") => summary.indexed_deltas = value == [1],
                ("ostree.summary.collection-map", "a{sa(s(taya{sv}))}") => summary.mirrored = read_collections(value)?,
                ("ostree.static-deltas", "a{sv}") => summary.static_deltas = read_deltas(value)?,
                _ => {}
            }
        }
        Some(summary)
    }
}

/// Reads a file of `delta-indexes`: superblocks of the deltas that lead to one commit.
pub fn delta_index(bytes: &[u8]) -> Option<BTreeMap<String, Checksum>> {
    let entries = entries(bytes)?;
    let list = entries.iter().find(|(key, type_string, _)| (*key, *type_string) == ("ostree.static-deltas", "a{sv}"));
    list.map_or_else(|| Some(BTreeMap::new()), |(_, _, value)| read_deltas(value))
}

fn read_refs(bytes: &[u8]) -> Option<BTreeMap<String, Checksum>> {
    let mut refs = BTreeMap::new();
    for entry in variant_reader::array(bytes, 8)? {
        let [name, facts] = variant_reader::tuple(entry, [VARIABLE, ALIGNED])?;
        let [_size, checksum, _metadata] = variant_reader::tuple(facts, [Member::Fixed(8), VARIABLE, ALIGNED])?;
        refs.insert(variant_reader::string(name)?.to_owned(), Checksum(checksum.try_into().ok()?));
    }
    Some(refs)
}

fn read_collections(bytes: &[u8]) -> Option<BTreeMap<String, BTreeMap<String, Checksum>>> {
    let mut collections = BTreeMap::new();
    for entry in variant_reader::array(bytes, 8)? {
        let [name, refs] = variant_reader::tuple(entry, [VARIABLE, ALIGNED])?;
        collections.insert(variant_reader::string(name)?.to_owned(), read_refs(refs)?);
    }
    Some(collections)
}

fn read_deltas(bytes: &[u8]) -> Option<BTreeMap<String, Checksum>> {
    let mut deltas = BTreeMap::new();
    for (name, type_string, checksum) in entries(bytes)? {
        if type_string == "ay" {
            deltas.insert(name.to_owned(), Checksum(checksum.try_into().ok()?));
        }
    }
    Some(deltas)
}

/// Key, type and value of each entry of an `a{sv}`.
fn entries(bytes: &[u8]) -> Option<Vec<(&str, &str, &[u8])>> {
    let entry = |bytes| {
        let [key, value] = variant_reader::tuple(bytes, [VARIABLE, ALIGNED])?;
        let (type_string, value) = variant_reader::variant(value)?;
        Some((variant_reader::string(key)?, type_string, value))
    };
    variant_reader::array(bytes, 8)?.into_iter().map(entry).collect()
}
