//! Puts layers over each other as the importer does: `ostree checkout --union --whiteouts` of one layer after the other
//! (ostree-ext `container/store.rs`, libostree `ostree-repo-checkout.c`).
//!
//! In one directory the files come first, in byte order and with the whiteouts among them, then the subdirectories. So a layer
//! that has both `.wh.x` and a file `x` keeps `x` if it sorts after `.wh.x` (letters, digits) and loses it otherwise
//! (`.bashrc`). The OCI specification would keep it; this room does as upstream does, so that commit ids are equal.

use std::mem;

use super::mtree::MAX_DEPTH;
use super::{DirMeta, Directory, Error, Xattrs};

const WHITEOUT: &str = ".wh.";
const OPAQUE_WHITEOUT: &str = ".wh..wh..opq";

/// All layers as one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    pub root: Directory,
    /// Paths without leading `/` of directories whose owner, mode or xattrs an upper layer wanted to change, in vain.
    pub ignored_metadata: Vec<String>,
}

/// Merges derived layers, lowest first, over the tree of the base commit if there is one. Without a base the first layer makes
/// the root directory, so its root's metadata stays; without any layer the root is 0755 0:0.
pub fn merge_layers(base: Option<Directory>, layers: impl IntoIterator<Item = Directory>) -> Result<Merged, Error> {
    let mut layers = layers.into_iter().peekable();
    let first_meta = layers.peek().map(|layer| layer.meta.clone());
    let root_meta = first_meta.unwrap_or_else(|| DirMeta::new(0, 0, 0o755, Xattrs::default()));
    let root = base.unwrap_or_else(|| Directory::new(root_meta));
    let mut merged = Merged { root, ignored_metadata: Vec::new() };
    for layer in layers {
        merged.ignored_metadata.extend(merge(&mut merged.root, layer)?);
    }
    merged.ignored_metadata.sort();
    merged.ignored_metadata.dedup();
    Ok(merged)
}

/// Merges one layer over `dst`. A directory that exists keeps its owner, mode and xattrs (upstream's rule, not that of the OCI
/// specification): the answer lists the paths where that changes something, except for the root, whose metadata in a layer
/// nobody asked for.
pub fn merge(dst: &mut Directory, layer: Directory) -> Result<Vec<String>, Error> {
    let mut merge = Merge { path: Vec::new(), ignored_metadata: Vec::new() };
    merge.directory(dst, layer)?;
    Ok(merge.ignored_metadata)
}

struct Merge {
    path: Vec<String>,
    ignored_metadata: Vec<String>,
}

impl Merge {
    fn directory(&mut self, dst: &mut Directory, mut layer: Directory) -> Result<(), Error> {
        self.metadata(dst, &layer);
        self.files(dst, &mut layer)?;
        for (name, below) in mem::take(&mut layer.dirs) {
            dst.files.remove(&name);
            self.path.push(name.to_string());
            self.depth()?;
            let fresh = || Directory::new(below.meta.clone());
            self.directory(dst.dirs.entry(name).or_insert_with(fresh), below)?;
            self.path.pop();
        }
        Ok(())
    }

    fn metadata(&mut self, dst: &mut Directory, layer: &Directory) {
        if layer.files.contains_key(OPAQUE_WHITEOUT) {
            *dst = Directory::new(layer.meta.clone());
        } else if dst.meta != layer.meta && !self.path.is_empty() {
            self.ignored_metadata.push(self.path.join("/"));
        }
    }

    fn files(&self, dst: &mut Directory, layer: &mut Directory) -> Result<(), Error> {
        for (name, checksum) in mem::take(&mut layer.files) {
            match name.strip_prefix(WHITEOUT) {
                _ if &*name == OPAQUE_WHITEOUT => (),
                Some("" | "." | "..") => return Err(self.whiteout_of_nothing(&name)),
                Some(hidden) => dst.remove(hidden),
                None => {
                    dst.dirs.remove(&name);
                    dst.files.insert(name, checksum);
                }
            }
        }
        Ok(())
    }

