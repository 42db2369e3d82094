//! Encapsulated commits that are broken: each is refused with one sentence that says what and where, and nothing is written.

use std::collections::BTreeSet;

use crate::support;
use crate::support::chunked::{Encapsulated, Form, object, place};
use crate::support::mini_image::{MiniImage, base, digest, small_partitions};
use crate::support::program;
use crate::support::tar::{Entry, Kind, file, hardlink, symlink};

struct Place {
    scratch: tempfile::TempDir,
    commit: Encapsulated,
}

impl Place {
    fn new() -> Place {
        let scratch = tempfile::tempdir().unwrap();
        let commit = Encapsulated::new(scratch.path(), &base(), &[]);
        Place { scratch, commit }
    }

    fn file(&self, path: &str) -> String {
        self.commit.paths[path].clone()
    }

    /// The build of an image ends with one error that holds all of `facts`, and leaves no file.
    fn refuses(&self, image: &MiniImage, facts: &[&str]) {
        let directory = tempfile::tempdir_in(self.scratch.path()).unwrap();
        let layout = image.write(&directory.path().join("image"));
        let output = directory.path().join("out");
        let small = small_partitions(directory.path());
        let ended = program::end(program::build(&layout.reference(), &output).args(["--layout", &small]));
        let said = &ended.stderr;
        assert_eq!(ended.code, Some(1), "{facts:?}: {said}");
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
        facts.iter().for_each(|fact| assert!(said.contains(fact), "`{fact}` is not in\n{said}"));
        assert!(!output.exists(), "{said}");
    }

    /// The same of three layers after `change`.
    fn refuses_layers(&self, change: impl FnOnce(&mut [Vec<Entry>; 3]), facts: &[&str]) {
        let mut layers = self.commit.three_layers(Form::Current);
        change(&mut layers);
        self.refuses(&self.commit.image(layers), facts);
    }
}

/// The entry at a place in the repository.
fn at<'a>(layer: &'a mut [Entry], name: &str) -> &'a mut Entry {
    layer.iter_mut().find(|entry| entry.path == place(name)).unwrap_or_else(|| panic!("no {name}"))
}

fn flip(entry: &mut Entry) {
    let Kind::File(bytes) = &mut entry.kind else { panic!("{} is no file", entry.path) };
    *bytes.last_mut().unwrap() ^= 1;
}

#[test]
fn objects_that_are_not_what_their_names_say() {
    let place = Place::new();
    let kernel = place.file("usr/lib/modules/6.1.0-mini/vmlinuz");
    place.refuses_layers(
        |layers| flip(at(&mut layers[1], &format!("{kernel}.file"))),
        &["layer 1", &format!("{kernel}.file"), "not what its name says"],
    );
    let su = place.file("usr/bin/su");
    let wrong: [fn(&mut Entry); 3] =
        [|entry| entry.mode = 0o755, |entry| entry.owner = (0, 1), |entry| entry.kind = Kind::Symlink("x".to_owned())];
    for wrong in wrong {
        place.refuses_layers(
            |layers| wrong(at(&mut layers[2], &format!("{su}.file"))),
            &["layer 2", &format!("{su}.file"), "not what its name says"],
        );
    }
    let tree = place.commit.metadata.keys().find(|name| name.ends_with(".dirtree")).unwrap();
    place.refuses_layers(|layers| flip(at(&mut layers[0], tree)), &["layer 0", tree, "not what its name says"]);
    let commit = format!("{}.commit", place.commit.commit);
    place.refuses_layers(|layers| flip(at(&mut layers[0], &commit)), &["layer 0", &commit, "not what its name says"]);
}

