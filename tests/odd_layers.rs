//! Layers that try the limits: what comes out is a disk that the judges accept, or an error; never a panic, and never a file.

use std::path::Path;

use crate::support;
use crate::support::disk;
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::program::{self, Ended};
use crate::support::tar::{Entry, directory, fifo, file, hardlink, symlink};
use crate::support::{sysroot, walk};
use qemu_tests::oracle::{agrees, tool};

fn build(directory: &Path, entries: impl Into<Vec<Entry>>) -> Ended {
    let image = MiniImage::bootable().with(entries).write(&directory.join("image"));
    let layout = small_partitions(directory);
    let mut command = program::build(&image.reference(), &directory.join("out"));
    program::end(command.args(["--layout", &layout, "--type", "raw", "--no-checksums"]))
}

/// The layer is built, e2fsck and `ostree fsck` agree, and the closure looks at the deployment.
fn built(entries: impl Into<Vec<Entry>>, look: impl FnOnce(&Path)) {
    let scratch = tempfile::tempdir().unwrap();
    let ended = build(scratch.path(), entries);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let disks = disk::Disks::at(scratch.path().join("out"));
    for name in ["root", "boot"] {
        disk::cut_out(&disks.raw, &disk::partition_named(&disks.raw, name), &disks.cut(name));
    }
    let root = disks.cut("root");
    agrees(&tool("e2fsck", "e2fsprogs"), ["-f".as_ref(), "-n".as_ref(), root.as_os_str()]);
    let sysroot = sysroot::of(&disks);
    sysroot.repo("fsck", &["--quiet"]);
    look(&sysroot.deployment());
}

/// The layer is refused in one sentence that has `fact` in it.
fn refused(entries: impl Into<Vec<Entry>>, fact: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let ended = build(scratch.path(), entries);
    assert_eq!(ended.code, Some(1), "{fact}: {}", ended.stderr);
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(fact), "`{fact}` is not in\n{}", ended.stderr);
    assert!(ended.stderr.len() < 2000, "{fact}: a message of {} bytes", ended.stderr.len());
    assert!(!scratch.path().join("out").exists());
}

#[test]
fn seventy_thousand_equal_files_outgrow_the_links_of_an_inode() {
    let equal = (0..70_000).map(|n| file(&format!("usr/share/equal/{n}"), "the same\n"));
    built([vec![directory("usr/share/equal")], equal.collect()].concat(), |deployment| {
        assert_eq!(walk::tree(&deployment.join("usr/share/equal")).len(), 70_001);
    });
}

#[test]
fn names_of_255_bytes_and_no_more() {
    let name = |length: usize| format!("usr/share/{}", "n".repeat(length));
    built([file(&name(255), "x")], |deployment| assert!(deployment.join(name(255)).is_file()));
    refused([file(&name(256), "x")], "longer than 255 bytes");
}

#[test]
fn names_with_everything_but_slash_and_nul() {
    let name = "usr/share/ \n\t\\'\"$*?\u{1}\u{7f}ä€😀";
    built([file(name, "x"), file("usr/share/-rf", "x")], |deployment| assert!(deployment.join(name).is_file()));
}

#[test]
fn paths_of_256_directories_and_no_more() {
    let path = |depth: usize| format!("usr/share/{}file", "d/".repeat(depth));
    built([file(&path(250), "x")], |deployment| assert!(deployment.join(path(250)).is_file()));
    refused([file(&path(2000), "x")], "2003 directories deep, ostree follows 256");
    refused([file(&path(100_000), "x")], "a path has 200014 bytes, Linux allows 4095");
}

#[test]
fn names_that_would_steer_a_terminal() {
    let scratch = tempfile::tempdir().unwrap();
    let ended = build(scratch.path(), [fifo("usr/\u{1b}]0;owned\u{7}\u{9b}2J\r")]);
    assert!(ended.stderr.contains("a fifo") && ended.stderr.lines().count() == 1, "{:?}", ended.stderr);
    let controls: Vec<char> = ended.stderr.trim_end().chars().filter(|c| c.is_control()).collect();
    assert!(controls.is_empty(), "{:?}", ended.stderr);
}

