//! What a layer's tree does where the program `ostree` cannot be the judge: it fails there, or sees the tar without the
//! importer's filter. The facts are those measured on the importer of bootc 1.16.9.

use crate::judges::ostree_layer::{directory, file, hardlink, layer, symlink};
use bootwright::ostree::{Directory, Error, Filtered, LayerTree, Node, Owner, Xattrs, filter, symlink_checksum};

/// Mode, owner, group of the directory at `path`.
fn stat(root: &Directory, path: &str) -> (u32, u32, u32) {
    let Some(Node::Directory(directory)) = root.lookup(path) else { panic!("no directory at `{path}`") };
    (directory.meta.mode & 0o7777, directory.meta.uid, directory.meta.gid)
}

#[test]
fn the_explicit_root_entry_is_ignored() {
    let root = layer(&[directory("./").mode(0o700).owned(5, 6).xattr("user.a", b"1"), file("a", "a")]).unwrap();
    assert_eq!(stat(&root, ""), (0o755, 0, 0));
    assert!(root.meta.xattrs.is_empty());
}

#[test]
fn the_explicit_root_entry_does_not_undo_a_reset_of_the_root() {
    let root = layer(&[file("usr/x", "x").owned(9, 10), directory("./").mode(0o700).owned(5, 6)]).unwrap();
    assert_eq!(stat(&root, ""), (0o755, 9, 10));
}

#[test]
fn etc_before_usr_resets_the_root_with_the_owner_of_etc() {
    let mut layer = LayerTree::new();
    for (path, uid) in [("etc/", 3), ("usr/", 4)] {
        let Ok(Filtered::Keep(path)) = filter(path.as_bytes()) else { panic!("{path} is dropped") };
        layer.directory(&path, bootwright::ostree::DirMeta::new(uid, uid, 0o750, Xattrs::default())).unwrap();
    }
    let root = layer.finish().unwrap();
    assert_eq!(
        [stat(&root, ""), stat(&root, "usr"), stat(&root, "usr/etc")],
        [(0o755, 3, 3), (0o750, 4, 4), (0o750, 3, 3)]
    );
}

#[test]
fn a_hard_link_to_a_hard_link_gets_the_object_at_the_end_of_the_chain() {
    let chain = [hardlink("d/c", "b"), hardlink("b", "a"), file("a", "a"), hardlink("e", "d/c")];
    let root = layer(&chain).unwrap();
    let object = root.lookup("a");
    assert!(object.is_some());
    assert_eq!([root.lookup("b"), root.lookup("d/c"), root.lookup("e")], [object; 3]);
}

#[test]
fn hard_links_without_a_target_in_their_layer_are_refused_with_both_paths() {
    let wrong = |path: &str, target: &str| Err(Error::HardlinkTarget { path: path.into(), target: target.into() });
    assert_eq!(layer(&[hardlink("usr/a", "usr/lower")]), wrong("usr/a", "usr/lower"));
    assert_eq!(layer(&[directory("d"), hardlink("a", "d")]), wrong("a", "d"));
    assert_eq!(layer(&[hardlink("a", "./")]), wrong("a", ""));
    assert_eq!(layer(&[file("x", "x"), hardlink("a", "x/y")]), wrong("a", "x/y"));
    assert_eq!(layer(&[hardlink("a", "b"), hardlink("b", "c")]), wrong("b", "c"));
}

#[test]
fn hard_links_in_a_circle_are_refused() {
    let circle = layer(&[hardlink("a", "b"), hardlink("b", "c"), hardlink("c", "a")]);
    assert_eq!(circle, Err(Error::HardlinkLoop { path: "a".into(), target: "b".into() }));
    assert_eq!(layer(&[hardlink("a", "a")]), Err(Error::HardlinkLoop { path: "a".into(), target: "a".into() }));
}

#[test]
fn a_chain_of_20000_hard_links_is_followed_once() {
    let mut chain: Vec<_> = (0..20_000).map(|n| hardlink(&format!("{n:05}"), &format!("{:05}", n + 1))).collect();
    chain.push(file("20000", "end"));
    let root = layer(&chain).unwrap();
    assert_eq!((root.files.len(), root.lookup("00000")), (20_001, root.lookup("20000")));
}

#[test]
fn a_duplicate_entry_may_be_of_another_kind() {
    let root = layer(&[
        file("to-directory", "x"),
        directory("to-directory"),
        file("to-directory/inside", "x"),
        directory("to-link/below"),
        hardlink("to-link/below/gone", "nowhere"),
        symlink("to-link", "x"),
        hardlink("to-file", "nowhere"),
        file("to-file", "x"),
    ])
    .unwrap();
    assert!(matches!(root.lookup("to-directory/inside"), Some(Node::File(_))));
    assert_eq!(root.lookup("to-link"), Some(Node::File(symlink_checksum(0, 0, "x", &Xattrs::default()))));
    assert!(matches!(root.lookup("to-file"), Some(Node::File(_))));
}

#[test]
fn paths_through_a_link_or_file_of_the_same_layer_are_refused() {
    let through =
        |parent: &str| Err(Error::ParentIsNotADirectory { path: format!("{parent}/b/c"), parent: parent.into() });
    assert_eq!(layer(&[directory("d/b"), symlink("a", "d"), file("a/b/c", "x")]), through("a"));
    assert_eq!(layer(&[file("d/a", "x"), file("d/a/b/c", "x")]), through("d/a"));
    assert_eq!(layer(&[file("x", "x"), hardlink("a", "x"), directory("a/b/c")]), through("a"));
}

#[test]
fn a_root_that_is_a_file_is_refused() {
    assert_eq!(layer(&[symlink("./", "x")]), Err(Error::RootIsNotADirectory));
    assert_eq!(LayerTree::new().hardlink(&[], &[], Owner::default()), Err(Error::RootIsNotADirectory));
}

#[test]
fn trees_deeper_than_libostree_follows_are_refused() {
    let deep = |levels: usize| vec!["d"; levels].join("/");
    assert!(layer(&[directory(&deep(256))]).is_ok());
    let wrong = Error::TooDeep { path: deep(257), depth: 257, limit: 256 };
    assert_eq!(layer(&[directory(&deep(257))]), Err(wrong));
}
