//! From layers that have been read to what the image consists of.

use std::collections::BTreeMap;

use super::Result;
use super::encapsulated::{self, Composition};
use crate::image::{Base, BaseLayer, Layer, LayerBlob, Objects};
use crate::layer::Unpacked;
use crate::ostree::Node;

/// The parts of an image that come out of its layers.
pub struct Assembled {
    pub base: Option<Base>,
    pub layers: Vec<Layer>,
    pub objects: Objects,
    pub warnings: Vec<String>,
}

/// Takes the layers in the manifest's order.
pub fn assemble(
    composition: Composition,
    read: impl Iterator<Item = (LayerBlob, Unpacked)>,
    labels: &BTreeMap<String, String>,
) -> Result<Assembled> {
    let (mut commit, mut of_base, mut layers) = (None, Vec::new(), Vec::new());
    let mut objects = Objects::default();
    for (index, (blob, unpacked)) in read.enumerate() {
        let files = match unpacked {
            Unpacked::Derived(applied) => {
                layers.push(Layer { blob, tree: applied.tree });
                objects.add_layer(index, applied.objects);
                continue;
            }
            Unpacked::Commit(layer) => {
                commit = Some((layer.commit, layer.metadata));
                layer.objects
            }
            Unpacked::Component(files) => files,
        };
        of_base.push(BaseLayer { blob, files: files.iter().map(|(checksum, _)| *checksum).collect() });
        objects.add_layer(index, files);
    }
    let base = match commit {
        Some((commit, metadata)) => Some(encapsulated::base(labels, commit, metadata, of_base, &objects)?),
        None => None,
    };
    let warnings = if composition == Composition::Lost { vec![lost(&layers)?] } else { Vec::new() };
    Ok(Assembled { base, layers, objects, warnings })
}

/// An image whose commit was lost still has the files at their places, for containers.
fn lost(layers: &[Layer]) -> Result<String> {
    let is_system = |layer: &Layer| matches!(layer.tree.lookup("usr"), Some(Node::Directory(_)));
    if !layers.iter().any(is_system) {
        return Err(encapsulated::Error::Lost { layers: layers.len() }.into());
    }
    let text = "the image's label `ostree.final-diffid` names none of its layers: the ostree commit that it was made of is lost, \
                and its files are taken as those of any other image";
    Ok(text.to_owned())
}
