//! The labels of a disk whose image has an active SELinux policy, judged by libselinux's matchpathcon and by ostree.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::disk::{self, Disks};
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::sysroot::{self, Sysroot};
use crate::support::tar::{directory, file, symlink};
use crate::support::{importer, selinux, shelf, walk};
use qemu_tests::oracle;

/// The mini image with Debian's policy turned on, and paths that the policy tells apart.
fn image() -> MiniImage {
    let mut entries = selinux::in_image();
    entries.extend([
        file("usr/bin/bash", "the same content").mode(0o755),
        file("usr/lib/of-another-type", "the same content").mode(0o755),
        file("usr/sbin/sshd", "a daemon").xattr("security.selinux", b"of_the:tar:file_t:s0"),
        file("etc/shadow", "secret").mode(0o600),
        directory("mnt"),
        directory("var/log"),
        file("var/log/wtmp", ""),
        symlink("usr/lib/a-link", "../bin/bash"),
    ]);
    MiniImage::bootable().with(entries)
}

fn disks() -> Disks {
    let scratch = tempfile::tempdir().unwrap();
    let image = image().write(&scratch.path().join("image"));
    let made = shelf::get_for_program("disk-selinux", &image.manifest_digest, |directory| {
        disk::build_into(&image.reference(), directory, &["--layout", &small_partitions(directory)]);
    });
    Disks::at(made)
}

/// Labels by path, as the kernel reads them off the disk: without SELinux it shows the NUL that ends them there.
fn labels(root: &Path) -> BTreeMap<String, String> {
    let label = |hex: &str| {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        String::from_utf8(bytes.strip_suffix(b"\0").expect("a NUL").to_vec()).unwrap()
    };
    let with_slash = |path: String| if path.is_empty() { path } else { format!("/{path}") };
    let labels = walk::xattrs(root).into_iter().filter_map(|(path, lines)| {
        let hex = lines.iter().find_map(|line| line.strip_prefix("security.selinux=0x"))?;
        Some((with_slash(path), label(hex)))
    });
    labels.collect()
}

/// What matchpathcon says of each path, of the type that the file below `root` has. `None`: `<<none>>`.
fn judged(sysroot: &Sysroot, root: &Path, prefix: &str) -> BTreeMap<String, Option<String>> {
    let contexts = sysroot.deployment().join("usr/etc/selinux/default/contexts/files/file_contexts");
    let judge = oracle::tool("matchpathcon", "selinux-utils");
    let mut judged = BTreeMap::new();
    let mut by_type = BTreeMap::<&str, Vec<String>>::new();
    for (path, metadata) in walk::tree(root) {
        let letter = if metadata.is_dir() {
            "d"
        } else if metadata.is_symlink() {
            "l"
        } else {
            "f"
        };
        by_type.entry(letter).or_default().push(path);
    }
    by_type.entry("d").or_default().push(String::new());
    for (letter, paths) in by_type {
        let asked: Vec<String> = paths.iter().map(|path| absolute(prefix, path)).collect();
        for (paths, asked) in paths.chunks(2000).zip(asked.chunks(2000)) {
            let args = ["-n", "-N", "-m", letter, "-f", contexts.to_str().unwrap(), "--"].map(str::to_owned);
            let said = oracle::agrees(&judge, args.iter().chain(asked));
            for (path, label) in paths.iter().zip(said.lines()) {
                let at = if path.is_empty() { String::new() } else { format!("/{path}") };
                judged.insert(at, (label != "<<none>>").then(|| label.to_owned()));
            }
        }
    }
    judged
}

fn absolute(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", "") => "/".to_owned(),
        (_, "") => prefix.to_owned(),
        _ => format!("{prefix}/{path}"),
    }
}

/// Compares all of `root`, which stands for `prefix`, but for paths that `skip` names.
fn same(sysroot: &Sysroot, root: &Path, prefix: &str, skip: &[&str]) {
    let found = labels(root);
    let mut compared = 0;
    for (path, expected) in judged(sysroot, root, prefix) {
        if skip.iter().any(|skip| path == *skip || path.starts_with(&format!("{skip}/"))) {
            continue;
        }
        assert_eq!(found.get(&path), expected.as_ref(), "`{path}` as {prefix}");
        compared += 1;
    }
    assert!(compared > 3, "{compared} paths");
}

#[test]
fn the_deployment_is_labelled_as_matchpathcon_says() {
    let sysroot = sysroot::of(&disks());
    same(&sysroot, &sysroot.deployment(), "", &["/etc", "/.ostree.cfs", "/proc"]);
    let found = labels(&sysroot.deployment());
    assert_eq!(found["/proc"], found["/mnt"], "libostree asks for /proc as for /mnt");
    assert_eq!(found["/usr/bin/bash"], "system_u:object_r:shell_exec_t:s0");
    assert_ne!(found["/usr/bin/bash"], found["/usr/lib/of-another-type"], "one content, two labels");
}

