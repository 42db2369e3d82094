//! The commits of images that encapsulate an ostree commit, made a second time by the program `ostree`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::chunked::Encapsulated;
use crate::support::disk;
use crate::support::importer::{Judge, facts, filtered, plan, printed, warnings};
use crate::support::mini_image::{CREATED_SECONDS, MiniImage, base, small_partitions};
use crate::support::selinux;
use crate::support::sysroot::{self, ostree};
use crate::support::tar::{Entry, directory, file, hardlink, stream};
use qemu_tests::oracle;
use serde_json::Value;

/// What bootc's filter makes of [`Encapsulated::with_layers`].
fn layers_for_the_judge(image: &MiniImage, commit: &Encapsulated, everything: bool) -> Vec<Vec<Entry>> {
    let objects = commit.place_of("usr/share/one");
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

/// Compares the commits of an image of three ostree layers and some derived ones with those that `ostree` makes.
fn agree(entries: &[Entry], everything: bool) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let commit = Encapsulated::new(scratch.path(), entries, &[]);
    let image = commit.with_layers();
    let layout = image.write(&scratch.path().join("image"));
    let judge = Judge::new(CREATED_SECONDS);
    judge.pull(&commit.archive, &commit.commit);
    let mut expected = vec![commit.commit.clone()];
    expected.extend(commit.thirds()[1..].iter().map(|files| object_set(&judge, files)));
    let tar = scratch.path().join("layer.tar");
    for entries in layers_for_the_judge(&image, &commit, everything) {
        fs::write(&tar, stream(&entries)).unwrap();
        expected.push(judge.layer(&tar, &[]));
    }
    let (layers, merged) = printed(&layout.reference(), &["--layout", &small_partitions(scratch.path())]);
    assert_eq!(layers, expected);
    assert_eq!(merged, judge.merge_over(&commit.commit, &expected[3..], &facts(&layout)));
    plan(&layout.reference(), &small_partitions(scratch.path()))
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
    oracle::agrees(&ostree(), args).trim().to_owned()
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
    judge.pull(&commit.archive, &commit.commit);
    let (_, merged) = printed(&layout.reference(), &["--layout", &small_partitions(scratch.path())]);
    assert_eq!(merged, judge.merge_over(&commit.commit, &[], &facts(&layout)));
}

/// The mini system with Debian's policy turned on.
fn with_policy() -> Vec<Entry> {
    let mut entries = base();
    entries.extend(selinux::in_image());
    // libostree wants to see the kernel's form of the policy, and does not look into it.
    entries.push(file("etc/selinux/default/policy/policy.33", "rules"));
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
    assert_eq!(sysroot.root_of(&sysroot.commit()), sysroot.root_of(&commit.commit));
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
    judge.pull(&commit.archive, &commit.commit);
    judge.check_out(&commit.commit, &[]);
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
        judge.pull(&commit.archive, &commit.commit);
        // Upstream labels each layer by the policy of the commit, and everything by the one that comes out of it.
        let tar = scratch.path().join("layer.tar");
        fs::write(&tar, stream(&filtered(&layer))).unwrap();
        let policy = scratch.path().join("policy").display().to_string();
        let derived = judge.layer(&tar, &[&format!("--selinux-policy={policy}")]);
        judge.check_out(&commit.commit, &[]);
        judge.check_out(&derived, &["--whiteouts"]);
        let (parent, merged) = (format!("--parent={}", commit.commit), judge.merged());
        let merged_policy = format!("--selinux-policy={}", judge.path("merged"));
        let mut args = vec![merged.as_str(), &parent];
        args.extend((!turned_off).then_some(merged_policy.as_str()));
        let expected = judge.commit(&args, &facts(&layout));
        let small = small_partitions(scratch.path());
        assert_eq!(printed(&layout.reference(), &["--layout", &small]).1, expected, "{layer:?}");
    }
}
