//! Two builds of the same request for the same image are equal, byte for byte: wherever, whenever and by whomever they are made.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::mini_image::{Layout, MiniImage, Packing, small_partitions};
use crate::support::tar::{directory, file, symlink};
use crate::support::{disk, program};
use qemu_tests::oracle;

const TYPES: [&str; 4] = ["--type", "raw", "--type", "qcow2"];

/// Three layers, so that several threads have something to do; many files, so that an order can go wrong.
fn image() -> MiniImage {
    let many: Vec<_> = (0..300).map(|n| file(&format!("usr/share/many/{n}"), format!("{n}\n").repeat(n))).collect();
    let links = [symlink("usr/share/link", "many/7"), file("usr/share/.wh.empty", "")];
    MiniImage::bootable()
        .layer(Packing::Zstd, [vec![directory("usr/share/many")], many].concat())
        .layer(Packing::Plain, links)
}

/// A finished build: what is compared, and the place it was made in.
struct Built {
    directory: tempfile::TempDir,
    image: Layout,
}

impl Built {
    fn output(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.output().join(file)).unwrap()
    }

    fn uuids(&self) -> BTreeSet<String> {
        let manifest: serde_json::Value = serde_json::from_slice(&self.bytes("manifest.json")).unwrap();
        let mut found = BTreeSet::from([text(&manifest["disk"]["disk_guid"])]);
        for partition in manifest["disk"]["partitions"].as_array().unwrap() {
            found.insert(text(&partition["part_guid"]));
            let content = &partition["content"];
            found.extend(
                ["uuid", "volume_id"].iter().filter(|key| !content[**key].is_null()).map(|key| text(&content[*key])),
            );
        }
        found
    }
}

fn text(value: &serde_json::Value) -> String {
    value.to_string()
}

fn build(args: &[&str]) -> Built {
    let built = prepare();
    let mut command = program::build(&built.image.reference(), &built.output());
    program::succeed(command.args(TYPES).args(["--layout", &small_partitions(built.directory.path())]).args(args));
    built
}

fn prepare() -> Built {
    let directory = tempfile::tempdir().unwrap();
    let image = image().write(&directory.path().join("image"));
    Built { directory, image }
}

/// As [`build`], with the command line handed to a shell that does something first.
fn build_after(first: &str, reference: &str, built: &Built) {
    let small = small_partitions(built.directory.path());
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{first}\nexec \"$@\""), "sh", env!("CARGO_BIN_EXE_bootwright"), "build", reference]);
    command.arg("--output").arg(built.output()).args(TYPES).args(["--layout", &small, "--progress", "none"]);
    program::succeed(&mut command);
}

fn assert_equal(one: &Built, other: &Built, what: &str) {
    for file in ["image/disk.raw", "qcow2/disk.qcow2", "manifest.json", "SHA256SUMS"] {
        assert!(one.bytes(file) == other.bytes(file), "{what}: {file} differs");
    }
}

#[test]
fn time_and_place_do_not_show() {
    let one = build(&[]);
    assert_equal(&one, &build(&[]), "another directory, another second");
}

#[test]
fn thread_counts_do_not_show() {
    let one = build(&["--threads", "1"]);
    for threads in ["2", "4", "13"] {
        assert_equal(&one, &build(&["--threads", threads]), threads);
    }
}

#[test]
fn the_environment_does_not_show() {
    let one = build(&[]);
    for first in [
        "umask 077",
        "umask 000",
        "export TZ=Asia/Kolkata",
        "export HOME=/nonexistent LC_ALL=tr_TR.UTF-8",
        "cd /",
        "ulimit -n 64",
    ] {
        let other = prepare();
        build_after(first, &other.image.reference(), &other);
        assert_equal(&one, &other, first);
    }
}

#[test]
fn an_archive_gives_what_its_directory_gives() {
    let (one, other) = (build(&[]), prepare());
    let archive = other.image.archive(&other.directory.path().join("image.tar"));
    build_after("", &archive, &other);
    assert_equal(&one, &other, "oci-archive");
}

#[test]
fn a_build_over_an_older_one_is_the_same_as_a_fresh_one() {
    let one = build(&[]);
    let other = build(&["--karg", "old"]);
    build_after("", &other.image.reference(), &other);
    assert_equal(&one, &other, "same directory twice");
}

