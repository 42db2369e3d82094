//! The test system as other people's tools see it: skopeo reads the image, tar the layers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use qemu_tests::{TestOs, oracle, test_os};
use serde_json::Value;

fn os() -> TestOs {
    test_os().unwrap_or_else(|error| panic!("{error:#}"))
}

fn skopeo_inspect(oci: &Path) -> Value {
    let image = format!("oci:{}:latest", oci.display());
    serde_json::from_str(&oracle::agrees(&oracle::tool("skopeo", "skopeo"), ["inspect", &image])).unwrap()
}

/// The blobs of the layers, lowest first.
fn layers(oci: &Path) -> Vec<PathBuf> {
    let digests = skopeo_inspect(oci)["Layers"].as_array().unwrap().clone();
    let blob = |digest: &Value| oci.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    digests.iter().map(blob).collect()
}

fn tar(arguments: &[&str], archive: &Path) -> String {
    oracle::agrees(&oracle::tool("tar", "tar"), [&["-f", archive.to_str().unwrap()], arguments].concat())
}

/// GNU tar's long listing by name, without times; a link's target counts as part of the line.
fn listing(archive: &Path) -> BTreeMap<String, String> {
    let text = tar(&["-tv", "--numeric-owner", "--quoting-style=literal"], archive);
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[5].trim_end_matches('/').to_owned(), [&words[..3], &words[5..]].concat().join(" "))
    };
    text.lines().map(entry).collect()
}

/// Layers laid over each other by the rules for `.wh.` names.
fn flattened(oci: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    for layer in layers(oci) {
        let upper = listing(&layer);
        for name in upper.keys() {
            let (directory, base) = name.rsplit_once('/').unwrap_or(("", name));
            match base.strip_prefix(".wh.") {
                Some(".wh..opq") => tree.retain(|path: &String, _| !path.starts_with(&format!("{directory}/"))),
                Some(gone) => tree.retain(|path, _| !Path::new(path).starts_with(Path::new(directory).join(gone))),
                None => {}
            }
        }
        tree.extend(upper.into_iter().filter(|(name, _)| !name.contains("/.wh.")));
    }
    tree
}

#[test]
fn skopeo_reads_a_bootable_image_of_three_layers() {
    let os = os();
    let image = skopeo_inspect(&os.oci);
    assert_eq!(image["Layers"].as_array().unwrap().len(), 3);
    assert_eq!(image["Created"], "2026-01-01T00:00:00Z");
    let labels = [
        ("containers.bootc", "1"),
        ("ostree.bootable", "1"),
        ("ostree.linux", &os.kernel_version),
        ("org.opencontainers.image.version", "v1"),
    ];
    for (label, value) in labels {
        assert_eq!(image["Labels"][label], value, "{label}");
    }
}

#[test]
fn v2_is_v1_with_one_layer_more() {
    let os = os();
    let (v1, v2) = (skopeo_inspect(&os.oci), skopeo_inspect(&os.oci_v2));
    let (v1_layers, v2_layers) = (v1["Layers"].as_array().unwrap(), v2["Layers"].as_array().unwrap());
    assert_eq!(v2_layers[..3], v1_layers[..]);
    assert_eq!(v2_layers.len(), 4);
    assert_eq!(v2["Labels"]["org.opencontainers.image.version"], "v2");
}

#[test]
fn skopeo_copies_every_blob_and_finds_its_digest() {
    let os = os();
    let copy = tempfile::tempdir().unwrap();
    let from = format!("oci:{}:latest", os.oci_v2.display());
    let to = format!("dir:{}", copy.path().display());
    oracle::agrees(&oracle::tool("skopeo", "skopeo"), ["--insecure-policy", "copy", &from, &to]);
}

