//! Images against those of libcomposefs, and before the kernel, erofs-utils and fsverity-utils. Mounting needs root.

mod trees;

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::judges::composefs::{Mount, getfattr};
use bootwright::composefs::{Error, Kind, Node, fs_verity_digest, image, with_required_directories};
use qemu_tests::oracle;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use trees::*;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn image_file(root: Node) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&image(root).unwrap()).unwrap();
    file
}

fn empty_deployment() -> Node {
    with_required_directories(directory::<&str>([]))
}

fn small_deployment() -> Node {
    let zero = owned_by(5, 6, with_xattrs([("user.a", b"b".as_slice())], empty_file()));
    let usr = directory([("hello", file(6)), ("l", symlink("foo")), ("zero", zero)]);
    with_required_directories(directory([("usr", usr)]))
}

#[test]
fn deployment_images_and_their_digests_are_those_of_libcomposefs() {
    for (tree, sha256, fs_verity) in [
        (
            empty_deployment(),
            "c4fb4d7e170727f2a6aafb18742803b692ff9dca6f06378704218564f438afa4",
            "8f52c3b310a287d352b2eded6b04187a8c1af576c1e0ac29c3fd47c9bc239b83",
        ),
        (
            small_deployment(),
            "cdd92b009031a55dd09ae92c8581329e89a7111407e9c4c4c50a5172c14fdf5f",
            "49c8eac2f3eecbd2b63d4a6a07ab9b395243eae94af40e089ac6d4c8440dbf20",
        ),
    ] {
        let image = image(tree).unwrap();
        assert_eq!(hex(Sha256::digest(&image)), sha256);
        assert_eq!(hex(fs_verity_digest(image.as_slice()).unwrap()), fs_verity);
    }
}

/// The hashes are of images made by mkcomposefs 1.0.8 from composefs-dump files of the same trees.
#[test]
fn images_of_odd_trees_are_those_of_libcomposefs() {
    let images = [
        (directories_of_every_size(), "46affb7a4ae27567c32ce02c5b376de9aa74ffacea85651a1332b851870022be"),
        (symlinks_of_every_length(), "539f35d615da563aed758f6ec9a4f8f6bdb4f99f6aa8a6d774ec7b082a228d41"),
        (
            more_shared_xattrs_than_an_inode_may_have(),
            "0dcd9469ae90c79f4ed03c09a5c9d146bb43a57bb4de648a1dc12726084d7c4d",
        ),
        (numbers_too_large_for_a_compact_inode(), "11907384100620dd84842208fe23dc0a044ce57fb708cc935745760ba7b2124a"),
        (xattrs_of_every_prefix(), "0c16d9042a3409b525493bf789923079b47d852938e845813b272811a2a86088"),
        (every_kind_of_inode(), "502ba9d86ee491d2da1ec4cef88b82e83e5579d8a41849cc5debe056fdb58022"),
        (longest_path(), "7a80426ca595bdf3025c8b2ca27e023b73da07463cc6f2ef03ea176c909253b8"),
    ];
    for (number, (tree, sha256)) in images.into_iter().enumerate() {
        assert_eq!(hex(Sha256::digest(image(tree).unwrap())), sha256, "tree {number}");
    }
}

#[test]
fn order_of_children_and_xattrs_does_not_matter() {
    fn reversed(mut node: Node) -> Node {
        node.xattrs.reverse();
        if let Kind::Directory(children) = &mut node.kind {
            *children = children.drain(..).rev().map(|(name, child)| (name, reversed(child))).collect();
        }
        node
    }
    assert_eq!(image(reversed(xattrs_of_every_prefix())), image(xattrs_of_every_prefix()));
}

#[test]
fn erofs_utils_find_nothing_wrong() {
    for tree in [small_deployment(), directories_of_every_size(), symlinks_of_every_length(), every_kind_of_inode()] {
        let image = image_file(tree);
        oracle::agrees(&oracle::tool("fsck.erofs", "erofs-utils"), [image.path()]);
        let dump =
            oracle::agrees(&oracle::tool("dump.erofs", "erofs-utils"), ["-s".as_ref(), image.path().as_os_str()]);
        let blocks = image.as_file().metadata().unwrap().len() / 4096;
        assert!(dump.contains(&format!("Filesystem blocks:                            {blocks}\n")), "{dump}");
    }
}

