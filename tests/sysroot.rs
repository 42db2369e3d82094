//! The ostree sysroot on the disk of the test OS, judged by the `ostree` program, coreutils and the kernel's own view.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::disk::{self, Disks};
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::sysroot::{self, Sysroot};
use crate::support::{program, walk};
use qemu_tests::oracle;
use qemu_tests::oracle::{agrees, tool};
use serde_json::Value;

fn mounted() -> (Sysroot, Disks) {
    oracle::needs_root("looking into a sysroot");
    let disks = disk::test_os();
    (sysroot::of(&disks), disks)
}

/// The image's manifest: its digest and its text.
fn image_manifest() -> (String, Value) {
    let oci = qemu_tests::test_os().unwrap().oci;
    let index: Value = serde_json::from_slice(&fs::read(oci.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let blob = oci.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap());
    (digest, serde_json::from_slice(&fs::read(blob).unwrap()).unwrap())
}

/// A string of a commit's metadata, out of GVariant's text form.
fn metadata(sysroot: &Sysroot, key: &str) -> String {
    let text = sysroot.repo("show", &[&format!("--print-metadata-key={key}"), &sysroot.commit()]);
    text.trim().trim_matches('\'').replace("\\\\", "\\")
}

fn hex_of(files: &[&Path]) -> String {
    let cat = oracle::run(&tool("cat", "coreutils"), files);
    let all = tempfile::NamedTempFile::new().unwrap();
    fs::write(all.path(), &cat.stdout).unwrap();
    let said = agrees(&tool("sha256sum", "coreutils"), [all.path()]);
    said.split_whitespace().next().unwrap().to_owned()
}

/// The one directory below /boot/ostree: `default-BOOTCSUM`.
fn boot_checksum(sysroot: &Sysroot) -> String {
    let names: Vec<_> =
        fs::read_dir(sysroot.join("boot/ostree")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].to_str().unwrap().strip_prefix("default-").unwrap().to_owned()
}

fn filesystem_uuid(image: &Path) -> String {
    let args = ["-p".as_ref(), "-o".as_ref(), "value".as_ref(), "-s".as_ref(), "UUID".as_ref(), image.as_os_str()];
    agrees(&tool("blkid", "util-linux"), args).trim().to_owned()
}

#[test]
fn ostree_fsck_finds_every_object_whole() {
    let (sysroot, _) = mounted();
    let said = sysroot.repo("fsck", &["--all"]);
    assert!(said.contains("object fsck of 4 commits completed successfully - no errors found."), "{said}");
}

#[test]
fn nothing_unfinished_is_in_the_repository() {
    let (sysroot, _) = mounted();
    assert_eq!(program::files_below(&sysroot.join("ostree/repo/state")), [""; 0]);
    assert_eq!(program::files_below(&sysroot.join("ostree/repo/tmp")), [""; 0]);
}

#[test]
fn refs_are_the_deployment_the_image_and_one_for_each_layer() {
    let (sysroot, _) = mounted();
    let layers = image_manifest().1["layers"].as_array().unwrap().clone();
    let mut expected: BTreeSet<String> = layers
        .iter()
        .map(|l| format!("ostree/container/blob/sha256_3A_{}", &l["digest"].as_str().unwrap()[7..]))
        .collect();
    expected.insert("ostree/1/1/0".to_owned());
    expected.insert("ostree/container/image/docker_3A__2F__2F_registry_2E_example/os_3A_latest".to_owned());
    let found: BTreeSet<String> = sysroot.repo("refs", &[]).lines().map(str::to_owned).collect();
    assert_eq!(found, expected);
    let image =
        sysroot.repo("rev-parse", &["ostree/container/image/docker_3A__2F__2F_registry_2E_example/os_3A_latest"]);
    assert_eq!(image.trim(), sysroot.commit());
}

#[test]
fn the_commit_carries_the_images_manifest() {
    let (sysroot, _) = mounted();
    let (digest, manifest) = image_manifest();
    assert_eq!(metadata(&sysroot, "ostree.manifest-digest"), digest);
    assert_eq!(serde_json::from_str::<Value>(&metadata(&sysroot, "ostree.manifest")).unwrap(), manifest);
    let config: Value = serde_json::from_str(&metadata(&sysroot, "ostree.container.image-config")).unwrap();
    assert_eq!(config["config"]["Labels"]["containers.bootc"], "1");
    let said = sysroot.repo("show", &[&sysroot.commit()]);
    assert!(!said.contains("Parent:") && said.contains("2026-01-01 00:00:00"), "{said}");
}

#[test]
fn no_object_is_unreachable() {
    let (sysroot, _) = mounted();
    let said = sysroot.repo("prune", &["--refs-only", "--no-prune"]);
    assert!(said.contains("Would delete: 0 objects") || said.contains("No unreachable objects"), "{said}");
}

#[test]
fn the_repository_is_bare_and_has_no_remote() {
    let (sysroot, _) = mounted();
    assert_eq!(sysroot.repo("config", &["get", "core.mode"]).trim(), "bare");
    assert_eq!(sysroot.repo("config", &["get", "sysroot.readonly"]).trim(), "true");
    assert_eq!(sysroot.repo("remote", &["list"]), "");
}

#[test]
fn ostree_admin_sees_the_deployment() {
    let (sysroot, _) = mounted();
    let said = sysroot.admin("status", &[]);
    assert!(said.contains(&format!("default {}.0", sysroot.commit())), "{said}");
    let origin = sysroot.read(&format!("ostree/deploy/default/deploy/{}.0.origin", sysroot.commit()));
    assert_eq!(origin, format!("[origin]\ncontainer-image-reference=ostree-unverified-registry:{}\n", disk::TARGET));
}

#[test]
fn etc_differs_from_the_image_by_mounts_and_growth_only() {
    let (sysroot, _) = mounted();
    let mut lines: Vec<_> = sysroot.admin("config-diff", &["--os=default"]).lines().map(str::to_owned).collect();
    lines.sort();
    let unit = "systemd/system/bootwright-growfs.service";
    let wants = "systemd/system/multi-user.target.wants/bootwright-growfs.service";
    let mut expected =
        vec!["M    fstab".to_owned(), "A    repart.d".to_owned(), "A    repart.d/50-root.conf".to_owned()];
    // The ESP is mounted by fstab.
    let automount = "systemd/system/efi.automount";
    expected.extend([unit, wants, automount].map(|path| format!("A    {path}")));
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn files_of_the_deployment_are_hardlinks_to_their_objects() {
    let (sysroot, _) = mounted();
    let objects: BTreeSet<u64> =
        walk::tree(&sysroot.join("ostree/repo/objects")).values().map(MetadataExt::ino).collect();
    let (mut linked, mut empty) = (0, 0);
    for (path, metadata) in walk::tree(&sysroot.deployment()) {
        if metadata.is_dir() || path.starts_with("etc/") || path == ".ostree.cfs" {
            assert!(!objects.contains(&metadata.ino()), "{path} of /etc is an object itself");
        } else if metadata.is_file() && metadata.len() == 0 {
            assert_eq!(metadata.nlink(), 1, "{path} is empty");
            empty += 1;
        } else {
            assert!(metadata.nlink() >= 2 && objects.contains(&metadata.ino()), "{path} is no hardlink to an object");
            linked += 1;
        }
    }
    assert!(linked > 3000 && empty > 0, "{linked} linked, {empty} empty");
}

#[test]
fn the_deployments_root_is_immutable_and_its_directories_have_time_0() {
    let (sysroot, _) = mounted();
    let said = agrees(&tool("lsattr", "e2fsprogs"), ["-d".as_ref(), sysroot.deployment().as_os_str()]);
    assert!(said.split_whitespace().next().unwrap().contains('i'), "{said}");
    for (path, metadata) in walk::tree(&sysroot.deployment()) {
        let copied = path.is_empty() || path == "etc" || path.starts_with("etc/");
        assert!(copied || !metadata.is_dir() || metadata.mtime() == 0, "{path}: {}", metadata.mtime());
    }
}

#[test]
fn var_is_a_copy_of_the_commits_and_marked_as_labelled() {
    let (sysroot, _) = mounted();
    let mut var = walk::facts(&sysroot.join("ostree/deploy/default/var"));
    let mark = var.remove(".ostree-selabeled").unwrap();
    assert_eq!((mark.kind, mark.size, mark.permissions), ("file", Some(0), 0o644));
    walk::assert_same(&walk::facts(&sysroot.deployment().join("var")), &var);
    let backing = sysroot.join(&format!("ostree/deploy/default/backing/{}.0/root-transient", sysroot.commit()));
    assert!(backing.join("upper").is_dir() && backing.join("work").is_dir());
}

#[test]
fn the_physical_root_holds_what_libostree_expects_of_one() {
    let (sysroot, _) = mounted();
    let mut names: Vec<_> = fs::read_dir(sysroot.root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".bootc-aleph.json", "boot", "lost+found", "ostree"]);
    let aleph: Value = serde_json::from_str(&sysroot.read(".bootc-aleph.json")).unwrap();
    assert_eq!(aleph["digest"], image_manifest().0);
    assert_eq!(aleph["target-image"], disk::TARGET);
    assert_eq!(aleph["kernel"], qemu_tests::test_os().unwrap().kernel_version);
}

#[test]
fn links_lead_from_the_boot_entry_to_the_deployment() {
    let (sysroot, _) = mounted();
    let link = |path: &str| fs::read_link(sysroot.join(path)).unwrap().into_os_string().into_string().unwrap();
    assert_eq!(link("boot/loader"), "loader.1");
    assert_eq!(link("boot/boot"), ".");
    assert_eq!(link("ostree/boot.1"), "boot.1.1");
    let entry = sysroot.read("boot/loader/entries/ostree-1.conf");
    let path = entry.split("ostree=/").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(sysroot.join(path).canonicalize().unwrap(), sysroot.deployment().canonicalize().unwrap());
    for key in ["linux /", "initrd /"] {
        let line = entry.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        assert!(sysroot.boot.join(line).is_file(), "{line}");
    }
}

#[test]
fn the_boot_checksum_is_that_of_kernel_and_initramfs() {
    let (sysroot, _) = mounted();
    let (checksum, version) = (boot_checksum(&sysroot), qemu_tests::test_os().unwrap().kernel_version);
    let directory = sysroot.boot.join(&format!("ostree/default-{checksum}"));
    let (kernel, initramfs) =
        (directory.join(format!("vmlinuz-{version}")), directory.join(format!("initramfs-{version}.img")));
    assert_eq!(hex_of(&[&kernel, &initramfs]), checksum);
    let modules = sysroot.deployment().join("usr/lib/modules").join(version);
    agrees(&tool("cmp", "diffutils"), [&kernel, &modules.join("vmlinuz")]);
    agrees(&tool("cmp", "diffutils"), [&initramfs, &modules.join("initramfs.img")]);
}

#[test]
fn the_boot_entry_is_the_one_libostree_would_write() {
    let (sysroot, disks) = mounted();
    let (root, boot) = (filesystem_uuid(&disks.cut("root")), filesystem_uuid(&disks.cut("boot")));
    let release = fs::read_to_string(sysroot.deployment().join("usr/lib/os-release")).unwrap();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap().trim_matches('"');
    let (checksum, version) = (boot_checksum(&sysroot), qemu_tests::test_os().unwrap().kernel_version);
    let expected = format!(
        "title {name} (ostree:0)\nversion 1\n\
         options root=UUID={root} rw boot=UUID={boot} console=tty0 console=ttyS0 ostree=/ostree/boot.1/default/{checksum}/0\n\
         linux /boot/ostree/default-{checksum}/vmlinuz-{version}\n\
         initrd /boot/ostree/default-{checksum}/initramfs-{version}.img\n"
    );
    assert_eq!(sysroot.read("boot/loader/entries/ostree-1.conf"), expected);
}

#[test]
fn fstab_names_boot_and_the_esp_by_what_blkid_finds() {
    let (sysroot, disks) = mounted();
    let (boot, esp) = (filesystem_uuid(&disks.cut("boot")), filesystem_uuid(&disks.cut("EFI-SYSTEM")));
    let fstab = fs::read_to_string(sysroot.deployment().join("etc/fstab")).unwrap();
    assert_eq!(fstab, format!("UUID={boot} /boot auto ro 0 2\nUUID={esp} /boot/efi vfat umask=0077,nofail 0 2\n"));
    assert!(sysroot.boot.join("efi").is_dir());
}

#[test]
fn an_image_of_docker_is_kept_as_skopeo_converts_it() {
    oracle::needs_root("looking into a sysroot");
    let scratch = tempfile::tempdir().unwrap();
    let skopeo = tool("skopeo", "skopeo");
    let place = |transport: &str, name: &str| format!("{transport}:{}", scratch.path().join(name).display());
    let layout = MiniImage::bootable().label("version", "<7> & more").write(&scratch.path().join("image"));
    let docker = place("dir", "docker");
    agrees(&skopeo, ["copy", "--quiet", "--format", "v2s2", &layout.reference(), &docker]);
    let plain = fs::read_to_string(scratch.path().join("docker/manifest.json")).unwrap();
    let usual = "application/vnd.docker.image.rootfs.diff.tar.gzip\"";
    assert!(plain.contains(usual), "{plain}");
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"urls\":[\"https://r.example/layer\"]";
    for (name, manifest) in [("usual", plain.clone()), ("foreign", plain.replacen(usual, foreign, 1))] {
        fs::write(scratch.path().join("docker/manifest.json"), manifest).unwrap();
        let converted = scratch.path().join(name);
        agrees(&skopeo, ["copy", "--quiet", &docker, &format!("oci:{}:x", converted.display())]);
        let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(converted.join(name)).unwrap()).unwrap();
        let blob = |entry: &Value| read(&format!("blobs/{}", entry["digest"].as_str().unwrap().replace(':', "/")));
        let wanted = blob(&read("index.json")["manifests"][0]);
        let partitions = small_partitions(scratch.path());
        let disks = disk::build_into(&docker, &scratch.path().join(format!("disk-{name}")), &["--layout", &partitions]);
        let sysroot = sysroot::of(&disks);
        let kept = |key: &str| serde_json::from_str::<Value>(&metadata(&sysroot, key)).unwrap();
        assert_eq!(kept("ostree.manifest"), wanted, "{name}");
        assert_eq!(kept("ostree.container.image-config"), blob(&wanted["config"]), "{name}");
    }
}
