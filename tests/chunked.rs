//! Disks of images that encapsulate an ostree commit: the commit stays what it is, layers come over it, and the disk holds it all.
//! Judged by the program `ostree`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::layout;
use crate::support::chunked::{Encapsulated, Form};
use crate::support::disk::{self, Disks};
use crate::support::importer::{plan, printed, warnings};
use crate::support::mini_image::{self, MiniImage, base, small_partitions};
use crate::support::sysroot::{self, Sysroot};
use crate::support::tar::file;
use crate::support::{program, shelf};
use qemu_tests::oracle;
use serde_json::Value;

/// What the composer said of its commit afterwards.
const DETACHED: [&str; 2] = ["composer.said", "it is good"];

/// The mini system as a commit with all that commits have.
fn commit(directory: &Path) -> Encapsulated {
    let mut entries = base();
    entries.push(file("usr/share/attributes", "x").xattr("user.b", b"2").xattr("user.a", b"1"));
    entries.push(file("usr/share/large", b"large ".repeat(500_000)));
    let detached = format!("--add-detached-metadata-string={}={}", DETACHED[0], DETACHED[1]);
    Encapsulated::new(directory, &entries, &["--add-metadata-string=version=42", &detached])
}

/// A disk of an image of that commit, laid down once, and the commit.
fn disk(name: &str, image: fn(&Encapsulated) -> MiniImage) -> (Disks, Encapsulated) {
    let scratch = tempfile::tempdir().unwrap();
    let commit = commit(scratch.path());
    let layout = image(&commit).write(&scratch.path().join("image"));
    let made = shelf::get_for_program(name, &layout.manifest_digest, |directory| {
        disk::build_into(&layout.reference(), directory, &["--layout", &small_partitions(directory)]);
    });
    (Disks::at(made), commit)
}

fn disk_of_a_commit() -> (Disks, Encapsulated) {
    disk("disk-of-a-commit", Encapsulated::chunked)
}

/// Of [`disk_of_a_commit`].
fn mounted() -> (Sysroot, Encapsulated) {
    let (disks, commit) = disk_of_a_commit();
    (sysroot::of(&disks), commit)
}

/// All `commits` are whole, and no object belongs to none of them.
fn is_whole(sysroot: &Sysroot, commits: usize) {
    let said = sysroot.repo("fsck", &["--all"]);
    let expected = format!("object fsck of {commits} commits completed successfully - no errors found.");
    assert!(said.contains(&expected), "{said}");
    let prune = sysroot.repo("prune", &["--refs-only", "--no-prune"]);
    assert!(prune.contains("No unreachable objects"), "{prune}");
    assert_eq!(program::files_below(&sysroot.join("ostree/repo/state")), [""; 0]);
}

fn blob_ref(layer: &str) -> String {
    format!("ostree/container/blob/sha256_3A_{}", layer.strip_prefix("sha256:").unwrap())
}

fn layers_of(disks: &Disks) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let layers = disks.manifest()["image"]["layers"].as_array().unwrap().clone();
    layers.iter().map(|layer| (text(&layer["digest"]), text(&layer["commit"]))).collect()
}

#[test]
fn ostree_finds_every_object_whole_and_none_too_much() {
    // The merge commit, the commit that the image was made of, and two object sets.
    is_whole(&mounted().0, 4);
}

