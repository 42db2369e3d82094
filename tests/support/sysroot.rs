//! A disk's sysroot, mounted: the root filesystem with the boot filesystem at its /boot.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::Disks;
use super::mounted::{self, Mounted};
use qemu_tests::oracle;

pub struct Sysroot {
    // Declared in the order in which they have to be unmounted.
    pub boot: Mounted,
    pub root: Mounted,
}

/// Mounts read-only the partitions that were cut out of a disk.
pub fn of(disks: &Disks) -> Sysroot {
    at(&disks.cut("root"), &disks.cut("boot"), "ro")
}

/// Mounts two files that the test owns for writing.
pub fn writable(root: &Path, boot: &Path) -> Sysroot {
    at(root, boot, "rw")
}

fn at(root: &Path, boot: &Path, how: &str) -> Sysroot {
    let root = mounted::mount(root, None, how);
    let boot = mounted::mount(boot, Some(&root.join("boot")), how);
    Sysroot { boot, root }
}

impl Sysroot {
    pub fn join(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The commit that the deployment's ref names.
    pub fn commit(&self) -> String {
        self.read("ostree/repo/refs/heads/ostree/1/1/0").trim().to_owned()
    }

    pub fn deployment(&self) -> PathBuf {
        self.join(&format!("ostree/deploy/default/deploy/{}.0", self.commit()))
    }

    /// `ostree COMMAND --repo=… ARGS`.
    pub fn repo(&self, command: &str, args: &[&str]) -> String {
        let repo = format!("--repo={}", self.join("ostree/repo").display());
        oracle::agrees(&ostree(), [command, &repo].into_iter().chain(args.iter().copied()))
    }

    /// The dirtree and dirmeta of a commit's root.
    pub fn root_of(&self, commit: &str) -> Vec<String> {
        let said = self.repo("ls", &["-d", "-C", commit, "/"]);
        said.split_whitespace().filter(|word| word.len() == 64).map(str::to_owned).collect()
    }

    /// `ostree admin COMMAND --sysroot=… ARGS`.
    pub fn admin(&self, command: &str, args: &[&str]) -> String {
        let sysroot = format!("--sysroot={}", self.root.path().display());
        oracle::agrees(&ostree(), ["admin", command, &sysroot].into_iter().chain(args.iter().copied()))
    }
}

pub fn ostree() -> PathBuf {
    oracle::tool("ostree", "ostree")
}
