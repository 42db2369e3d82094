//! The program `ostree` is the judge: it imports, merges and checks what this room computes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::judges::ostree::{Judge, commit, commit_id};
use crate::judges::ostree_layer::{Entry, directory, file, hardlink, layer, symlink};
use bootwright::ostree::{ObjectKind, ObjectName, merge_layers, refs, repo};

/// Fails unless `ostree` makes the same commit of the entries.
fn imports_alike(entries: &[Entry]) {
    let (id, listing) = Judge::new().imports(entries);
    assert_eq!(commit_id(&layer(entries).unwrap()), id, "{listing}");
}

/// Fails unless `ostree` merges the layers to the same commit.
fn merges_alike(layers: Vec<Vec<Entry>>) {
    let (id, listing) = Judge::new().merges(&layers);
    let merged = merge_layers(None, layers.iter().map(|entries| layer(entries).unwrap())).unwrap();
    assert_eq!(commit_id(&merged.root), id, "{listing}");
}

fn every_kind_of_entry() -> Vec<Entry> {
    vec![
        directory("usr").owned(0, 0),
        directory("usr/bin").mode(0o2775).owned(3, 4).xattr("user.color", b"blue"),
        file("usr/bin/sudo", "#!").mode(0o4755),
        file("usr/bin/ping", "ping").xattr("security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        file("usr/bin/empty", "").mode(0o600).owned(70_000, 2_000_000),
        file("usr/bin/attrs", "x").xattr("user.A", b"0").xattr("user.a", b"1\n2").xattr("user.b", &[7; 300]),
        symlink("usr/bin/sh", "bash"),
        symlink("bin", "usr/bin").owned(5, 6),
        directory("tmp").mode(0o1777),
        file("tmp/Ünïcödé → 日本", "names"),
        file("tmp/a name with spaces\nand a line", "names"),
        file("tmp/Z", "Z"),
        file("tmp/_", "_"),
        hardlink("usr/bin/sudoedit", "usr/bin/sudo"),
    ]
}

#[test]
fn every_kind_of_entry_is_imported_alike() {
    imports_alike(&every_kind_of_entry());
}

#[test]
fn a_layer_without_entries_is_imported_alike() {
    imports_alike(&[]);
}

#[test]
fn directories_of_400_entries_are_imported_alike() {
    let mut entries = vec![directory("files"), directory("dirs")];
    for number in 0..400 {
        entries.push(file(&format!("files/{number}-{}", "n".repeat(number % 200)), &number.to_string()));
        entries.push(directory(&format!("dirs/{number}-{}", "d".repeat(number % 200))).owned(number as u32 % 7, 0));
    }
    imports_alike(&entries);
}

#[test]
fn a_tree_of_200_levels_is_imported_alike() {
    let paths = (1..=200).map(|depth| vec!["deep"; depth].join("/"));
    let mut entries: Vec<Entry> = paths.map(|path| directory(&path).owned(1, 2)).collect();
    entries.push(file(&format!("{}/end", vec!["deep"; 200].join("/")), "end"));
    imports_alike(&entries);
}

#[test]
fn a_missing_direct_parent_resets_all_ancestors_up_to_the_root_alike() {
    imports_alike(&[
        directory("usr").mode(0o700).owned(7, 7).xattr("user.gone", b"1"),
        directory("usr/share").mode(0o711).owned(8, 8),
        file("usr/lib/x/f", "f").owned(9, 10),
    ]);
    imports_alike(&[
        file("usr/lib/x/f", "f").owned(9, 10),
        directory("usr/q/d").owned(11, 12),
        file("usr/lib/g", "g").owned(1, 1),
    ]);
}

#[test]
fn an_explicit_entry_after_the_reset_wins_alike() {
    imports_alike(&[
        file("usr/lib/x/f", "f").owned(9, 10),
        directory("usr/lib").mode(0o750).owned(1, 2).xattr("user.a", b"1"),
        directory("usr").mode(0o711),
    ]);
}

#[test]
fn a_hard_link_whose_parent_is_missing_resets_the_ancestors_with_its_own_owner_alike() {
    imports_alike(&[file("f", "f"), hardlink("usr/lib/d", "f").owned(3, 4)]);
}

#[test]
fn top_level_entries_leave_the_root_0755_0_0_alike() {
    imports_alike(&[file("a", "a").owned(9, 10), directory("b").owned(9, 10).mode(0o700)]);
}

#[test]
fn hard_links_get_the_object_their_target_has_at_the_end_of_the_layer_alike() {
    imports_alike(&[
        hardlink("b", "a"),
        file("a", "first"),
        file("a", "second"),
        hardlink("c/d", "./a"),
        hardlink("a", "a"),
    ]);
    imports_alike(&[symlink("a", "x"), hardlink("b", "a"), file("c", "c"), hardlink("c", "a")]);
}

#[test]
fn of_duplicate_entries_the_last_wins_alike() {
    imports_alike(&[
        file("a", "first"),
        file("a", "second").mode(0o600).owned(1, 1),
        directory("d").owned(1, 1),
        file("d/x", "x"),
        symlink("d/x", "now a link"),
        directory("d").mode(0o700).owned(2, 2),
    ]);
}

#[test]
fn symlink_targets_leave_the_tar_writer_of_the_importer_alike() {
    let at_the_limit = [99, 100, 101, 102].map(|len| format!("{}//{}", "x".repeat(50), "y".repeat(len - 52)));
    let targets = [
        "a//b",
        "./a",
        "././a",
        "a/./b",
        "a/.",
        "a/",
        "a//",
        "//",
        "/",
        "//a//b/./c/",
        ".",
        "./.",
        "/.",
        "a/..",
        "../..",
    ];
    let targets = targets.map(str::to_owned).into_iter().chain(at_the_limit).enumerate();
    imports_alike(&targets.map(|(number, target)| symlink(&number.to_string(), &target)).collect::<Vec<_>>());
}

#[test]
fn whiteouts_are_ordinary_files_in_a_layer_commit_alike() {
    imports_alike(&[directory("usr"), file("usr/.wh.gone", ""), file("usr/.wh..wh..opq", "")]);
}

#[test]
fn layers_are_merged_alike() {
    merges_alike(vec![
        vec![
            directory("usr").mode(0o750).owned(1, 1),
            directory("usr/lib"),
            file("usr/lib/old", "old"),
            file("usr/lib/replaced", "old"),
            directory("usr/opaque").owned(4, 4),
            file("usr/opaque/hidden", "hidden"),
            directory("usr/opaque/dir"),
            directory("usr/gone/below"),
            directory("usr/becomes-file/below"),
            symlink("usr/becomes-other-link", "a"),
        ],
        vec![
            directory("usr").mode(0o700).owned(2, 2),
            file("usr/.wh.gone", ""),
            file("usr/.wh.never-there", ""),
            file("usr/becomes-file", "file"),
            symlink("usr/becomes-other-link", "b"),
            directory("usr/lib"),
            file("usr/lib/.wh.old", ""),
            file("usr/lib/replaced", "new").mode(0o4711),
            directory("usr/opaque").mode(0o711).owned(5, 5),
            file("usr/opaque/.wh..wh..opq", ""),
            file("usr/opaque/new", "new"),
            directory("usr/new").owned(6, 6),
        ],
        vec![file("usr/new/file", "x"), directory("usr/gone"), file("usr/gone/back", "back")],
    ]);
}

#[test]
fn a_whiteout_and_a_file_of_that_name_in_one_layer_are_merged_alike() {
    merges_alike(vec![
        vec![file(".bashrc", "old"), file("profile", "old"), file("+plus", "old"), directory("dir/old")],
        vec![
            file(".bashrc", "new"),
            file(".wh..bashrc", ""),
            file("profile", "new"),
            file(".wh.profile", ""),
            file("+plus", "new"),
            file(".wh.+plus", ""),
            directory("dir"),
            file(".wh.dir", ""),
        ],
    ]);
}

#[test]
fn the_first_layer_gives_the_merged_root_its_owner_alike() {
    merges_alike(vec![
        vec![file("usr/lib/x", "parents are missing").owned(9, 10)],
        vec![file("opt/lib/x", "parents are missing").owned(11, 12)],
    ]);
}

#[test]
fn an_opaque_root_gives_the_merged_root_its_owner_alike() {
    merges_alike(vec![
        vec![file("usr/lib/x", "hidden").owned(9, 10)],
        vec![file("opt/lib/x", "stays").owned(11, 12), file(".wh..wh..opq", "")],
    ]);
}

#[test]
fn ostree_fsck_accepts_a_repository_laid_out_by_these_names() {
    let judge = Judge::new();
    let root = Path::new(&judge.path("repo")).to_owned();
    fs::remove_dir_all(&root).unwrap();
    for name in repo::DIRECTORIES.map(str::to_owned).into_iter().chain(repo::object_directories()) {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("config"), repo::config("none")).unwrap();

    let entries =
        [directory("usr").mode(0o1777), file("usr/tool", "tool").mode(0o4755).owned(5, 6), symlink("bin", "usr")];
    let tree = layer(&entries).unwrap();
    let put = |object: ObjectName, bytes: &[u8]| fs::write(root.join(repo::object_path(object)), bytes).unwrap();
    let (root_tree, root_meta) = tree.write(&mut |object, bytes| put(object, &bytes));
    let commit = commit(root_tree, root_meta);
    put(ObjectName { checksum: commit.checksum(), kind: ObjectKind::Commit }, &commit.bytes());

    let path = |checksum| root.join(repo::object_path(ObjectName { checksum, kind: ObjectKind::File }));
    std::os::unix::fs::symlink("usr", path(tree.files["bin"])).unwrap();
    let tool = path(tree.dirs["usr"].files["tool"]);
    fs::write(&tool, "tool").unwrap();
    chown(&tool, Some(5), Some(6)).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o4755)).unwrap();

    let name = refs::image_ref("docker://quay.io/fedora/fedora-bootc:42").unwrap();
    let ref_file = root.join(repo::ref_path(&name));
    fs::create_dir_all(ref_file.parent().unwrap()).unwrap();
    fs::write(ref_file, repo::ref_content(commit.checksum())).unwrap();

    let said = judge.says(&["fsck"]);
    assert!(said.contains("object fsck of 1 commits completed successfully"), "{said}");
    assert_eq!(judge.says(&["refs"]).trim(), name);
    assert_eq!(judge.says(&["rev-parse", &name]).trim(), commit.checksum().to_string());
    assert_eq!(judge.says(&["cat", &name, "usr/tool"]), "tool");
}
