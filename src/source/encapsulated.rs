//! The ostree commit that an image encapsulates: which of its layers hold it, and whether it is whole (ostree-ext
//! `container/store.rs`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::ostree::{self, Directories};
use crate::image::{Base, BaseLayer, Objects};
use crate::layer::Role;
use crate::ostree::{Checksum, Commit, ObjectKind, ObjectName, Signatures};

/// The diff_id of the last layer that holds objects of the commit.
const FINAL_DIFF_ID: &str = "ostree.final-diffid";
const COMMIT: &str = "ostree.commit";

/// Everything that is refused here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the image's label `{FINAL_DIFF_ID}` names {diff_id}, which {count} of its layers have")]
    Ambiguous { diff_id: String, count: usize },

    #[error(
        "the image's label `{FINAL_DIFF_ID}` names none of its {layers} layers, so its ostree commit cannot be put together, and \
         no layer has a directory `usr` to take in its place"
    )]
    Lost { layers: usize },

    #[error("the image's label `{COMMIT}` is {label}, and the commit in its layers is {found}")]
    AnotherCommit { label: String, found: Checksum },

    #[error(
        "the image's {layers} ostree layers lack {count} of the objects of the commit {commit}; the first is {first}"
    )]
    Incomplete { commit: Checksum, layers: usize, count: usize, first: ObjectName },

    #[error(transparent)]
    Commit(Box<ostree::Error>),
}

type Result<T> = std::result::Result<T, Error>;

impl From<ostree::Error> for Error {
    fn from(error: ostree::Error) -> Self {
        Self::Commit(Box::new(error))
    }
}

/// How an image is composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composition {
    /// Every layer is a derived one.
    Plain,
    /// So many of the lowest layers hold a commit.
    Encapsulated(usize),
    /// There was a commit, and other layers have taken the place of those that held it.
    Lost,
}

impl Composition {
    /// As the labels say it; `diff_ids` are those of the layers.
    pub fn of(labels: &BTreeMap<String, String>, diff_ids: &[String]) -> Result<Self> {
        let Some(last) = labels.get(FINAL_DIFF_ID) else { return Ok(Self::Plain) };
        let mut found = diff_ids.iter().enumerate().filter(|(_, diff_id)| *diff_id == last);
        match (found.next(), found.count()) {
            (None, _) => Ok(Self::Lost),
            (Some((index, _)), 0) => Ok(Self::Encapsulated(index + 1)),
            (Some(_), more) => Err(Error::Ambiguous { diff_id: last.clone(), count: more + 1 }),
        }
    }

    pub fn role(self, layer: usize) -> Role {
        match self {
            Self::Encapsulated(_) if layer == 0 => Role::Commit,
            Self::Encapsulated(count) if layer < count => Role::Component,
            _ => Role::Derived,
        }
    }
}

/// A commit out of the layers that hold it, `layers`. All files that it may have are in `objects`, all else in `metadata`.
pub fn base(
    labels: &BTreeMap<String, String>,
    commit: Checksum,
    mut metadata: BTreeMap<ObjectName, Vec<u8>>,
    mut layers: Vec<BaseLayer>,
    objects: &Objects,
) -> Result<Base> {
    if let Some(label) = labels.get(COMMIT).filter(|label| **label != commit.to_string()) {
        return Err(Error::AnotherCommit { label: label.clone(), found: commit });
    }
    let mut kept = BTreeMap::new();
    for kind in [ObjectKind::Commit, ObjectKind::CommitMeta] {
        kept.extend(metadata.remove_entry(&ObjectName { checksum: commit, kind }));
    }
    let parsed = parse(&kept)?;
    let mut found = Reached::default();
    found.walk(&parsed, &mut metadata, objects)?;
    if let Some(&first) = found.missing.first() {
        return Err(Error::Incomplete { commit, layers: layers.len(), count: found.missing.len(), first });
    }
    let mut files = BTreeSet::new();
    let root = found.directories.tree(&parsed, &mut |_, checksum| {
        files.insert(checksum);
    })?;
    kept.extend(found.directories.objects);
    // Nothing refers to what else lies in the commit layer. Of the other layers every object is a part of a commit of its own.
    if let Some(commit_layer) = layers.first_mut() {
        commit_layer.files.retain(|file| files.contains(file));
    }
    Ok(Base { commit, root, metadata: kept, layers })
}

/// The commit and its signatures have to be what they are called.
fn parse(objects: &BTreeMap<ObjectName, Vec<u8>>) -> Result<Commit> {
    let mut commit = None;
    for (&object, bytes) in objects {
        let broken = |source| ostree::Error::Object { object, source };
        if object.kind == ObjectKind::Commit {
            commit = Some(Commit::parse(bytes).map_err(broken)?);
        } else {
            Signatures::parse(bytes).map_err(broken)?;
        }
    }
    // OK to expect: reading the commit layer has failed where there is none.
    Ok(commit.expect("a commit layer with its commit"))
}

/// What a commit leads to.
#[derive(Default)]
struct Reached {
    directories: Directories,
    missing: Vec<ObjectName>,
}

impl Reached {
    /// Looks at every object once, and takes directories out of `metadata`.
    fn walk(
        &mut self,
        commit: &Commit,
        metadata: &mut BTreeMap<ObjectName, Vec<u8>>,
        objects: &Objects,
    ) -> std::result::Result<(), ostree::Error> {
        let object = |checksum, kind| ObjectName { checksum, kind };
        let mut seen = HashSet::new(); // looked up only, so its order does not show
        let mut left =
            vec![object(commit.root_tree, ObjectKind::DirTree), object(commit.root_meta, ObjectKind::DirMeta)];
        while let Some(name) = left.pop() {
            if !seen.insert(name) {
                continue;
            }
            match metadata.remove(&name) {
                Some(bytes) => {
                    let (directories, files) = self.directories.add(name, bytes)?;
                    left.extend(files.into_iter().chain(directories));
                }
                None if name.kind == ObjectKind::File && objects.get(&name.checksum).is_some() => {}
                None => self.missing.push(name),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(last: Option<&str>, diff_ids: &[&str]) -> std::result::Result<Composition, String> {
        let labels = last.map(|last| (FINAL_DIFF_ID.to_owned(), last.to_owned())).into_iter().collect();
        let diff_ids: Vec<_> = diff_ids.iter().map(|text| (*text).to_owned()).collect();
        Composition::of(&labels, &diff_ids).map_err(|error| error.to_string())
    }

    #[test]
    fn the_label_tells_the_roles_of_the_layers() {
        let roles = |composition: Composition| [0, 1, 2].map(|layer| composition.role(layer));
        let encapsulated = of(Some("b"), &["a", "b", "c"]).unwrap();
        assert_eq!(roles(encapsulated), [Role::Commit, Role::Component, Role::Derived]);
        assert_eq!(roles(of(Some("a"), &["a", "b", "c"]).unwrap()), [Role::Commit, Role::Derived, Role::Derived]);
        assert_eq!(roles(of(None, &["a", "b", "c"]).unwrap()), [Role::Derived; 3]);
        assert_eq!(of(Some("x"), &["a"]), Ok(Composition::Lost));
        assert!(of(Some("a"), &["a", "b", "a"]).unwrap_err().ends_with("names a, which 2 of its layers have"));
    }
}