/// The lines that setfiles(8) says about the deployment with `local` beside the image's policy; it changes nothing.
fn relabelled(sysroot: &Sysroot, local: &str) -> Vec<String> {
    let deployment = sysroot.deployment();
    let policy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(deployment.join("usr/etc/selinux/default/contexts/files")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), policy.path().join(file.file_name())).unwrap();
    }
    fs::write(policy.path().join("file_contexts.local"), local).unwrap();
    let judge = oracle::tool("setfiles", "policycoreutils");
    let (root, specs) = (deployment.to_str().unwrap(), policy.path().join("file_contexts"));
    let proc = format!("{root}/proc");
    let said = oracle::agrees(&judge, ["-n", "-v", "-F", "-e", &proc, "-r", root, specs.to_str().unwrap(), root]);
    said.lines().map(|line| line.replace(root, "")).collect()
}

#[test]
fn setfiles_would_relabel_nothing_of_the_deployment() {
    let sysroot = sysroot::of(&disks());
    assert_eq!(relabelled(&sysroot, ""), [""; 0]);
    let other = relabelled(&sysroot, "/usr/bin/bash -- system_u:object_r:bin_t:s0\n");
    let (from, to) = ("system_u:object_r:shell_exec_t:s0", "system_u:object_r:bin_t:s0");
    assert_eq!(other, [format!("Would relabel /usr/bin/bash from {from} to {to}")], "it does look at the files");
}

#[test]
fn etc_var_and_boot_are_labelled_by_the_paths_that_they_have_on_the_machine() {
    let sysroot = sysroot::of(&disks());
    same(&sysroot, &sysroot.deployment().join("etc"), "/etc", &[]);
    same(&sysroot, &sysroot.join("ostree/deploy/default/var"), "/var", &[]);
    same(&sysroot, &sysroot.join("boot"), "/boot", &[]);
    assert_eq!(labels(&sysroot.join("boot"))["/lost+found"], "system_u:object_r:lost_found_t:s0");
    assert_eq!(labels(&sysroot.deployment().join("etc"))["/shadow"], "system_u:object_r:shadow_t:s0");
}

#[test]
fn ostree_finds_every_object_whole_and_the_layers_share_them() {
    let sysroot = sysroot::of(&disks());
    sysroot.repo("fsck", &[]);
    let prune = sysroot.repo("prune", &["--refs-only", "--no-prune"]);
    assert!(
        prune.contains("would delete: 0") || prune.contains("0 objects") || prune.contains("No unreachable"),
        "{prune}"
    );
}

#[test]
fn origin_and_physical_root_have_the_labels_that_libostree_and_bootc_give_them() {
    let sysroot = sysroot::of(&disks());
    let found = labels(sysroot.root.path());
    let origin = format!("/ostree/deploy/default/deploy/{}.0.origin", sysroot.commit());
    assert_eq!(found[&origin], "system_u:object_r:etc_t:s0");
    assert_eq!(
        (found[""].as_str(), found["/ostree"].as_str()),
        ("system_u:object_r:root_t:s0", "system_u:object_r:usr_t:s0")
    );
    let aleph = fs::read_to_string(sysroot.join(".bootc-aleph.json")).unwrap();
    assert!(aleph.contains("\"selinux\":\"enabled\""), "{aleph}");
}

/// libostree runs both in every new deployment with an etc/selinux/config, on modules that it looks for in /etc.
#[test]
fn an_image_without_what_rebuilds_its_policy_is_warned_of() {
    let scratch = tempfile::tempdir().unwrap();
    let partitions = small_partitions(scratch.path());
    let warned = |name: &str, files: &[&str]| {
        let files = files.iter().map(|path| file(path, "").mode(0o755));
        let image = image().with(files.collect::<Vec<_>>()).write(&scratch.path().join(name));
        importer::warnings(&importer::plan(&image.reference(), &partitions))
    };
    let modules = "the policy's modules in /etc/selinux/NAME/active";
    let all = warned("all", &[]);
    assert!(
        all.contains(&format!("has an etc/selinux/config but lacks bwrap, semodule, {modules}: libostree")),
        "{all}"
    );
    assert!(warned("some", &["usr/bin/bwrap"]).contains(&format!("but lacks semodule, {modules}: ")));
    let whole = ["usr/bin/bwrap", "usr/sbin/semodule", "etc/selinux/default/active/modules/100/base/cil"];
    assert_eq!(warned("none", &whole), "");
}