#[test]
fn every_layer_has_a_ref_and_the_first_leads_to_the_commit_itself() {
    let (disks, commit) = disk_of_a_commit();
    let sysroot = sysroot::of(&disks);
    let layers = layers_of(&disks);
    assert_eq!((layers.len(), &layers[0].1), (3, &commit.commit));
    let mut expected: BTreeSet<String> = layers.iter().map(|(digest, _)| blob_ref(digest)).collect();
    for (digest, commit) in &layers {
        assert_eq!(sysroot.repo("rev-parse", &[&blob_ref(digest)]).trim(), commit);
    }
    let image = "ostree/container/image/docker_3A__2F__2F_registry_2E_example/mini_3A_1";
    expected.extend(["ostree/1/1/0".to_owned(), image.to_owned()]);
    assert_eq!(sysroot.repo("refs", &[]).lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    assert_eq!(disks.manifest()["image"]["base_commit"], commit.commit.as_str());
}

#[test]
fn the_commit_keeps_its_metadata_and_what_was_said_of_it_afterwards() {
    let (sysroot, commit) = mounted();
    let version = sysroot.repo("show", &["--print-metadata-key=version", &commit.commit]);
    assert_eq!(version.trim(), "'42'");
    let key = format!("--print-detached-metadata-key={}", DETACHED[0]);
    assert_eq!(sysroot.repo("show", &[&key, &commit.commit]).trim(), format!("'{}'", DETACHED[1]));
}

#[test]
fn the_deployed_commit_has_the_same_tree_and_the_commit_as_its_parent() {
    let (sysroot, commit) = mounted();
    let deployed = sysroot.commit();
    assert_ne!(deployed, commit.commit);
    assert_eq!(sysroot.root_of(&deployed), sysroot.root_of(&commit.commit));
    assert_eq!(sysroot.repo("rev-parse", &[&format!("{deployed}^")]).trim(), commit.commit);
    assert!(sysroot.repo("log", &[&deployed]).contains(&commit.commit));
    let status = sysroot.admin("status", &[]);
    assert!(status.contains(&format!("default {deployed}.0")), "{status}");
}

#[test]
fn the_deployment_consists_of_hard_links_to_the_commits_objects() {
    let (sysroot, commit) = mounted();
    let checksum = &commit.paths["usr/share/large"];
    let object = sysroot.join(&format!("ostree/repo/objects/{}/{}.file", &checksum[..2], &checksum[2..]));
    let deployed = sysroot.deployment().join("usr/share/large");
    assert_eq!(object.metadata().unwrap().ino(), deployed.metadata().unwrap().ino());
    assert_eq!(fs::read(deployed).unwrap(), b"large ".repeat(500_000));
}

#[test]
fn a_disk_of_a_commit_with_layers_over_it_is_whole() {
    let (disks, commit) = disk("disk-of-layers-over-a-commit", Encapsulated::with_layers);
    let sysroot = sysroot::of(&disks);
    is_whole(&sysroot, 6);
    let deployed = sysroot.deployment();
    assert_eq!(fs::read_to_string(deployed.join("usr/bin/su")).unwrap(), "another\n");
    assert_eq!(fs::read_to_string(deployed.join("usr/share/two")).unwrap(), "changed in place\n");
    assert!(!deployed.join("usr/share/large").exists() && !deployed.join("usr/lib/new/deep").exists());
    assert!(
        sysroot.repo("ls", &[&commit.commit, "/usr/share/large"]).contains("3000000"),
        "the base has what a layer took away"
    );
    assert!(sysroot.admin("status", &[]).contains(&format!("default {}.0", sysroot.commit())));
}

#[test]
fn all_forms_of_the_layers_hold_the_same_commit() {
    let scratch = tempfile::tempdir().unwrap();
    let commit = commit(scratch.path());
    let small = small_partitions(scratch.path());
    let mut seen = BTreeMap::<String, Vec<String>>::new();
    for form in [Form::Current, Form::Linked, Form::Zero] {
        let image = commit.image(commit.three_layers(form)).write(&scratch.path().join(format!("{form:?}")));
        seen.insert(format!("{form:?}"), printed(&image.reference(), &["--layout", &small]).0);
    }
    assert_eq!(seen["Current"][0], commit.commit);
    assert!(seen.values().all(|layers| *layers == seen["Current"]), "{seen:?}");
    let all = commit.files.keys().cloned().collect();
    let unchunked = commit.image([commit.commit_layer(Form::Linked, &all)]).write(&scratch.path().join("unchunked"));
    assert_eq!(printed(&unchunked.reference(), &["--layout", &small]).0, [commit.commit]);
}

/// Made by ostree-ext 0.15.3 out of a commit with a setuid file, an empty one, xattrs, a link to `../share//with-xattrs`, two names
/// of one file, and something said of it afterwards, in layers for tools, for shared files and for the rest. The ids are those
/// that its importer gave the layers.
#[test]
fn layers_that_ostree_ext_wrote_become_the_commits_that_it_makes_of_them() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ostree-ext-0.15.3.oci.tar");
    let image = layout::load(&format!("oci-archive:{}", file.display()), None).unwrap();
    let imported = bootwright::deploy::import(&image, 0).unwrap();
    let layers = image.blobs().map(|blob| blob.digest.to_string()[7..15].to_owned());
    let commits = imported.layers.iter().map(ToString::to_string);
    let expected = [
        ("f54fc20d", "21388b4e32a605ea69e5a44a97a5250f15d1dec47f5690648be4395e9f3d6108"),
        ("ab1fd047", "3b66dee4e53f873380114771085e9534ff5a969d79df6fbed58194df4fd3f05b"),
        ("3fd5fd09", "30f96bb1202a7dbdd0e8a35a709c6cca5ea6bd74026484d311a8236ac4461d29"),
        ("7f809be1", "1a58f3fd12560af19a52da2ac626421aaddf6e5a8108b2c0e528a4876147df7a"),
        ("5f9d3dcf", "6109d33e99f48e9b90cdf8ad037b8e5d20ef899697cfd3eb492cf78800aed498"),
    ];
    let expected = expected.map(|(layer, commit)| (layer.to_owned(), commit.to_owned()));
    assert_eq!(layers.zip(commits).collect::<Vec<_>>(), expected);
}