/// Every inode of `node`, as the kernel shows it at `path`.
fn compare(path: &Path, node: &Node, xattrs: &BTreeMap<PathBuf, Vec<String>>, seen: &mut u32) {
    let stat = fs::symlink_metadata(path).unwrap();
    let given = (node.mode, node.uid, node.gid, 0, 0);
    assert_eq!((stat.mode(), stat.uid(), stat.gid(), stat.mtime(), stat.mtime_nsec()), given, "{path:?}");
    compare_content(path, &stat, node);
    let mut given: Vec<_> = node.xattrs.iter().map(|(name, value)| xattr_line(name, value)).collect();
    given.sort();
    let ours = ["trusted.overlay.metacopy=", "trusted.overlay.redirect=", "trusted.overlay.opaque="];
    let shown = xattrs.get(path).into_iter().flatten();
    let shown = shown.filter(|line| !ours.iter().any(|ours| line.starts_with(ours)));
    assert!(shown.eq(&given), "{path:?}: {:?}, not {given:?}", xattrs.get(path));
    *seen += 1;
    if let Kind::Directory(children) = &node.kind {
        for (name, child) in children {
            compare(&path.join(std::ffi::OsStr::from_bytes(name)), child, xattrs, seen);
        }
    }
}

fn compare_content(path: &Path, stat: &Metadata, node: &Node) {
    match &node.kind {
        Kind::Directory(children) => {
            let subdirectories = children.iter().filter(|(_, child)| matches!(child.kind, Kind::Directory(_))).count();
            assert_eq!(stat.nlink(), 2 + subdirectories as u64, "{path:?}");
        }
        Kind::EmptyFile => assert_eq!(stat.len(), 0, "{path:?}"),
        Kind::File { size, .. } => assert_eq!(stat.len(), *size, "{path:?}"),
        Kind::Symlink(target) => {
            assert_eq!(fs::read_link(path).unwrap().as_os_str().as_bytes(), target, "{path:?}")
        }
        Kind::Special { rdev } => {
            let (major, minor) = (nix::sys::stat::major(stat.rdev()), nix::sys::stat::minor(stat.rdev()));
            let encoded = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
            assert_eq!(encoded, u64::from(*rdev), "{path:?}");
        }
    }
}

/// As getfattr prints it. What begins with `trusted.overlay.` is stored with one more `overlay.`.
fn xattr_line(name: &[u8], value: &[u8]) -> String {
    let name = std::str::from_utf8(name).unwrap().replace("trusted.overlay.", "trusted.overlay.overlay.");
    format!("{name}=0x{}", hex(value))
}

#[test]
fn kernel_shows_every_inode_as_given() {
    let odd = [
        directories_of_every_size(),
        symlinks_of_every_length(),
        numbers_too_large_for_a_compact_inode(),
        more_shared_xattrs_than_an_inode_may_have(),
        every_kind_of_inode(),
    ];
    let root = directory(odd.into_iter().enumerate().map(|(number, tree)| (format!("tree {number}"), tree)));
    let image = image_file(root.clone());
    let mount = Mount::erofs(image.path());
    let names = fs::read_dir(mount.path()).unwrap().count();
    assert_eq!(names, 5 + 256);
    let mut root = root;
    if let Kind::Directory(children) = &mut root.kind {
        children.extend((0..256).map(|byte| (format!("{byte:02x}").into_bytes(), special(0o020644, 0))));
    }
    let mut seen = 0;
    compare(&mount.path(), &root, &getfattr(&mount.path()), &mut seen);
    assert!(seen > 600, "{seen}");
}

#[test]
fn directory_of_2049_bytes_takes_a_block_and_one_of_2048_does_not() {
    let image = image_file(directories_of_every_size());
    let mount = Mount::erofs(image.path());
    let size = |name: &str| fs::metadata(mount.path().join(name)).unwrap().len();
    assert_eq!((size("2048 bytes"), size("2049 bytes")), (2048, 4096));
}