#[test]
fn unpacked_layers_hold_what_each_version_should_say() {
    let os = os();
    let expected = [
        ("usr/share/smoke-marker", "v1\n", "v1-derived\n", "v2\n"),
        ("etc/smoke-conf", "base\n", "derived-v1\n", "derived-v1\n"),
    ];
    let unpack = |layers: &[PathBuf]| {
        let root = tempfile::tempdir().unwrap();
        for layer in layers {
            let present = listing(layer);
            let wanted = expected.iter().map(|row| row.0).filter(|path| present.contains_key(*path));
            let arguments: Vec<&str> = ["-x", "-C", root.path().to_str().unwrap()].into_iter().chain(wanted).collect();
            if arguments.len() > 3 {
                tar(&arguments, layer);
            }
        }
        expected.map(|row| fs::read_to_string(root.path().join(row.0)).unwrap())
    };
    let blobs = layers(&os.oci_v2);
    assert_eq!(unpack(&blobs[..2]), expected.map(|row| row.1));
    assert_eq!(unpack(&blobs[..3]), expected.map(|row| row.2));
    assert_eq!(unpack(&blobs[..]), expected.map(|row| row.3));
}

#[test]
fn the_flattened_tar_is_the_image_with_whiteouts_applied() {
    let os = os();
    let rootfs = listing(&os.rootfs_tar);
    assert!(!rootfs.contains_key("usr/share/smoke-removed"));
    assert!(rootfs.contains_key("usr/share/smoke-opaque/new"));
    assert!(!rootfs.contains_key("usr/share/smoke-opaque/old"));
    assert!(!rootfs.contains_key("usr/share/smoke-opaque/sub"));
    let merged = flattened(&os.oci);
    let differing: Vec<_> = merged.iter().filter(|(name, line)| rootfs.get(*name) != Some(line)).take(5).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(merged.len(), rootfs.len());
}

#[test]
fn the_tree_is_laid_out_for_ostree() {
    let os = os();
    let rootfs = listing(&os.rootfs_tar);
    let modules = format!("usr/lib/modules/{}", os.kernel_version);
    for path in ["sysroot", "usr/lib/ostree/prepare-root.conf", "usr/lib/sysimage/dpkg/status"] {
        assert!(rootfs.contains_key(path), "{path}");
    }
    for path in [format!("{modules}/vmlinuz"), format!("{modules}/initramfs.img")] {
        assert!(rootfs.contains_key(&path), "{path}");
    }
    assert!(rootfs["ostree"].ends_with("ostree -> sysroot/ostree"));
    assert!(rootfs["home"].ends_with("home -> var/home"));
    let boot: Vec<&String> = rootfs.keys().filter(|name| name.starts_with("boot/")).collect();
    assert!(boot.is_empty(), "{boot:?}");
}

#[test]
fn a_file_capability_a_hard_link_and_a_setuid_bit_are_in_the_base_layer() {
    let base = &layers(&os().oci)[0];
    let capability = tar(&["--xattrs", "--xattrs-include=*", "-tvv", "usr/libexec/smoke-cap"], base);
    assert!(capability.contains("x: 20 security.capability"), "{capability}");
    let listing = listing(base);
    assert!(listing["usr/share/smoke-hard2"].starts_with('h'), "{}", listing["usr/share/smoke-hard2"]);
    assert!(listing["usr/bin/su"].starts_with("-rwsr-xr-x 0/0"), "{}", listing["usr/bin/su"]);
    assert!(listing["etc/shadow"].starts_with("-rw-r----- 0/42"), "{}", listing["etc/shadow"]);
}

#[test]
fn the_second_call_builds_nothing() {
    let built = |os: &TestOs| fs::metadata(&os.rootfs_tar).unwrap().modified().unwrap();
    let first = built(&os());
    let start = Instant::now();
    assert_eq!(built(&os()), first);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_missing_mmdebstrap_is_named_with_the_command_that_installs_it() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qemu-tests"));
    let output = command.arg("os").env("BOOTWRIGHT_CACHE", empty.path()).env("PATH", empty.path()).output().unwrap();
    assert!(!output.status.success());
    let said = oracle::said(&output);
    assert!(said.contains("mmdebstrap is missing: sudo apt-get install mmdebstrap"), "{said}");
}
