//! The deployment of the test OS against its flattened root filesystem, as GNU tar unpacks it: every path, owner, mode, extended
//! attribute, link target and byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::walk::{self, Facts};
use crate::support::{disk, shelf, sysroot};
use qemu_tests::oracle;

/// What the disk's layout and the growing of the root add to the image's /etc.
const ADDED: [&str; 6] = [
    "fstab",
    "repart.d",
    "repart.d/50-root.conf",
    "systemd/system/bootwright-growfs.service",
    "systemd/system/efi.automount",
    "systemd/system/multi-user.target.wants/bootwright-growfs.service",
];

/// The root filesystem unpacked, once.
fn unpacked() -> PathBuf {
    oracle::needs_root("unpacking with owners");
    let tar = qemu_tests::test_os().unwrap().rootfs_tar;
    let recipe = tar.parent().unwrap().file_name().unwrap().to_str().unwrap();
    shelf::get(&format!("rootfs-{}", &recipe[..16]), |directory| {
        let args = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"].map(str::as_ref).into_iter();
        oracle::agrees(
            &oracle::tool("tar", "tar"),
            args.chain([tar.as_os_str(), "-C".as_ref(), directory.as_os_str()]),
        );
    })
}

/// Where a path of the image lies in its deployment; nothing for what is not kept.
fn deployed(path: &str) -> Option<String> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match first {
        "etc" => Some(format!("usr/{path}")),
        "run" | "tmp" | "proc" | "sys" | "dev" if !rest.is_empty() => None,
        _ => Some(path.to_owned()),
    }
}

fn deployed_map<T>(image: BTreeMap<String, T>) -> BTreeMap<String, T> {
    image.into_iter().filter_map(|(path, value)| Some((deployed(&path)?, value))).collect()
}

fn without_etc<T>(mut deployment: BTreeMap<String, T>) -> BTreeMap<String, T> {
    deployment.retain(|path, _| path != "etc" && !path.starts_with("etc/"));
    deployment
}

/// GNU tar leaves the directory it unpacks into as it was made.
fn root_as_ostree_has_it(facts: &mut BTreeMap<String, Facts>) {
    facts.get_mut("").unwrap().permissions = 0o755;
}

#[test]
fn every_path_has_its_kind_owner_mode_size_and_target() {
    let sysroot = sysroot::of(&disk::test_os());
    let mut expected = deployed_map(walk::facts(&unpacked()));
    root_as_ostree_has_it(&mut expected);
    let found = without_etc(walk::facts(&sysroot.deployment()));
    assert!(found.len() > 4000, "{} paths", found.len());
    walk::assert_same(&expected, &found);
}

#[test]
fn every_extended_attribute_is_there_and_no_other() {
    let sysroot = sysroot::of(&disk::test_os());
    let expected = deployed_map(walk::xattrs(&unpacked()));
    assert!(expected.contains_key("usr/libexec/smoke-cap"), "the judge must see a capability: {expected:?}");
    walk::assert_same(&expected, &without_etc(walk::xattrs(&sysroot.deployment())));
}

#[test]
fn every_file_has_its_bytes() {
    let sysroot = sysroot::of(&disk::test_os());
    let (image, deployment) = (unpacked(), sysroot.deployment());
    let mut compared = 0;
    for (path, metadata) in walk::tree(&image).iter().filter(|(_, metadata)| metadata.is_file()) {
        let Some(place) = deployed(path) else { continue };
        same_bytes(&image.join(path), &deployment.join(&place));
        compared += metadata.len();
    }
    assert!(compared > 200 << 20, "{compared} bytes");
}

fn same_bytes(one: &Path, other: &Path) {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(read(one) == read(other), "{} and {} differ", one.display(), other.display());
}

#[test]
fn etc_is_the_images_but_for_what_is_added() {
    let sysroot = sysroot::of(&disk::test_os());
    let (image, etc) = (unpacked().join("etc"), sysroot.deployment().join("etc"));
    let strip = |mut facts: BTreeMap<String, Facts>| {
        ADDED.iter().for_each(|path| drop(facts.remove(*path)));
        facts
    };
    walk::assert_same(&strip(walk::facts(&image)), &strip(walk::facts(&etc)));
    walk::assert_same(&walk::xattrs(&image), &walk::xattrs(&etc));
    for (path, metadata) in walk::tree(&image) {
        if metadata.is_file() && !ADDED.contains(&path.as_str()) {
            same_bytes(&image.join(&path), &etc.join(&path));
        }
    }
}
