//! Images that encapsulate an ostree commit: the commit stays what it is, layers come over it, and the disk holds it all. Judged by
//! the program `ostree`.

mod layout;
mod oracle;
#[path = "selinux/policy.rs"]
#[allow(dead_code)]
mod policy;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::chunked::{Encapsulated, Form, place};
use support::disk::{self, Disks};
use support::importer::{Judge, facts, filtered, printed};
use support::mini_image::{self, CREATED_SECONDS, MiniImage, base, small_partitions};
use support::repository::Repository;
use support::sysroot::{self, Sysroot};
use support::tar::{Entry, directory, file, hardlink, stream, symlink};
use support::{program, shelf};

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

/// An archive of [`commit`], to pull from.
fn archive(directory: &Path) -> Repository {
    Repository { path: directory.join("archive") }
}

/// Lays everything down once: a disk of an image without derived layers, and the archive beside it.
fn disk_of_a_commit() -> (Sysroot, Encapsulated) {
    let (disks, place) = disk("chunked", |commit| commit.chunked());
    (sysroot::of(&disks), Encapsulated::of(&archive(&place), &id(&archive(&place))))
}

fn id(archive: &Repository) -> String {
    archive.says("rev-parse", &[support::repository::BRANCH]).trim().to_owned()
}

fn disk(name: &str, image: impl FnOnce(&Encapsulated) -> MiniImage) -> (Disks, PathBuf) {
    let made = shelf::get_for_program(&format!("disk-of-{name}"), "1", |directory| {
        let image = image(&commit(directory)).write(&directory.join("oci"));
        disk::build_into(&image.reference(), directory, &["--layout", &small_partitions(directory)]);
    });
    (Disks::at(made.clone()), made)
}

/// The root's dirtree and dirmeta.
fn root_of(sysroot: &Sysroot, commit: &str) -> Vec<String> {
    let said = sysroot.repo("ls", &["-d", "-C", commit, "/"]);
    said.split_whitespace().filter(|word| word.len() == 64).map(str::to_owned).collect()
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
    let (sysroot, _) = disk_of_a_commit();
    let said = sysroot.repo("fsck", &["--all"]);
    // The merge commit, the base, and two object sets.
    assert!(said.contains("object fsck of 4 commits completed successfully - no errors found."), "{said}");
    let prune = sysroot.repo("prune", &["--refs-only", "--no-prune"]);
    assert!(prune.contains("would delete: 0") || prune.contains("No unreachable"), "{prune}");
    assert_eq!(program::files_below(&sysroot.join("ostree/repo/state")), [""; 0]);
}

#[test]
fn every_layer_has_a_ref_and_the_first_leads_to_the_commit_itself() {
    let (sysroot, commit) = disk_of_a_commit();
    let (disks, _) = disk("chunked", |commit| commit.chunked());
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
    let (sysroot, commit) = disk_of_a_commit();
    let version = sysroot.repo("show", &["--print-metadata-key=version", &commit.commit]);
    assert_eq!(version.trim(), "'42'");
    let key = format!("--print-detached-metadata-key={}", DETACHED[0]);
    assert_eq!(sysroot.repo("show", &[&key, &commit.commit]).trim(), format!("'{}'", DETACHED[1]));
}

#[test]
fn the_deployed_commit_has_the_same_tree_and_the_commit_as_its_parent() {
    let (sysroot, commit) = disk_of_a_commit();
    let deployed = sysroot.commit();
    assert_ne!(deployed, commit.commit);
    assert_eq!(root_of(&sysroot, &deployed), root_of(&sysroot, &commit.commit));
    assert_eq!(sysroot.repo("rev-parse", &[&format!("{deployed}^")]).trim(), commit.commit);
    assert!(sysroot.repo("log", &[&deployed]).contains(&commit.commit));
    let status = sysroot.admin("status", &[]);
    assert!(status.contains(&format!("default {deployed}.0")), "{status}");
}

#[test]
fn the_deployment_consists_of_hard_links_to_the_commits_objects() {
    use std::os::unix::fs::MetadataExt;
    let (sysroot, commit) = disk_of_a_commit();
    let checksum = &commit.paths["usr/share/large"];
    let object = sysroot.join(&format!("ostree/repo/objects/{}/{}.file", &checksum[..2], &checksum[2..]));
    let deployed = sysroot.deployment().join("usr/share/large");
    assert_eq!(object.metadata().unwrap().ino(), deployed.metadata().unwrap().ino());
    assert_eq!(fs::read(deployed).unwrap(), b"large ".repeat(500_000));
}