#[test]
fn xattrs_that_are_broken() {
    let place = Place::new();
    let ping = place.file("usr/bin/ping");
    let (link, file_name) = (format!("{ping}.file-xattrs-link"), format!("{ping}.file"));
    // The last byte is a framing offset, the first of the name.
    place.refuses_layers(|layers| flip(at(&mut layers[2], &link)), &["layer 2", &ping[2..], "file-xattrs"]);
    place.refuses_layers(
        |layers| {
            let Kind::File(bytes) = &mut at(&mut layers[2], &link).kind else { panic!() };
            bytes[0] ^= 1;
        },
        &["layer 2", &file_name, "not what its name says"],
    );
    place.refuses_layers(
        |layers| at(&mut layers[2], &link).kind = Kind::File(vec![0; (1 << 20) + 1]),
        &["layer 2", &ping[2..], "1048577 bytes, 1048576 are allowed"],
    );
    place.refuses_layers(
        |layers| layers[2].retain(|entry| entry.path != support::chunked::place(&link)),
        &["layer 2", &file_name, "xattrs do not come before"],
    );
    place.refuses_layers(
        |layers| layers[2].retain(|entry| entry.path != support::chunked::place(&file_name)),
        &["layer 2", &ping, "not by that file"],
    );
    let su = place.file("usr/bin/su");
    place.refuses_layers(
        |layers| at(&mut layers[2], &link).path = support::chunked::place(&format!("{su}.file-xattrs-link")),
        &["layer 2", &file_name, &format!("the xattrs of {su}.file")],
    );
    place.refuses_layers(
        |layers| *at(&mut layers[2], &link) = hardlink(&support::chunked::place(&link), "../ab/cd.file-xattrs"),
        &["layer 2", &ping[2..], "`../ab/cd.file-xattrs`"],
    );
}

#[test]
fn sets_of_xattrs_that_are_not_what_their_names_say() {
    let place = Place::new();
    let commit = &place.commit;
    for form in [Form::Linked, Form::Zero] {
        let mut layers = commit.three_layers(form);
        let set = |entry: &&mut Entry| {
            matches!(&entry.kind, Kind::File(bytes) if !bytes.is_empty())
                && (entry.path.ends_with(".file-xattrs") || entry.path.contains("/xattrs/"))
        };
        let Kind::File(bytes) = &mut layers[2].iter_mut().find(set).unwrap().kind else { panic!() };
        bytes[0] ^= 1;
        place.refuses(&commit.image(layers), &["layer 2", "not what their name says"]);
    }
}

#[test]
fn commits_that_are_not_whole() {
    let place = Place::new();
    let kernel = place.file("usr/lib/modules/6.1.0-mini/vmlinuz");
    let commit = &place.commit;
    let without = |layer: &mut Vec<Entry>, name: &str| {
        let (own, link) = (support::chunked::place(name), support::chunked::place(&format!("{name}-xattrs-link")));
        layer.retain(|entry| entry.path != own && entry.path != link);
    };
    place.refuses_layers(
        |layers| without(&mut layers[1], &format!("{kernel}.file")),
        &["lack 1 of the objects of the commit", &commit.commit, &format!("{kernel}.file")],
    );
    let last = commit.metadata.keys().rfind(|name| name.ends_with(".dirmeta")).unwrap();
    place.refuses_layers(|layers| without(&mut layers[0], last), &["lack 1 of the objects of the commit", last]);
    place.refuses_layers(
        |layers| layers[0].retain(|entry| !entry.path.ends_with(".dirtree")),
        &["lack 1 of the objects of the commit", ".dirtree"],
    );
    place.refuses_layers(
        |layers| layers[0].retain(|entry| !entry.path.ends_with(".commit")),
        &["layer 0", "holds no commit"],
    );
    let [first, second, _] = commit.three_layers(Form::Current);
    let [_, _, missing] = commit.thirds();
    let count = format!("lack {} of the objects of the commit", missing.len());
    place.refuses(&commit.image([first, second]), &[&count, "2 ostree layers lack"]);
}

#[test]
fn labels_that_belong_to_another_commit() {
    let place = Place::new();
    let other = "ab".repeat(32);
    place.refuses(
        &place.commit.chunked().label("ostree.commit", &other),
        &["ostree.commit", &other, &place.commit.commit],
    );
}

