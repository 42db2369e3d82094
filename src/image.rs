//! What was read of a source: a container image with its layers as trees, and the objects that trees are made of.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use crate::container_trust::Accepted;
use crate::digest::Digest;
use crate::ostree::object::S_IFREG;
use crate::ostree::{Checksum, Directory, ObjectName, Xattrs};
use crate::spool::{Content, Spool};

/// A verified image: every digest, size and diff_id in it was compared.
#[derive(Debug)]
pub struct Image {
    /// The platform manifest, byte for byte; OCI or Docker schema 2.
    pub manifest: Vec<u8>,
    pub manifest_digest: Digest,
    /// The config, byte for byte.
    pub config: Vec<u8>,
    /// As the config has it, in the words of Go: `amd64`, `arm64`.
    pub architecture: String,
    /// Labels of the config.
    pub labels: BTreeMap<String, String>,
    /// `created` of the config, as found.
    pub created: Option<String>,
    /// Annotation `org.opencontainers.image.ref.name` of the entry in the layout's index, or the reference in the registry.
    pub ref_name: Option<String>,
    /// By which policy it was accepted, where one was asked.
    pub accepted: Option<Accepted>,
    /// The ostree commit that the image was made of, where it is one of these.
    pub base: Option<Base>,
    /// All layers, or those over the base; as in the manifest, the lowest first.
    pub layers: Vec<Layer>,
    pub contents: Contents,
    /// What its owner should know of it.
    pub warnings: Vec<String>,
}

impl Image {
    /// Of all layers, as in the manifest.
    pub fn blobs(&self) -> impl Iterator<Item = &LayerBlob> {
        let base = self.base.iter().flat_map(|base| &base.layers).map(|layer| &layer.blob);
        base.chain(self.layers.iter().map(|layer| &layer.blob))
    }

    /// Drops the objects that no tree and no layer of the base has.
    pub fn drop_unnamed_objects(&mut self) {
        let mut named = HashSet::new(); // looked up only, so its order does not show
        if let Some(base) = &self.base {
            collect(&base.root, &mut named);
            named.extend(base.layers.iter().flat_map(|layer| &layer.files));
        }
        self.layers.iter().for_each(|layer| collect(&layer.tree, &mut named));
        self.contents.objects.keep_only(&named);
    }
}

/// An ostree commit in the lower layers of an image, with every object that it needs.
#[derive(Debug)]
pub struct Base {
    pub commit: Checksum,
    /// What the other layers come over: the tree of the commit, until it is labelled anew.
    pub root: Directory,
    /// Every object of the commit but files: itself, its signatures and its directories.
    pub metadata: BTreeMap<ObjectName, Vec<u8>>,
    /// The commit layer, then the component layers.
    pub layers: Vec<BaseLayer>,
}

/// One layer that holds objects of the base.
#[derive(Debug)]
pub struct BaseLayer {
    pub blob: LayerBlob,
    /// The files in it.
    pub files: BTreeSet<Checksum>,
}

/// Files and symbolic links, whatever they came out of.
#[derive(Debug)]
pub struct Contents {
    pub objects: Objects,
    /// Where the bytes of the objects are.
    pub spool: Spool,
}

/// One layer of an image as a tree.
#[derive(Debug)]
pub struct Layer {
    pub blob: LayerBlob,
    /// Whiteouts are ordinary files in it.
    pub tree: Directory,
}

/// Where a layer came from.
#[derive(Clone, Debug)]
pub struct LayerBlob {
    pub digest: Digest,
    pub diff_id: Digest,
    pub media_type: String,
    /// Bytes of the blob, as the manifest says.
    pub compressed: u64,
    /// Bytes of what it inflates to.
    pub uncompressed: u64,
}

/// A regular file or a symbolic link, as ostree knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub uid: u32,
    pub gid: u32,
    /// With the type bits.
    pub mode: u32,
    pub xattrs: Xattrs,
    pub payload: Payload,
}

impl Object {
    /// Bytes of the content.
    pub fn len(&self) -> u64 {
        match &self.payload {
            Payload::Regular(content) => content.len,
            Payload::Symlink(_) => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says that the content lies `by` bytes further back in its spool. An empty one lies nowhere.
    pub fn move_content(&mut self, by: u64) {
        if let Payload::Regular(content) = &mut self.payload
            && content.len > 0
        {
            content.at += by;
        }
    }

    /// In place of a file whose content nobody asked for.
    pub fn unread() -> Self {
        let payload = Payload::Regular(Content::default());
        Self { uid: 0, gid: 0, mode: S_IFREG | 0o644, xattrs: Xattrs::default(), payload }
    }
}

/// What is in an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    Regular(Content),
    /// The target.
    Symlink(Box<[u8]>),
}

/// Where an object was first met: which layer, and the how-manieth new object of it. The order in which contents came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    pub layer: usize,
    pub sequence: usize,
}

/// All objects of an image by their checksums. Of equal objects the one of the lowest layer is kept.
#[derive(Debug, Default)]
pub struct Objects(BTreeMap<Checksum, (Order, Object)>);

impl Objects {
    /// Adds the objects of the next higher layer, in their order.
    pub fn add_layer(&mut self, layer: usize, objects: impl IntoIterator<Item = (Checksum, Object)>) {
        for (sequence, (checksum, object)) in objects.into_iter().enumerate() {
            self.0.entry(checksum).or_insert((Order { layer, sequence }, object));
        }
    }

    /// Puts new objects in the place of old ones, which stay: each is met where its old one was.
    pub fn replace(&mut self, objects: impl IntoIterator<Item = (Checksum, (Checksum, Object))>) {
        for (old, (new, object)) in objects {
            if let Some((order, _)) = self.0.get(&old) {
                let order = *order;
                self.0.entry(new).or_insert((order, object));
            }
        }
    }

    fn keep_only(&mut self, named: &HashSet<Checksum>) {
        self.0.retain(|checksum, _| named.contains(checksum));
    }

    pub fn get(&self, checksum: &Checksum) -> Option<&Object> {
        self.0.get(checksum).map(|(_, object)| object)
    }

    /// Where in the image the object came from.
    pub fn order(&self, checksum: &Checksum) -> Option<Order> {
        self.0.get(checksum).map(|(order, _)| *order)
    }

    /// By checksum.
    pub fn iter(&self) -> impl Iterator<Item = (&Checksum, &Object)> {
        self.0.iter().map(|(checksum, (_, object))| (checksum, object))
    }

    /// In the order in which the layers brought them.
    pub fn in_import_order(&self) -> impl Iterator<Item = &Object> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_unstable_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, object)| object)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn collect(tree: &Directory, wanted: &mut HashSet<Checksum>) {
    wanted.extend(tree.files.values());
    tree.dirs.values().for_each(|below| collect(below, wanted));
}
