//! The first upgrade, rehearsed on a copy of the disk with the host's libostree: nothing in what was written is in its way.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::disk;
use crate::support::mini_image::{KERNEL, MiniImage, small_partitions};
use crate::support::sysroot::{self, Sysroot, ostree};
use crate::support::{program, walk};
use qemu_tests::oracle;

/// A disk's partitions, which the test may change.
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    fn new() -> Disk {
        oracle::needs_root("deploying");
        let directory = tempfile::tempdir().unwrap();
        let image = MiniImage::bootable().write(&directory.path().join("image"));
        let layout = small_partitions(directory.path());
        disk::build_into(&image.reference(), directory.path(), &["--layout", &layout, "--no-checksums"]);
        Disk { directory }
    }

    fn partition(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.partition"))
    }

    fn mount(&self) -> Sysroot {
        sysroot::writable(&self.partition("root"), &self.partition("boot"))
    }

    fn check(&self) {
        for name in ["root", "boot"] {
            let partition = self.partition(name);
            oracle::agrees(&oracle::tool("e2fsck", "e2fsprogs"), ["-f".as_ref(), "-n".as_ref(), partition.as_os_str()]);
        }
    }
}

/// Commits the deployed tree with the changes that `change` makes to a copy of it.
fn next_version(sysroot: &Sysroot, change: impl FnOnce(&Path)) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    sysroot.repo("checkout", &["--force-copy", &sysroot.commit(), tree.to_str().unwrap()]);
    change(&tree);
    let tree = format!("--tree=dir={}", tree.display());
    sysroot.repo("commit", &["--orphan", "--no-bindings", &tree]).trim().to_owned()
}

fn deploy(sysroot: &Sysroot, commit: &str) -> String {
    let origin = sysroot.join(&format!("ostree/deploy/default/deploy/{}.0.origin", sysroot.commit()));
    let origin = format!("--origin-file={}", origin.display());
    // The host is not booted from this disk: its first deployment is the one that /etc is merged from.
    let sysroot_arg = format!("--sysroot={}", sysroot.root.path().display());
    oracle::agrees(&ostree(), ["admin", "deploy", &sysroot_arg, "--os=default", &origin, commit])
}

fn entries(sysroot: &Sysroot) -> Vec<String> {
    program::files_below(&sysroot.boot.join("loader/entries"))
}

fn boot_files(sysroot: &Sysroot) -> usize {
    fs::read_dir(sysroot.boot.join("ostree")).unwrap().count()
}

#[test]
fn a_second_version_is_deployed_beside_the_first() {
    let disk = Disk::new();
    let sysroot = disk.mount();
    let first = sysroot.commit();
    let second = next_version(&sysroot, |tree| {
        fs::write(tree.join(format!("usr/lib/modules/{KERNEL}/vmlinuz")), "another kernel").unwrap();
        fs::write(tree.join("usr/etc/new-in-second"), "new\n").unwrap();
    });
    let said = deploy(&sysroot, &second);
    // fstab; repart.d and its file; systemd, system, the unit, the wants directory, the link and the mask of efi.automount.
    assert!(said.contains("Copying /etc changes: 1 modified, 0 removed, 8 added"), "{said}");
    assert_eq!(fs::read_link(sysroot.boot.join("loader")).unwrap(), Path::new("loader.0"));
    assert_eq!(entries(&sysroot), ["ostree-1-default.conf", "ostree-2-default.conf"]);
    assert_eq!(boot_files(&sysroot), 2);
    let status = sysroot.admin("status", &[]);
    assert!(status.contains(&format!("{second}.0")) && status.contains(&format!("{first}.0")), "{status}");
    let etc = sysroot.join(&format!("ostree/deploy/default/deploy/{second}.0/etc"));
    assert!(fs::read_to_string(etc.join("fstab")).unwrap().contains("/boot/efi"));
    assert!(etc.join("new-in-second").is_file() && etc.join("repart.d/50-root.conf").is_file());
    sysroot.repo("fsck", &["--all"]);
    drop(sysroot);
    disk.check();
}

#[test]
fn kernel_arguments_stay_with_the_upgrade() {
    let disk = Disk::new();
    let sysroot = disk.mount();
    let options = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("options ")).unwrap().to_owned();
        line.split(" ostree=").next().unwrap().to_owned()
    };
    let before = options(&fs::read_to_string(sysroot.boot.join("loader/entries/ostree-1.conf")).unwrap());
    let second = next_version(&sysroot, |tree| fs::write(tree.join("usr/share/second"), "2").unwrap());
    deploy(&sysroot, &second);
    for entry in entries(&sysroot) {
        let text = fs::read_to_string(sysroot.boot.join("loader/entries").join(&entry)).unwrap();
        assert_eq!(options(&text), before, "{entry}");
    }
    assert_eq!(boot_files(&sysroot), 1, "the same kernel is not copied again");
}

#[test]
fn a_rollback_leaves_the_disk_as_it_was() {
    let disk = Disk::new();
    let sysroot = disk.mount();
    let (first, before) = (sysroot.deployment(), walk::facts(&sysroot.deployment()));
    let second = next_version(&sysroot, |tree| fs::write(tree.join("usr/share/second"), "2").unwrap());
    deploy(&sysroot, &second);
    sysroot.admin("undeploy", &["0"]);
    let status = sysroot.admin("status", &[]);
    assert!(!status.contains(&second), "{status}");
    assert_eq!(entries(&sysroot).len(), 1);
    walk::assert_same(&before, &walk::facts(&first));
    sysroot.repo("fsck", &["--all"]);
    drop(sysroot);
    disk.check();
}

#[test]
fn var_is_shared_and_not_touched() {
    let disk = Disk::new();
    let sysroot = disk.mount();
    let var = sysroot.join("ostree/deploy/default/var");
    fs::write(var.join("lib/mini/state"), "of the user\n").unwrap();
    let second = next_version(&sysroot, |tree| fs::write(tree.join("var/lib/mini/state"), "of the second\n").unwrap());
    deploy(&sysroot, &second);
    assert_eq!(fs::read_to_string(var.join("lib/mini/state")).unwrap(), "of the user\n");
}