#[test]
fn formats_and_compression_do_not_change_the_disk() {
    let one = build(&[]);
    let other = build(&["--compression", "zstd"]);
    assert!(one.bytes("image/disk.raw") == other.bytes("image/disk.raw"));
    let alone = prepare();
    let mut command = program::build(&alone.image.reference(), &alone.output());
    program::succeed(command.args(["--layout", &small_partitions(alone.directory.path()), "--type", "qcow2"]));
    assert!(one.bytes("qcow2/disk.qcow2") == alone.bytes("qcow2/disk.qcow2"));
}

#[test]
fn another_request_gives_other_uuids() {
    let one = build(&[]).uuids();
    assert_eq!(one.len(), 8, "a disk, four partitions, two filesystems, a volume: {one:?}");
    let seed = "5eed".repeat(16);
    for args in
        [&["--karg", "a=1"][..], &["--seed", &seed], &["--disk-size", "200M"], &["--target-imgref", "b.example/c:d"]]
    {
        let shared: Vec<_> = build(args).uuids().intersection(&one).cloned().collect();
        assert!(shared.is_empty(), "{args:?}: {shared:?}");
    }
}

#[test]
fn the_seed_of_a_build_repeats_its_uuids() {
    let one = build(&[]);
    let manifest: serde_json::Value = serde_json::from_slice(&one.bytes("manifest.json")).unwrap();
    let other = build(&["--seed", manifest["seed"].as_str().unwrap()]);
    assert_equal(&one, &other, "--seed of the manifest");
}

#[test]
fn another_image_gives_other_uuids() {
    let one = build(&[]).uuids();
    let directory = tempfile::tempdir().unwrap();
    let image = image().with([file("usr/share/more", "more\n")]).write(&directory.path().join("image"));
    let other = Built { directory, image };
    build_after("", &other.image.reference(), &other);
    assert!(other.uuids().is_disjoint(&one));
}

#[test]
fn source_date_epoch_is_the_time_of_what_is_made() {
    let build = |seconds: &str| {
        let built = prepare();
        build_after(&format!("export SOURCE_DATE_EPOCH={seconds}"), &built.image.reference(), &built);
        built
    };
    let (one, other) = (build("1500000000"), build("1600000000"));
    assert_equal(&one, &build("1500000000"), "the same epoch");
    assert_eq!(one.uuids(), other.uuids());
    assert_eq!(made_at(&one), 1_500_000_000);
    assert_eq!(made_at(&other), 1_600_000_000);
}

/// When the root filesystem was made, as debugfs sees it.
fn made_at(built: &Built) -> i64 {
    let raw = built.output().join("image/disk.raw");
    let root = disk::partition_named(&raw, "root");
    let cut = built.directory.path().join("root");
    disk::cut_out(&raw, &root, &cut);
    let debugfs = oracle::tool("debugfs", "e2fsprogs");
    let said = oracle::agrees(&debugfs, ["-R".as_ref(), "stat /.bootc-aleph.json".as_ref(), cut.as_os_str()]);
    let line = said.lines().find(|line| line.trim_start().starts_with("mtime:")).unwrap();
    let hex = line.split("0x").nth(1).unwrap();
    i64::from_str_radix(&hex[..8], 16).unwrap()
}

#[test]
fn a_real_system_is_equal_too() {
    let one = disk::test_os();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout { path: qemu_tests::test_os().unwrap().oci, tag: "latest".to_owned(), ..Layout::default() };
    let archive = layout.archive(&scratch.path().join("os.tar"));
    let output = scratch.path().join("out");
    let mut command = program::build(&archive, &output);
    command.args(TYPES).args(["--threads", "1", "--target-imgref", disk::TARGET]).env("TZ", "Pacific/Chatham");
    program::succeed(&mut command);
    equal_files(&one.raw, &output.join("image/disk.raw"));
    equal_files(&one.qcow2, &output.join("qcow2/disk.qcow2"));
}

fn equal_files(one: &Path, other: &Path) {
    oracle::agrees(&oracle::tool("cmp", "diffutils"), [one, other]);
}
