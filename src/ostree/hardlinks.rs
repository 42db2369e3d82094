//! Hard links of a layer, resolved when all of its entries are known: to the object that the target's name has in the end.
//!
//! libostree fails at a hard link to a hard link; here chains are followed. Links into lower layers are errors, as upstream.

use std::collections::BTreeMap;

use super::layer_tree::{Branch, LayerNode};
use super::name::path_text;
use super::{Checksum, Error, Name};

type Path = Vec<Name>;

/// The objects of all hard links, in the order of a walk through the layer by names.
pub(super) fn resolve(root: &Branch) -> Result<Vec<Checksum>, Error> {
    let mut links = Vec::new();
    collect(root, &mut Vec::new(), &mut links);
    let mut resolver = Resolver { root, known: BTreeMap::new(), count: links.len() };
    links.iter().map(|(path, target)| resolver.follow(path, target)).collect()
}

fn collect<'a>(branch: &'a Branch, at: &mut Path, links: &mut Vec<(Path, &'a [Name])>) {
    for (name, node) in &branch.nodes {
        at.push(name.clone());
        match node {
            LayerNode::Hardlink(target) => links.push((at.clone(), target)),
            LayerNode::Directory(below) => collect(below, at, links),
            LayerNode::File(_) => (),
        }
        at.pop();
    }
}

struct Resolver<'a> {
    root: &'a Branch,
    /// Objects by the targets that led to them, so that long chains are not walked again and again.
    known: BTreeMap<&'a [Name], Checksum>,
    count: usize,
}

impl<'a> Resolver<'a> {
    fn follow(&mut self, path: &[Name], target: &'a [Name]) -> Result<Checksum, Error> {
        let mut trail = vec![target];
        let mut link = path;
        let mut at = target;
        let checksum = loop {
            if let Some(&checksum) = self.known.get(at) {
                break checksum;
            }
            match self.root.node(at) {
                Some(LayerNode::File(checksum)) => break *checksum,
                Some(LayerNode::Hardlink(_)) if trail.len() > self.count => {
                    return Err(Error::HardlinkLoop { path: path_text(path), target: path_text(target) });
                }
                Some(LayerNode::Hardlink(next)) => (link, at) = (at, next),
                Some(LayerNode::Directory(_)) | None => {
                    return Err(Error::HardlinkTarget { path: path_text(link), target: path_text(at) });
                }
            }
            trail.push(at);
        };
        self.known.extend(trail.into_iter().map(|target| (target, checksum)));
        Ok(checksum)
    }
}