#[test]
fn overlay_xattrs_point_at_the_object_and_carry_its_digest() {
    let image = image_file(directory([("plain", file(6)), ("verity", verity_file(6))]));
    let mount = Mount::erofs(image.path());
    let redirect = format!("trusted.overlay.redirect=0x{}", hex(format!("/44/{}.file", hex(&HELLO[1..]))));
    let metacopy = format!("trusted.overlay.metacopy=0x00240001{}", "ab".repeat(32));
    let xattrs = getfattr(&mount.path());
    assert_eq!(xattrs[&mount.path().join("plain")], ["trusted.overlay.metacopy=0x", &redirect]);
    assert_eq!(xattrs[&mount.path().join("verity")], [metacopy.as_str(), &redirect]);
    assert_eq!(xattrs[&mount.path()], ["trusted.overlay.opaque=0x79"]);
}

#[test]
fn overlayfs_serves_the_bytes_of_objects_and_hides_their_directories() {
    let objects = tempfile::tempdir().unwrap();
    fs::create_dir(objects.path().join("44")).unwrap();
    fs::write(objects.path().join(format!("44/{}.file", hex(&HELLO[1..]))), "hello\n").unwrap();
    let image = image_file(small_deployment());
    let erofs = Mount::erofs(image.path());
    let overlay = Mount::overlay(&erofs, objects.path());
    assert_eq!(fs::read_to_string(overlay.path().join("usr/hello")).unwrap(), "hello\n");
    let mut names: Vec<_> = fs::read_dir(overlay.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["boot", "etc", "sysroot", "usr", "var"]);
}

#[test]
fn fs_verity_digests_are_those_of_fsverity_utils_at_the_edges_of_each_level() {
    for size in [0, 1, 4095, 4096, 4097, 128 * 4096, 128 * 4096 + 1, 128 * 128 * 4096, 128 * 128 * 4096 + 1] {
        let bytes: Vec<u8> = (0..size).map(|at: u32| (at % 251) as u8).collect();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let args = ["digest".as_ref(), "--compact".as_ref(), file.path().as_os_str()];
        let digest = oracle::agrees(&oracle::tool("fsverity", "fsverity"), args);
        assert_eq!(hex(fs_verity_digest(bytes.as_slice()).unwrap()), digest.trim(), "{size} bytes");
    }
}

#[test]
fn trees_that_cannot_be_said_are_refused_with_the_path() {
    let inside = |name: &str, node: Node| image(directory([("dir", directory([(name, node)]))])).unwrap_err();
    let path = || String::from("/dir/x");
    assert_eq!(image(empty_file()), Err(Error::RootIsNotADirectory { mode: 0o100600 }));
    let file_as_directory = node(0o040755, Kind::EmptyFile);
    let disagrees = Error::ModeDisagrees { path: path(), mode: 0o040755, kind: "a regular file" };
    assert_eq!(inside("x", file_as_directory), disagrees);
    assert_eq!(inside("a/b", empty_file()), Error::BadName { path: "/dir".into(), name: "a/b".into() });
    assert_eq!(inside(&"n".repeat(256), empty_file()), Error::NameTooLong { path: "/dir".into(), length: 256 });
    assert_eq!(inside("x", symlink("t".repeat(4096))), Error::BadTarget { path: path(), length: 4096 });
    assert_eq!(inside("x", file(0)), Error::BadSize { path: path(), size: 0 });
    assert_eq!(inside("x", special(0o020644, 0)), Error::Whiteout { path: path() });
    let large = with_xattrs([("user.a", [0; 40_000].as_slice())], empty_file());
    assert_eq!(inside("x", large), Error::XattrsTooLarge { path: path(), size: 40_025 });
    let twice = with_xattrs([("user.a", b"1".as_slice()), ("user.a", b"2")], empty_file());
    assert_eq!(inside("x", twice), Error::SameXattr { path: path(), name: "user.a".into() });
    let same = image(directory([("x", empty_file()), ("x", symlink("y"))]));
    assert_eq!(same, Err(Error::SameName { path: "/".into(), name: "x".into() }));
}
