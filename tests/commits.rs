//! Commit ids, computed a second time by the `ostree` program from the layers' tar streams: the ids that bootc's importer gives.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::support::importer::{Judge, facts, filtered, printed};
use crate::support::mini_image::{self, Layout, MiniImage, Packing, small_partitions};
use crate::support::tar::{directory, fifo, file, hardlink, stream, symlink};
use serde_json::Value;

/// Compares what is printed for an image with what `ostree` makes of its layers.
fn agree(image: &MiniImage) {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image.write(&scratch.path().join("image"));
    let judge = Judge::new(mini_image::CREATED_SECONDS);
    let tar = scratch.path().join("layer.tar");
    let mut expected = Vec::new();
    for (_, entries) in &image.layers {
        fs::write(&tar, stream(&filtered(entries))).unwrap();
        expected.push(judge.layer(&tar, &[]));
    }
    let (layers, merged) = printed(&layout.reference(), &["--layout", &small_partitions(scratch.path())]);
    assert_eq!(layers, expected);
    assert_eq!(merged, judge.merge(&expected, &facts(&layout)));
}

#[test]
fn one_layer_has_the_ids_that_ostree_computes() {
    agree(&MiniImage::bootable());
}

#[test]
fn parents_that_a_layer_does_not_bring_take_the_owner_of_what_needs_them() {
    agree(
        &MiniImage::bootable()
            .with([file("usr/share/new/deep/file", "x").owner(12, 34), file("opt/vendor/tool", "y").owner(5, 6)]),
    );
}

#[test]
fn whiteouts_and_opaque_directories_take_away_what_lies_below() {
    let lower = [
        directory("usr/share/opaque"),
        file("usr/share/opaque/old", "old"),
        directory("usr/share/gone"),
        file("usr/share/gone/file", "x"),
        file("usr/share/removed", "x"),
        directory("usr/share/becomes-file"),
    ];
    let upper = [
        directory("usr/share"),
        file("usr/share/.wh.removed", ""),
        file("usr/share/.wh.gone", ""),
        directory("usr/share/opaque"),
        file("usr/share/opaque/.wh..wh..opq", ""),
        file("usr/share/opaque/new", "new"),
        file("usr/share/becomes-file", "now a file"),
    ];
    agree(&MiniImage::bootable().layer(Packing::Zstd, lower).layer(Packing::Plain, upper));
}

#[test]
fn directories_keep_the_metadata_of_the_lowest_layer() {
    let lower = [directory("usr/share/kept").mode(0o750).owner(1, 2)];
    agree(&MiniImage::bootable().with(lower).with([directory("usr/share/kept").mode(0o777).owner(3, 4)]));
}

#[test]
fn owners_modes_and_attributes_of_files_are_in_the_ids() {
    agree(&MiniImage::bootable().with([
        directory("usr/share").owner(0, 50),
        file("usr/share/sticky", "x").mode(0o6755).owner(1000, 100_000),
        file("usr/share/attributes", "x").xattr("user.b", b"2").xattr("user.a", b"1"),
        symlink("usr/share/owned-link", "../nowhere").owner(9, 9),
        hardlink("usr/share/attributes-too", "usr/share/attributes"),
    ]));
}

#[test]
fn what_is_made_at_run_time_is_left_out() {
    agree(&MiniImage::bootable().with([
        file("run/state", "x"),
        fifo("dev/initctl"),
        file("tmp/scratch", "x"),
        file("etc/added", "x"),
        file("var/lib/mini/more", "x"),
        directory("srv").mode(0o700),
    ]));
}

#[test]
fn empty_layers_and_layers_listed_twice_are_commits_too() {
    let twice = [directory("usr"), file("usr/again", "x")];
    agree(&MiniImage::bootable().with([]).with(twice.clone()).with(twice));
}

#[test]
fn empty_files_that_podman_leaves_in_etc_are_not_merged() {
    let scratch = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().with([file("etc/hostname", ""), file("etc/resolv.conf", "")]);
    let layout = image.write(&scratch.path().join("image"));
    let judge = Judge::new(mini_image::CREATED_SECONDS);
    let tar = scratch.path().join("layer.tar");
    fs::write(&tar, stream(&filtered(&image.layers[0].1))).unwrap();
    let base = judge.layer(&tar, &[]);
    let (_, merged) = printed(&layout.reference(), &["--layout", &small_partitions(scratch.path())]);
    assert_eq!(merged, judge.merge(&[base], &facts(&layout)));
}

#[test]
fn the_test_os_has_the_ids_that_ostree_computes() {
    let oci = qemu_tests::test_os().unwrap().oci;
    let read = |digest: &str| fs::read_to_string(oci.join("blobs/sha256").join(&digest[7..])).unwrap();
    let index: Value = serde_json::from_slice(&fs::read(oci.join("index.json")).unwrap()).unwrap();
    let manifest_digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let manifest = read(&manifest_digest);
    let parsed: Value = serde_json::from_str(&manifest).unwrap();
    let config = read(parsed["config"]["digest"].as_str().unwrap());
    let layout = Layout { manifest, manifest_digest, config, ..Layout::default() };

    let judge = Judge::new(1_767_225_600); // 2026-01-01T00:00:00Z
    let mut expected = Vec::new();
    for layer in parsed["layers"].as_array().unwrap() {
        let tar =
            unzip(&oci.join("blobs/sha256").join(&layer["digest"].as_str().unwrap()[7..]), judge.directory.path());
        expected.push(judge.layer(&tar, &["--tar-pathname-filter=^etc,usr/etc"]));
    }
    let (layers, merged) = printed(&format!("oci:{}", oci.display()), &[]);
    assert_eq!(layers, expected);
    assert_eq!(merged, judge.merge(&expected, &facts(&layout)));
}

fn unzip(blob: &Path, into: &Path) -> PathBuf {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(blob).unwrap()).read_to_end(&mut bytes).unwrap();
    let tar = into.join("layer.tar");
    fs::write(&tar, bytes).unwrap();
    tar
}
