//! Images out of Docker archives, directories of skopeo and container stores. skopeo, podman and buildah write them; what skopeo
//! makes of the same place is what has to be read.

mod broken_store;
mod dir;
mod docker_archive;
mod odd_stores;
mod rootless;
mod storage;

use std::io::Read;

use crate::layout;
use crate::layout::{Layer, Layout, load};
use crate::support::tar::{directory, file, hardlink, stream, symlink};
use bootwright::digest::Digest;
use bootwright::image::Image;
use bootwright::source::{self, Limits, Platform};

/// A layer with what is hard to keep: long names, links, extended attributes, odd sizes, bytes behind the end of the archive.
fn rich() -> Vec<u8> {
    let long = format!("usr/{}/{}", "a".repeat(90), "b".repeat(120));
    let mut entries = vec![directory("usr"), directory(long.rsplit_once('/').unwrap().0), file(&long, "long name")];
    for size in [0, 1, 511, 512, 513, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|at: usize| (at * 7 % 251) as u8).collect();
        entries.push(file(&format!("usr/size-{size}"), bytes).owner(1000, 100));
    }
    entries.extend([
        file("usr/ping", "capable")
            .mode(0o755)
            .xattr("security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        file("usr/su", "setuid").mode(0o4755),
        file("usr/ümlaut \"quoted\" <&>", "odd name"),
        hardlink("usr/again", "usr/size-513"),
        symlink("usr/away", "../../etc/passwd"),
        directory("usr/full"),
        file("usr/full/old", "old"),
        file("usr/gone", "gone").mode(0),
    ]);
    let mut tar = stream(&entries);
    tar.resize(tar.len().next_multiple_of(10240), 0);
    tar.extend_from_slice(b"bytes behind the end");
    tar
}

/// Takes away what the first one brought.
fn whiteouts() -> Vec<u8> {
    stream(&[
        directory("usr"),
        file("usr/.wh.gone", ""),
        directory("usr/full"),
        file("usr/full/.wh..wh..opq", ""),
        file("usr/full/new", "new"),
        file("usr/size-1", "changed"),
    ])
}

fn layout() -> Layout {
    Layout::of(&[Layer::gzip(&rich()), Layer::zstd(&whiteouts()), Layer::plain(&one_file("third"))])
}

/// Docker's manifest knows no zstd.
fn layout_for_docker() -> Layout {
    Layout::of(&[Layer::gzip(&rich()), Layer::gzip(&whiteouts()), Layer::plain(&one_file("third"))])
}

fn one_file(text: &str) -> Vec<u8> {
    stream(&[directory("usr"), file("usr/file", text)])
}

fn refusal(image: &str) -> String {
    load(image, None).expect_err("a refusal").to_string()
}

/// What does not depend on how the layers were compressed: their diff_ids, and the checksums of their trees.
fn facts(image: &Image) -> Vec<(Digest, String)> {
    let tree = |layer: &bootwright::image::Layer| {
        let (tree, meta) = layer.tree.write(&mut |_, _| ());
        format!("{tree} {meta}")
    };
    image.layers.iter().map(|layer| (layer.blob.diff_id, tree(layer))).collect()
}

/// The layers as the source keeps them.
fn blobs(image: &str) -> Vec<Vec<u8>> {
    let source = source::open(&image.parse().unwrap(), &Default::default()).unwrap();
    let resolved = source.resolve(&Platform::default(), &Limits::default()).unwrap();
    let manifest = serde_json::from_slice(&resolved.manifest).unwrap();
    let config = serde_json::from_slice(&resolved.config).unwrap();
    let kept = source.kept(&manifest, &config).unwrap();
    let read = |descriptor| {
        let mut bytes = Vec::new();
        source.blob(descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    kept.iter().map(read).collect()
}
