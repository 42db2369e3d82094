//! `--pull-secret`: the machine can fetch its upgrades, and nobody but its root reads with what.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::sysroot;
use crate::support::tar::file;
use crate::support::{disk, program};
use qemu_tests::oracle;

const SECRET: &str = "{\"auths\": {\"quay.io\": {\"auth\": \"d2FyZGVuOmh1c2g=\"}}}\n";

#[test]
fn it_lies_in_etc_for_root_alone_and_neither_in_the_commit_nor_in_anything_that_is_said() {
    oracle::needs_root("looking into a sysroot");
    let directory = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().with([file("etc/ostree/auth.json", "the image's own")]);
    let image = image.write(&directory.path().join("image"));
    let secret = directory.path().join("auth.json");
    fs::write(&secret, SECRET).unwrap();
    let layout = small_partitions(directory.path());
    let mut command = program::bootwright();
    command.args(["build", &image.reference(), "--type", "raw", "--layout", &layout, "--progress", "json"]);
    command.arg("--output").arg(directory.path()).arg("--pull-secret").arg(&secret);
    let said = program::succeed(&mut command);
    let report = fs::read_to_string(directory.path().join("manifest.json")).unwrap();
    for text in [&said.stdout, &said.stderr, &report] {
        assert!(!text.contains("d2FyZGVu") && !text.contains("hush"), "{text}");
    }
    let sysroot = sysroot::of(&disk::cut_all(directory.path()));
    let path = sysroot.deployment().join("etc/ostree/auth.json");
    let facts = fs::metadata(&path).unwrap();
    assert_eq!((facts.mode() & 0o7777, facts.uid(), facts.gid()), (0o600, 0, 0));
    assert_eq!(fs::read_to_string(&path).unwrap(), SECRET);
    let commit = sysroot.commit();
    assert_eq!(sysroot.repo("cat", &[&commit, "/usr/etc/ostree/auth.json"]), "the image's own");
    drop(sysroot);
    let raw = fs::read(directory.path().join("image/disk.raw")).unwrap();
    let found = memchr::memmem::find_iter(&raw, "d2FyZGVuOmh1c2g=").count();
    assert_eq!(found, 1, "once on the whole disk");
}

#[test]
fn what_is_no_auth_file_is_refused_without_being_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("auth.json");
    for text in ["hush", "{}", "{\"auths\": {}}", "{\"auths\": \"hush\"}"] {
        fs::write(&secret, text).unwrap();
        let mut command = program::build("oci:/nowhere", directory.path());
        let ended = program::end(command.arg("--pull-secret").arg(&secret));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("is no auth.json with entries") && !ended.stderr.contains("hush"),
            "{}",
            ended.stderr
        );
    }
    let mut command = program::build("ostree:/srv/repo#os", directory.path());
    let ended = program::end(command.arg("--pull-secret").arg(&secret));
    assert!(ended.code == Some(2) && ended.stderr.contains("goes with a container image"), "{}", ended.stderr);
}