/// Layers over the commit: with whiteouts, with changed files, with an object that was changed where it lies.
fn derived(commit: &Encapsulated) -> MiniImage {
    let objects = place(&format!("{}.file", commit.paths["usr/share/one"]));
    let unchanged = place(&format!("{}.file", commit.paths["usr/bin/su"]));
    commit
        .chunked()
        .with([
            file("usr/share/.wh.large", ""),
            file("usr/bin/su", "another\n").mode(0o755),
            file("etc/fstab", "# changed\n"),
            file("usr/lib/new/deep/file", "x").owner(5, 6),
            directory("var/lib/mini").mode(0o777),
            file("opt/vendor", "kept only where the root shows it"),
            file("run/state", "never kept"),
        ])
        .with([
            file(&objects, "changed in place\n").mode(0o640).owner(3, 4),
            hardlink("usr/share/one", &objects),
            hardlink("usr/share/two", &format!("/{objects}")),
            file(&unchanged, "of time 0, as when a layer repeats it\n").time(0),
            file("usr/lib/new/.wh.deep", ""),
            symlink("usr/lib/new/link", "../one"),
        ])
}

/// What bootc's filter makes of [`derived`].
fn derived_for_the_judge(image: &MiniImage, commit: &Encapsulated, everything: bool) -> Vec<Vec<Entry>> {
    let objects = place(&format!("{}.file", commit.paths["usr/share/one"]));
    let mut layers: Vec<Vec<Entry>> = image.layers[3..].iter().map(|(_, entries)| filtered(entries)).collect();
    layers[1].retain(|entry| entry.path != objects && entry.path != "usr/share/two");
    for entry in &mut layers[1] {
        if entry.path == "usr/share/one" {
            *entry = file("usr/share/one", "changed in place\n").mode(0o640).owner(3, 4);
        }
    }
    layers[1].push(hardlink("usr/share/two", "usr/share/one"));
    if !everything {
        let kept = |entry: &Entry| !["opt", "sysroot"].contains(&entry.path.split('/').next().unwrap());
        layers.iter_mut().for_each(|layer| layer.retain(kept));
    }
    layers
}

#[test]
fn a_disk_of_a_commit_with_layers_over_it_is_whole() {
    let (disks, place) = disk("derived", derived);
    let sysroot = sysroot::of(&disks);
    let said = sysroot.repo("fsck", &["--all"]);
    assert!(said.contains("object fsck of 6 commits completed successfully - no errors found."), "{said}");
    let prune = sysroot.repo("prune", &["--refs-only", "--no-prune"]);
    assert!(prune.contains("would delete: 0") || prune.contains("No unreachable"), "{prune}");
    let deployed = sysroot.deployment();
    assert_eq!(fs::read_to_string(deployed.join("usr/bin/su")).unwrap(), "another\n");
    assert_eq!(fs::read_to_string(deployed.join("usr/share/two")).unwrap(), "changed in place\n");
    assert!(!deployed.join("usr/share/large").exists() && !deployed.join("usr/lib/new/deep").exists());
    let base = id(&archive(&place));
    assert!(
        sysroot.repo("ls", &[&base, "/usr/share/large"]).contains("3000000"),
        "the base has what a layer took away"
    );
    assert!(sysroot.admin("status", &[]).contains(&format!("default {}.0", sysroot.commit())));
}

/// Compares the commits of an image of three ostree layers and some derived ones with those that `ostree` makes.
fn agree(entries: &[Entry], everything: bool) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let commit = Encapsulated::new(scratch.path(), entries, &[]);
    let image = derived(&commit);
    let layout = image.write(&scratch.path().join("image"));
    let judge = Judge::new(CREATED_SECONDS);
    let source = archive(scratch.path()).path.display().to_string();
    oracle::agrees(&sysroot::ostree(), ["pull-local", &judge.repo(), &source, &commit.commit]);
    let mut expected = vec![commit.commit.clone()];
    expected.extend(commit.thirds()[1..].iter().map(|files| object_set(&judge, files)));
    let tar = scratch.path().join("layer.tar");
    for entries in derived_for_the_judge(&image, &commit, everything) {
        fs::write(&tar, stream(&entries)).unwrap();
        expected.push(judge.layer(&tar, &[]));
    }
    let (layers, merged) = printed(&layout.reference(), &["--layout", &small_partitions(scratch.path())]);
    assert_eq!(layers, expected);
    assert_eq!(merged, judge.merge_over(&commit.commit, &expected[3..], &facts(&layout)));
    let ended = dry_run(&layout.reference(), &small_partitions(scratch.path()));
    serde_json::from_str(&ended).unwrap()
}