    fn whiteout_of_nothing(&self, name: &str) -> Error {
        let path: Vec<&str> = self.path.iter().map(String::as_str).chain([name]).collect();
        Error::Whiteout { path: path.join("/") }
    }

    fn depth(&self) -> Result<(), Error> {
        match self.path.len() {
            depth if depth > MAX_DEPTH => Err(Error::TooDeep { path: self.path.join("/"), depth, limit: MAX_DEPTH }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Checksum, Name};
    use super::*;

    /// A tree from paths: `dir/` with mode 0755, `dir/!` with mode 0700, else a file whose object is `layer`.
    fn tree(layer: u8, paths: &[&str]) -> Directory {
        let mut root = directory(0o755);
        for path in paths {
            let (parents, last) = path.rsplit_once('/').unwrap_or(("", path));
            let parents = parents.split('/').filter(|name| !name.is_empty());
            let parent =
                parents.fold(&mut root, |above, name| above.dirs.entry(name_of(name)).or_insert(directory(0o755)));
            match last {
                "" => (),
                "!" => parent.meta = directory(0o700).meta,
                _ => drop(parent.files.insert(name_of(last), Checksum([layer; 32]))),
            }
        }
        root
    }

    fn directory(permissions: u32) -> Directory {
        Directory::new(DirMeta::new(0, 0, permissions, Xattrs::default()))
    }

    fn name_of(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn merged(lower: &[&str], upper: &[&str]) -> (Directory, Vec<String>) {
        let mut dst = tree(1, lower);
        let ignored = merge(&mut dst, tree(2, upper)).unwrap();
        (dst, ignored)
    }

    #[test]
    fn a_directory_over_a_file_replaces_it() {
        assert_eq!(merged(&["usr/x"], &["usr/x/y"]).0, tree(2, &["usr/x/y"]));
    }

    #[test]
    fn a_file_over_a_directory_replaces_it_with_everything_below() {
        assert_eq!(merged(&["usr/x/y/z"], &["usr/x"]).0, tree(2, &["usr/x"]));
    }

    #[test]
    fn a_directory_over_a_directory_keeps_the_lower_metadata_and_is_reported() {
        let (dst, ignored) = merged(&["a/!", "b/"], &["!", "a/", "b/!", "b/c/!"]);
        assert_eq!(dst, tree(1, &["a/!", "b/", "b/c/!"]));
        assert_eq!(ignored, ["a", "b"]);
    }

    #[test]
    fn an_opaque_whiteout_empties_the_directory_and_brings_its_own_metadata() {
        let (dst, ignored) = merged(&["a/b/c", "a/d"], &["a/.wh..wh..opq", "a/!", "a/b/"]);
        assert_eq!(dst, tree(2, &["a/!", "a/b/"]));
        assert!(ignored.is_empty());
    }

    #[test]
    fn a_whiteout_removes_a_file_and_a_directory() {
        assert_eq!(merged(&["a/b/c", "d", "e"], &[".wh.a", ".wh.d", ".wh.nothing"]).0, tree(1, &["e"]));
    }

    #[test]
    fn a_file_whited_out_and_readded_in_one_layer_is_lost_when_it_sorts_before_its_whiteout() {
        let upper = [".bashrc", ".wh..bashrc", ".wh.profile", "profile", ".wh.dir", "dir/"];
        assert_eq!(merged(&[".bashrc", "profile", "dir/old"], &upper).0, tree(2, &["profile", "dir/"]));
    }

    #[test]
    fn whiteouts_that_name_nothing_are_refused() {
        for whiteout in ["a/.wh.", "a/.wh..", "a/.wh..."] {
            let wrong = merge(&mut tree(1, &[]), tree(2, &[whiteout]));
            assert_eq!(wrong, Err(Error::Whiteout { path: whiteout.to_owned() }));
        }
    }

    #[test]
    fn without_a_base_the_first_layer_gives_the_root_its_metadata() {
        let merged = merge_layers(None, [tree(1, &["!", "a"]), tree(2, &["b"])]).unwrap();
        assert_eq!((merged.root.meta, merged.root.files.len()), (directory(0o700).meta, 2));
        assert_eq!(merge_layers(None, []).unwrap().root, directory(0o755));
    }
}
