//! The deployment's `.ostree.cfs`: when there is one, and what the kernel sees in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::disk::{self, Disks};
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::mounted;
use crate::support::sysroot::{self, Sysroot};
use crate::support::tar::{Entry, directory, file, symlink};
use crate::support::walk::{self, Facts};
use qemu_tests::oracle;

/// A built mini image: its mounted sysroot, and the directory that has to outlive it.
struct Built {
    sysroot: Sysroot,
    _directory: tempfile::TempDir,
}

fn build(entries: impl Into<Vec<Entry>>) -> Built {
    let directory = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().with(entries).write(&directory.path().join("image"));
    let layout = small_partitions(directory.path());
    let disks: Disks =
        disk::build_into(&image.reference(), &directory.path().join("out"), &["--layout", &layout, "--no-checksums"]);
    Built { sysroot: sysroot::of(&disks), _directory: directory }
}

fn prepare_root(mode: &str) -> Entry {
    file("usr/lib/ostree/prepare-root.conf", format!("[composefs]\nenabled={mode}\n"))
}

/// A libostree that needs `dependency`, made by the C compiler.
fn libostree_with(dependency: &str) -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let gcc = oracle::tool("gcc", "gcc");
    let path = |name: &str| scratch.path().join(name).display().to_string();
    fs::write(path("empty.c"), "").unwrap();
    let soname = format!("-Wl,-soname,{dependency}");
    oracle::agrees(&gcc, ["-shared", "-o", &path("libneeded.so"), &path("empty.c"), &soname]);
    let (library, search) = (path("libostree-1.so.1"), format!("-L{}", scratch.path().display()));
    oracle::agrees(&gcc, ["-shared", "-o", &library, &path("empty.c"), &search, "-Wl,--no-as-needed", "-lneeded"]);
    fs::read(library).unwrap()
}

fn has_image(built: &Built) -> bool {
    built.sysroot.deployment().join(".ostree.cfs").is_file()
}

/// What the kernel sees in the image itself, without the whiteouts `00` to `ff` that hide the objects' directories in an overlay.
fn image_facts(image: &Path) -> BTreeMap<String, Facts> {
    let mut facts = walk::facts(image);
    for first in 0..=255 {
        assert_eq!(facts.remove(&format!("{first:02x}")).map(|facts| facts.kind), Some("character device"));
    }
    facts
}

/// The deployment as composefs shows it: /etc is empty there, and the image is not in itself.
fn as_composefs_shows(deployment: &Path) -> BTreeMap<String, Facts> {
    let mut facts = walk::facts(deployment);
    facts.retain(|path, _| !path.starts_with("etc/") && path != ".ostree.cfs");
    facts
}

#[test]
fn prepare_root_decides_whether_there_is_an_image() {
    for (mode, expected) in [("yes", true), ("maybe", true), ("true", true), ("no", false)] {
        assert_eq!(has_image(&build([prepare_root(mode)])), expected, "enabled={mode}");
    }
}

#[test]
fn configuration_in_etc_wins_over_the_vendors() {
    let etc = [directory("etc/ostree"), file("etc/ostree/prepare-root.conf", "[composefs]\nenabled=no\n")];
    assert!(!has_image(&build([vec![prepare_root("yes")], etc.to_vec()].concat())));
}

#[test]
fn a_libostree_that_links_libcomposefs_gets_an_image() {
    for (dependency, expected) in [("libcomposefs.so.1", true), ("libcurl.so.4", false)] {
        let place = "usr/lib/x86_64-linux-gnu";
        let entries = [directory(place), file(&format!("{place}/libostree-1.so.1"), libostree_with(dependency))];
        assert_eq!(has_image(&build(entries)), expected, "{dependency}");
    }
}

#[test]
fn the_kernel_mounts_it_and_sees_the_deployment() {
    let many = (0..700).map(|n| file(&format!("usr/share/many/a-rather-long-name-{n:04}"), "x".repeat(n)));
    let mut entries = vec![prepare_root("yes"), directory("usr/share/many").mode(0o2775).owner(3, 4)];
    entries.extend(many);
    entries.extend([
        file("usr/share/large", b"0123456789abcdef".repeat(200_000)),
        symlink("usr/share/long-link", &"../".repeat(33)),
        file("usr/share/attributes", "x").xattr("user.word", b"value"),
    ]);
    let built = build(entries);
    let deployment = built.sysroot.deployment();
    let image = mounted::read_only(&deployment.join(".ostree.cfs"));
    walk::assert_same(&as_composefs_shows(&deployment), &image_facts(image.path()));
}

#[test]
fn files_redirect_to_their_objects() {
    let built = build([prepare_root("yes")]);
    let image = mounted::read_only(&built.sysroot.deployment().join(".ostree.cfs"));
    let getfattr = oracle::tool("getfattr", "attr");
    let path = image.join("usr/share/one");
    let args = ["-n", "trusted.overlay.redirect", "--only-values", "--absolute-names", path.to_str().unwrap()];
    let redirect = oracle::agrees(&getfattr, args);
    let object = built.sysroot.join(&format!("ostree/repo/objects/{}", redirect.trim_start_matches('/')));
    assert_eq!(fs::read_to_string(object).unwrap(), "two names\n");
}

#[test]
fn an_overlay_of_image_and_objects_shows_every_byte() {
    let built = build([prepare_root("yes")]);
    let deployment = built.sysroot.deployment();
    let image = mounted::read_only(&deployment.join(".ostree.cfs"));
    let objects = built.sysroot.join("ostree/repo/objects");
    let overlay = mounted::overlay(image.path(), &objects);
    walk::assert_same(&as_composefs_shows(&deployment), &walk::facts(overlay.path()));
    for (path, metadata) in walk::tree(overlay.path()) {
        if metadata.is_file() {
            assert!(fs::read(overlay.join(&path)).unwrap() == fs::read(deployment.join(&path)).unwrap(), "{path}");
        }
    }
}
