//! What a layer becomes, judged by libostree, which imports the same entries from a tar of its own.

use std::fs;

use crate::layout::{Entry, Layer, Layout, content, tar};
use bootwright::image::Payload;
use bootwright::spool::Content;
use qemu_tests::oracle;

/// Root dirtree and dirmeta as `ostree commit --tree=tar` makes them.
fn ostree_root(filtered: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let ostree = oracle::tool("ostree", "ostree");
    let repo = format!("--repo={}", dir.path().join("repo").display());
    let file = dir.path().join("layer.tar");
    fs::write(&file, filtered).unwrap();
    oracle::agrees(&ostree, [repo.as_str(), "init", "--mode=bare-user"]);
    let tree = format!("--tree=tar={}", file.display());
    oracle::agrees(&ostree, [repo.as_str(), "commit", "-b", "x", "--no-bindings", "--tar-autocreate-parents", &tree]);
    let listed = oracle::agrees(&ostree, [repo.as_str(), "ls", "-dC", "x", "/"]);
    let words: Vec<_> = listed.split_whitespace().collect();
    format!("{} {}", words[words.len() - 3], words[words.len() - 2])
}

fn our_root(layer: &[u8]) -> String {
    let image = Layout::of(&[Layer::gzip(layer)]).load().unwrap();
    let (tree, meta) = image.layers[0].tree.write(&mut |_, _| ());
    format!("{tree} {meta}")
}

/// Packs `/in` of a temporary directory twice: as a container layer has it and as ostree-ext's filter passes it on.
fn packed_twice(fill: &dyn Fn(&std::path::Path)) -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("in");
    fs::create_dir(&top).unwrap();
    fill(&top);
    let pack = |extra: &[&str]| {
        let (out, from) = (dir.path().join("out.tar").display().to_string(), top.display().to_string());
        let common =
            ["--format=pax", "--xattrs", "--sort=name", "--owner=3:3", "--group=4:4", "-C", &from, "-cf", &out];
        let names: Vec<_> =
            fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let names = names.iter().map(String::as_str);
        oracle::agrees(&oracle::tool("tar", "tar"), extra.iter().copied().chain(common).chain(names));
        fs::read(out).unwrap()
    };
    (pack(&[]), pack(&["--transform=s,^etc,usr/etc,S", "--exclude=dev/*"]))
}

#[test]
fn libostree_makes_the_same_tree() {
    let (layer, filtered) = packed_twice(&|top| {
        for name in ["usr/bin", "usr/lib/empty", "etc/x", "dev", "opt"] {
            fs::create_dir_all(top.join(name)).unwrap();
        }
        fs::write(top.join("usr/bin/sh"), "#!").unwrap();
        fs::hard_link(top.join("usr/bin/sh"), top.join("usr/bin/bash")).unwrap();
        fs::write(top.join("usr/bin/large"), vec![7; 3_000_000]).unwrap();
        fs::write(top.join("usr/bin/.wh.gone"), "").unwrap();
        fs::write(top.join("etc/x/passwd"), "root").unwrap();
        fs::hard_link(top.join("etc/x/passwd"), top.join("etc/passwd-")).unwrap();
        fs::write(top.join("dev/null"), "").unwrap();
        std::os::unix::fs::symlink("usr/bin", top.join("bin")).unwrap();
        let file = top.join("usr/bin/sh").display().to_string();
        oracle::agrees(&oracle::tool("setfattr", "attr"), ["-n", "user.a", "-v", "0x31000a32", &file]);
    });
    assert_eq!(our_root(&layer), ostree_root(&filtered));
}

#[test]
fn a_layer_without_directories_gets_them_from_the_owner_of_its_files() {
    let layer = tar(&[
        Entry::File("usr/share/x", b"1"),
        Entry::Symlink("usr/lib/y", "../share/x"),
        Entry::File("usr/a/b/.wh.c", b""),
    ]);
    assert_eq!(our_root(&layer), ostree_root(&layer));
}

#[test]
fn a_layer_without_entries_has_a_root() {
    assert_eq!(our_root(&tar(&[])), ostree_root(&tar(&[])));
}

#[test]
fn hard_links_may_come_before_their_file_and_point_to_each_other() {
    let layer =
        tar(&[Entry::Hardlink("etc/h2", "etc/h1"), Entry::Hardlink("etc/h1", "/etc/f"), Entry::File("etc/f", b"text")]);
    let image = Layout::of(&[Layer::plain(&layer)]).load().unwrap();
    assert_eq!(content(&image, 0, "usr/etc/h2"), b"text");
    assert_eq!(image.contents.objects.len(), 1);
}