/// A flat tree of files called by their checksums, committed at the beginning of time.
fn object_set(judge: &Judge, files: &BTreeSet<String>) -> String {
    let set = tempfile::tempdir_in(judge.directory.path()).unwrap();
    for checksum in files {
        let object = judge.path(&format!("repo/objects/{}/{}.file", &checksum[..2], &checksum[2..]));
        let copy = set.path().join(checksum).display().to_string();
        oracle::agrees(&oracle::tool("cp", "coreutils"), ["-a", &object, &copy]);
    }
    oracle::agrees(&oracle::tool("chmod", "coreutils"), ["755", set.path().to_str().unwrap()]);
    let tree = format!("--tree=dir={}", set.path().display());
    let args = ["commit", &judge.repo(), "--orphan", "--no-bindings", "--timestamp=@0", &tree];
    oracle::agrees(&sysroot::ostree(), args).trim().to_owned()
}

fn dry_run(reference: &str, layout: &str) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = program::build(reference, &scratch.path().join("out"));
    program::succeed(command.args(["--dry-run", "--format", "json", "--layout", layout])).stdout
}

fn warnings(plan: &Value) -> String {
    plan["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap().to_owned() + "\n").collect()
}

#[test]
fn all_commits_have_the_ids_that_ostree_computes_and_files_outside_usr_are_left_out() {
    let plan = agree(&base(), false);
    let said = warnings(&plan);
    assert!(said.contains("left out") && said.contains("opt (2)"), "{said}");
}

#[test]
fn files_outside_usr_stay_where_the_commits_root_is_an_overlay() {
    for conf in ["[composefs]\nenabled = yes\n", "[root]\ntransient = true\n"] {
        let mut entries = base();
        entries.retain(|entry| entry.path != "usr/lib/ostree/prepare-root.conf");
        entries.push(file("usr/lib/ostree/prepare-root.conf", conf));
        let said = warnings(&agree(&entries, true));
        assert!(!said.contains("left out"), "{said}");
    }
}

#[test]
fn a_commit_without_layers_over_it_has_the_id_that_ostree_computes() {
    let scratch = tempfile::tempdir().unwrap();
    let commit = Encapsulated::new(scratch.path(), &base(), &[]);
    let layout = commit.chunked().write(&scratch.path().join("image"));
    let judge = Judge::new(CREATED_SECONDS);
    let source = archive(scratch.path()).path.display().to_string();
    oracle::agrees(&sysroot::ostree(), ["pull-local", &judge.repo(), &source, &commit.commit]);
    let (_, merged) = printed(&layout.reference(), &["--layout", &small_partitions(scratch.path())]);
    assert_eq!(merged, judge.merge_over(&commit.commit, &[], &facts(&layout)));
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
        ("3fd5fd09", "30f96bb1202a7dbdd0e8a35a709c6cca5ea6bd74026484d311a8236ac4461d29"),
        ("ab1fd047", "3b66dee4e53f873380114771085e9534ff5a969d79df6fbed58194df4fd3f05b"),
        ("7f809be1", "1a58f3fd12560af19a52da2ac626421aaddf6e5a8108b2c0e528a4876147df7a"),
        ("5f9d3dcf", "6109d33e99f48e9b90cdf8ad037b8e5d20ef899697cfd3eb492cf78800aed498"),
    ];
    let expected = expected.map(|(layer, commit)| (layer.to_owned(), commit.to_owned()));
    assert_eq!(layers.zip(commits).collect::<Vec<_>>(), expected);
}

/// The mini system with Debian's policy turned on.
fn with_policy() -> Vec<Entry> {
    let files = policy::debian();
    let below = "etc/selinux/default/contexts/files";
    let mut entries = base();
    entries.push(file("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=default\n"));
    // libostree wants to see the kernel's form of the policy, and does not look into it.
    entries.push(file("etc/selinux/default/policy/policy.33", "rules"));
    let texts = [
        ("file_contexts", Some(files.file_contexts)),
        ("file_contexts.homedirs", files.homedirs),
        ("file_contexts.local", files.local),
        ("file_contexts.subs", files.subs),
        ("file_contexts.subs_dist", files.subs_dist),
    ];
    entries.extend(texts.into_iter().filter_map(|(name, text)| Some(file(&format!("{below}/{name}"), text?))));
    entries
}

/// A commit that `ostree` labelled by the policy in it.
fn labelled(directory: &Path) -> Encapsulated {
    let tree = directory.join("policy");
    let tar = directory.join("policy.tar");
    fs::create_dir(&tree).unwrap();
    let moved: Vec<Entry> = filtered(&with_policy()).into_iter().filter(|e| e.path.starts_with("usr/etc")).collect();
    fs::write(&tar, stream(&moved)).unwrap();
    let args = ["-xf", tar.to_str().unwrap(), "-C", tree.to_str().unwrap()];
    oracle::agrees(&oracle::tool("tar", "tar"), args);
    Encapsulated::new(directory, &with_policy(), &[&format!("--selinux-policy={}", tree.display())])
}