#[test]
fn an_image_whose_commit_was_lost_is_built_from_what_containers_see() {
    let scratch = tempfile::tempdir().unwrap();
    let commit = Encapsulated::new(scratch.path(), &base(), &[]);
    let mut image = MiniImage::bootable();
    image.labels = commit.chunked().label("ostree.final-diffid", &mini_image::digest(b"gone")).labels;
    let layout = image.write(&scratch.path().join("image"));
    let plan = plan(&layout.reference(), &small_partitions(scratch.path()));
    let said = warnings(&plan);
    assert!(said.contains("`ostree.final-diffid` names none of its layers"), "{said}");
    assert!(plan["image"].get("base_commit").is_none());
}

#[test]
fn a_hundred_thousand_objects_take_little_memory() {
    let scratch = tempfile::tempdir().unwrap();
    let commit = Encapsulated::new(scratch.path(), &base(), &[]);
    let [first, second, third] = commit.three_layers(Form::Current);
    let mut many = second.clone();
    let mut sets = BTreeSet::new();
    let template = commit.files[&commit.paths["usr/share/one"]].clone();
    for number in 0..100_000_u32 {
        let mut object = template.clone();
        object.content = number.to_string().into_bytes();
        // The header of an object without xattrs, owned by root, and the content.
        let header = [&[0, 0, 0, 0x12, 0, 0, 0, 0][..], &[0; 8], &[0, 0, 0x81, 0xa4], &[0; 5], &[0x11]].concat();
        let checksum = mini_image::digest(&[&header[..], &object.content].concat())[7..].to_owned();
        many.extend(object.entries(&checksum, Form::Current, &mut sets));
    }
    let image = commit.image([first, many, third]).write(&scratch.path().join("image"));
    let mut command = program::build(&image.reference(), &scratch.path().join("out"));
    let args = ["--dry-run", "--format", "json", "--threads", "2", "--layout", &small_partitions(scratch.path())];
    let mut limited = Command::new(oracle::tool("prlimit", "util-linux"));
    limited.arg("--data=419430400").arg(command.get_program());
    limited.args(command.args(args).get_args());
    program::succeed(&mut limited);
}