#[test]
fn the_last_of_two_entries_wins_and_nothing_is_left_of_the_first() {
    let layer = tar(&[
        Entry::File("usr/a", b"one"),
        Entry::File("usr/a", b"two"),
        Entry::Symlink("usr/b", "x"),
        Entry::Dir("usr/b"),
    ]);
    let image = Layout::of(&[Layer::plain(&layer)]).load().unwrap();
    assert_eq!((content(&image, 0, "usr/a"), image.contents.objects.len()), (b"two".to_vec(), 1));
}

#[test]
fn an_object_of_two_layers_belongs_to_the_lower_one() {
    let layers =
        [b"a", b"b"].map(|own| Layer::gzip(&tar(&[Entry::File("usr/own", own), Entry::File("usr/same", b"same")])));
    let image = Layout::of(&layers).load().unwrap();
    let orders: std::collections::BTreeSet<_> = image
        .contents
        .objects
        .iter()
        .map(|(c, _)| image.contents.objects.order(c).unwrap())
        .map(|o| (o.layer, o.sequence))
        .collect();
    assert_eq!(orders, [(0, 0), (0, 1), (1, 0)].into());
}

#[test]
fn empty_files_take_no_room_and_symlinks_keep_their_target() {
    let image = Layout::of(&[Layer::plain(&tar(&[Entry::File("usr/e", b""), Entry::Symlink("usr/s", "a//b/./c")]))])
        .load()
        .unwrap();
    let empty = image.contents.objects.iter().find_map(|(_, object)| match object.payload {
        Payload::Regular(content) => Some(content),
        Payload::Symlink(_) => None,
    });
    assert_eq!(empty, Some(Content::default()));
    assert_eq!(content(&image, 0, "usr/s"), b"a/b/c");
    assert!(
        image
            .contents
            .objects
            .iter()
            .any(|(_, object)| matches!(&object.payload, Payload::Regular(content) if content.len == 0))
    );
}

#[test]
fn devices_and_fifos_are_refused_only_where_they_would_stay() {
    use ::tar::EntryType;
    let refusal = |name, kind| {
        Layout::of(&[Layer::plain(&tar(&[Entry::Special(name, kind)]))]).load().map(drop).map_err(|e| e.to_string())
    };
    assert!(
        refusal("usr/x", EntryType::Char)
            .unwrap_err()
            .contains("`usr/x` is a character device, which ostree cannot store")
    );
    assert!(refusal("opt/b", EntryType::Block).unwrap_err().contains("`opt/b` is a block device"));
    assert!(refusal("var/f", EntryType::Fifo).unwrap_err().contains("`var/f` is a fifo"));
    for name in ["dev/null", "run/x", "./tmp/x"] {
        assert_eq!(refusal(name, EntryType::Char), Ok(()));
    }
}

#[test]
fn paths_stay_inside_the_tree() {
    let load = |name| Layout::of(&[Layer::plain(&tar(&[Entry::File(name, b"x")]))]).load();
    for name in ["../etc/passwd", "usr/../../x", "run/../x"] {
        let refusal = load(name).unwrap_err().to_string();
        assert!(refusal.starts_with("layer 0 (") && refusal.contains(&format!("`{name}`")), "{refusal}");
    }
    assert_eq!(content(&load("/usr/x").unwrap(), 0, "usr/x"), b"x");
}

#[test]
fn a_hard_link_to_nothing_and_a_cut_member_are_refused() {
    let dangling = tar(&[Entry::Hardlink("usr/h", "usr/gone")]);
    assert!(Layout::of(&[Layer::plain(&dangling)]).refusal().contains("the hard link `usr/h` points to `usr/gone`"));
    let cut = &tar(&[Entry::File("usr/x", &[1; 5000])])[..3000];
    assert!(
        Layout::of(&[Layer::gzip(cut)]).refusal().ends_with("the tar stream ends at byte 3000 in the middle of a file")
    );
}

#[test]
fn files_below_sysroot_ostree_repo_are_ordinary_in_a_plain_image() {
    let path = "sysroot/ostree/repo/objects/aa/bb.file";
    let image = Layout::of(&[Layer::plain(&tar(&[Entry::File(path, b"x")]))]).load().unwrap();
    assert_eq!(content(&image, 0, path), b"x");
}