#[test]
fn a_label_that_names_a_layer_twice_or_none_of_them() {
    let place = Place::new();
    let layers = place.commit.three_layers(Form::Current);
    let image = place.commit.image(layers.clone()).with(layers[2].clone());
    place.refuses(&image, &["ostree.final-diffid", "2 of its layers"]);
    let only_objects = |layer: &Vec<Entry>| -> Vec<Entry> {
        layer.iter().filter(|entry| entry.path.starts_with("sysroot")).cloned().collect()
    };
    let image = place.commit.image(layers.iter().map(only_objects).collect::<Vec<_>>());
    place.refuses(
        &image.label("ostree.final-diffid", &digest(b"gone")),
        &["ostree.final-diffid", "none of its 3 layers", "`usr`"],
    );
}

#[test]
fn objects_in_layers_where_they_do_not_belong() {
    let place = Place::new();
    let commit = &place.commit;
    for suffix in [".commit", ".dirtree", ".dirmeta"] {
        let (name, bytes) = commit.metadata.iter().find(|(name, _)| name.ends_with(suffix)).unwrap();
        place.refuses_layers(|layers| layers[1].push(object(name, bytes)), &["layer 1", name, "only files"]);
    }
    let kernel = place.file("usr/lib/modules/6.1.0-mini/vmlinuz");
    let again = commit.files[&kernel].entries(&kernel, Form::Current, &mut BTreeSet::new());
    place.refuses_layers(|layers| layers[1].extend(again), &["layer 1", &format!("{kernel}.file"), "twice"]);
    let second = [&commit.metadata[&format!("{}.commit", commit.commit)][..], b"x"].concat();
    let name = format!("{}.commit", &digest(&second)[7..]);
    place.refuses_layers(|layers| layers[0].push(object(&name, &second)), &["layer 0", "a commit layer has one"]);
    let signed = format!("{}.commitmeta", "ab".repeat(32));
    place.refuses_layers(|layers| layers[0].push(object(&signed, b"")), &["layer 0", "signatures", &"ab".repeat(32)]);
    let own = format!("{}.commitmeta", commit.commit);
    place.refuses_layers(|layers| layers[0].push(object(&own, &[0xff; 9])), &[&own, "commitmeta"]);
}

#[test]
fn entries_that_are_no_objects() {
    let place = Place::new();
    let repo = "sysroot/ostree/repo";
    for name in ["objects/x", "objects/ab/cd.file", "objects/ab/../cd", "xattrs/1234"] {
        let path = format!("{repo}/{name}");
        place.refuses_layers(|layers| layers[1].push(file(&path, "x")), &["layer 1", &path, "no place"]);
    }
    let unknown = support::chunked::place(&format!("{}.filez", "ab".repeat(32)));
    place.refuses_layers(|layers| layers[1].push(file(&unknown, "x")), &["layer 1", &unknown, "no place"]);
    let kernel = place.file("usr/lib/modules/6.1.0-mini/vmlinuz");
    let at_kernel = support::chunked::place(&format!("{kernel}.file"));
    place.refuses_layers(
        |layers| *at(&mut layers[1], &format!("{kernel}.file")) = hardlink(&at_kernel, "usr/x"),
        &["layer 1", &at_kernel, "a hard link"],
    );
    let tree = place.commit.metadata.keys().find(|name| name.ends_with(".dirtree")).unwrap();
    let at_tree = support::chunked::place(tree);
    place.refuses_layers(
        |layers| *at(&mut layers[0], tree) = symlink(&at_tree, "x"),
        &["layer 0", &at_tree, "a symbolic link"],
    );
    place.refuses_layers(
        |layers| at(&mut layers[0], tree).kind = Kind::File(vec![0; (10 << 20) + 1]),
        &["layer 0", &at_tree, "10485761 bytes, 10485760 are allowed"],
    );
}

#[test]
fn layers_that_are_not_what_the_image_says() {
    let place = Place::new();
    let image = place.commit.chunked();
    let other = digest(b"something else");
    place.refuses(&MiniImage { wrong_diff_id: Some((1, other.clone())), ..image }, &["layer 1", &other]);
}