#[test]
fn a_commit_with_labels_keeps_them() {
    let scratch = tempfile::tempdir().unwrap();
    let commit = labelled(scratch.path());
    let output = scratch.path().join("out");
    let image = commit.chunked().write(&scratch.path().join("image"));
    let disks = disk::build_into(&image.reference(), &output, &["--layout", &small_partitions(scratch.path())]);
    let sysroot = sysroot::of(&disks);
    assert_eq!(root_of(&sysroot, &sysroot.commit()), root_of(&sysroot, &commit.commit));
    let said = sysroot.repo("ls", &["-X", &sysroot.commit(), "/usr/bin/su"]);
    assert!(said.contains("system_u:object_r:su_exec_t:s0"), "{said}");
    sysroot.repo("fsck", &["--all"]);
}

#[test]
fn a_commit_without_labels_is_deployed_with_those_of_its_policy() {
    let scratch = tempfile::tempdir().unwrap();
    let commit = Encapsulated::new(scratch.path(), &with_policy(), &[]);
    let layout = commit.chunked().write(&scratch.path().join("image"));
    let judge = Judge::new(CREATED_SECONDS);
    let source = archive(scratch.path()).path.display().to_string();
    oracle::agrees(&sysroot::ostree(), ["pull-local", &judge.repo(), &source, &commit.commit]);
    judge.check_out(&[commit.commit.clone()], &[]);
    let policy = format!("--selinux-policy={}", judge.path("merged"));
    let args = [judge.merged(), format!("--parent={}", commit.commit), policy];
    let expected = judge.commit(&args.each_ref().map(String::as_str), &facts(&layout));
    let (layers, merged) = printed(&layout.reference(), &["--layout", &small_partitions(scratch.path())]);
    assert_eq!((&layers[0], merged), (&commit.commit, expected));
}

#[test]
fn layers_over_a_commit_with_labels_are_labelled_by_the_policy_that_they_end_with() {
    let new = "SELINUX=enforcing\nSELINUXTYPE=default\n# a layer's\n";
    let local = "/usr/share/mine\t--\tsystem_u:object_r:mine_t:s0\n/usr/bin/su\t--\tsystem_u:object_r:my_su_t:s0\n";
    for (layer, turned_off) in [
        (vec![file("etc/selinux/config", new), file("usr/share/mine", "x")], false),
        (
            vec![
                file("etc/selinux/default/contexts/files/file_contexts.local", local),
                file("usr/share/mine", "x"),
                directory("var/log"),
            ],
            false,
        ),
        (vec![file("etc/selinux/config", "SELINUX=disabled\n"), file("usr/share/mine", "x")], true),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let commit = labelled(scratch.path());
        let image = commit.chunked().with(layer.clone());
        let layout = image.write(&scratch.path().join("image"));
        let judge = Judge::new(CREATED_SECONDS);
        let source = archive(scratch.path()).path.display().to_string();
        oracle::agrees(&sysroot::ostree(), ["pull-local", &judge.repo(), &source, &commit.commit]);
        // Upstream labels each layer by the policy of the commit, and everything by the one that comes out of it.
        let tar = scratch.path().join("layer.tar");
        fs::write(&tar, stream(&filtered(&layer))).unwrap();
        let policy = scratch.path().join("policy").display().to_string();
        let derived = judge.layer(&tar, &[&format!("--selinux-policy={policy}")]);
        judge.check_out(&[commit.commit.clone()], &[]);
        judge.check_out(&[derived], &["--whiteouts"]);
        let (parent, merged) = (format!("--parent={}", commit.commit), judge.merged());
        let merged_policy = format!("--selinux-policy={}", judge.path("merged"));
        let mut args = vec![merged.as_str(), &parent];
        args.extend((!turned_off).then_some(merged_policy.as_str()));
        let expected = judge.commit(&args, &facts(&layout));
        let small = small_partitions(scratch.path());
        assert_eq!(printed(&layout.reference(), &["--layout", &small]).1, expected, "{layer:?}");
    }
}

#[test]
fn an_image_whose_commit_was_lost_is_built_from_what_containers_see() {
    let scratch = tempfile::tempdir().unwrap();
    let commit = Encapsulated::new(scratch.path(), &base(), &[]);
    let mut image = MiniImage::bootable();
    image.labels = commit.chunked().label("ostree.final-diffid", &mini_image::digest(b"gone")).labels;
    let layout = image.write(&scratch.path().join("image"));
    let plan: Value = serde_json::from_str(&dry_run(&layout.reference(), &small_partitions(scratch.path()))).unwrap();
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