#[test]
fn links_of_4095_bytes_and_no_more() {
    let target = |length: usize| "t".repeat(length);
    for length in [59, 60, 61, 4095] {
        built([symlink("usr/share/long", &target(length))], |deployment| {
            assert_eq!(deployment.join("usr/share/long").read_link().unwrap().as_os_str().len(), length);
        });
    }
    refused([symlink("usr/share/long", &target(4096))], "longer than 4095 bytes");
}

#[test]
fn links_to_nothing_at_all() {
    refused([symlink("usr/share/empty-link", "")], "usr/share/empty-link");
}

#[test]
fn kinds_that_change_between_layers() {
    let entries = [
        file("usr/share/a", "file"),
        directory("usr/share/a"),
        file("usr/share/a/b", "x"),
        directory("usr/share/c"),
        file("usr/share/c", "file"),
        symlink("usr/share/d", "c"),
        file("usr/share/d", "no link"),
    ];
    built(entries, |deployment| {
        assert!(deployment.join("usr/share/a/b").is_file() && deployment.join("usr/share/c").is_file());
        assert!(!deployment.join("usr/share/d").is_symlink());
    });
}

#[test]
fn files_below_files() {
    refused([file("usr/share/x", "file"), file("usr/share/x/below", "x")], "usr/share/x");
}

#[test]
fn hardlinks_to_directories_and_to_themselves() {
    refused([directory("usr/share/dir"), hardlink("usr/share/link", "usr/share/dir")], "usr/share/dir");
    refused([hardlink("usr/share/self", "usr/share/self")], "usr/share/self");
}

#[test]
fn attributes_that_no_block_holds() {
    let value = vec![b'v'; 3500];
    built([file("usr/share/x", "x").xattr("user.large", &value)], |deployment| {
        let attributes = walk::xattrs(&deployment.join("usr/share"));
        assert!(attributes["x"][0].len() > 7000);
    });
    refused([file("usr/share/x", "x").xattr("user.large", &vec![b'v'; 60_000])], "60024 bytes");
}

#[test]
fn owners_of_32_bits() {
    use std::os::unix::fs::MetadataExt;
    built([file("usr/share/x", "x").owner(2_097_151, 65_534)], |deployment| {
        assert_eq!(deployment.join("usr/share/x").metadata().unwrap().uid(), 2_097_151);
    });
}

#[test]
fn system_files_that_are_something_else() {
    for (entry, fact) in [
        (directory("usr/lib/os-release"), "os-release"),
        (symlink("usr/lib/os-release", "os-release"), "os-release"),
        (directory(&format!("usr/lib/modules/{}/initramfs.img", support::mini_image::KERNEL)), "initramfs"),
        (file("usr/lib/modules", "x"), "kernel"),
        (file("usr", "x"), "usr"),
        (symlink("usr", "system"), "usr"),
        (file("sysroot", "x"), "sysroot"),
        (file("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled=perhaps\n"), "perhaps"),
    ] {
        refused([entry], fact);
    }
}

#[test]
fn odd_places_that_the_builder_writes_to_itself() {
    built(
        [
            directory("etc/fstab"),
            file("etc/repart.d", "x"),
            symlink("etc/systemd", "/nowhere"),
            file(".ostree.cfs", "x"),
            directory("var/.ostree-selabeled"),
            file("boot/loader", "x"),
        ],
        |deployment| {
            assert!(deployment.join("etc/fstab").is_file() && deployment.join("etc/repart.d/50-root.conf").is_file())
        },
    );
    built([file("var", "x")], |_| ());
}

#[test]
fn an_images_own_definition_of_the_root_partition_is_the_only_one() {
    let own =
        [directory("usr/lib/repart.d"), file("usr/lib/repart.d/10-mine.conf", "[Partition]\n Type = root-x86-64\n")];
    built(own, |deployment| assert!(!deployment.join("etc/repart.d").exists()));
}
