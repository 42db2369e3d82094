//! SELinux labels of what the commit does not bring: the physical root, /boot, and the deployment's /etc and /var, as libostree and
//! bootc leave them (libostree `ostree-sysroot-deploy.c`, bootc `lsm.rs`, `install.rs`).

use super::labels::with_label;
use super::stateroot::Places;
use super::{DeployError, Sysroot};
use crate::os::SelinuxPolicy;
use crate::selinux::FileKind;
use crate::tree::{InodeId, Kind, Seconds, Stat, Tree};

/// Labels everything that has no label of the commit's, once nothing more is added; `lost+found`, which every ext4 has, is added
/// for its label.
pub fn label_sysroot(sysroot: &mut Sysroot, policy: &SelinuxPolicy, time: Seconds) -> Result<(), DeployError> {
    for tree in [&mut sysroot.boot, &mut sysroot.root] {
        tree.ensure_directories(Tree::ROOT, "lost+found", &Stat::root(0o700, time));
    }
    let mut boot = Labels { tree: &mut sysroot.boot, policy };
    boot.all(Tree::ROOT, "/boot")?;
    let mut root = Labels { tree: &mut sysroot.root, policy };
    for (name, id) in root.names(Tree::ROOT) {
        match name.as_str() {
            "ostree" => root.ostree(id, &sysroot.places)?,
            _ => root.all(id, &format!("/{name}"))?,
        }
    }
    root.one(Tree::ROOT, "/")
}

struct Labels<'a> {
    tree: &'a mut Tree,
    policy: &'a SelinuxPolicy,
}

impl Labels<'_> {
    /// /ostree itself is like /usr; below it paths are what they are on the physical root.
    fn ostree(&mut self, ostree: InodeId, places: &Places) -> Result<(), DeployError> {
        for (name, id) in self.names(ostree) {
            match name.as_str() {
                "repo" => self.repository(id)?,
                "deploy" => self.stateroots(id, places)?,
                _ => self.all(id, &format!("/ostree/{name}"))?,
            }
        }
        self.one(ostree, "/usr")
    }

    /// Objects of files have the labels that are in their checksums, or none.
    fn repository(&mut self, repository: InodeId) -> Result<(), DeployError> {
        for (name, id) in self.names(repository) {
            let path = format!("/ostree/repo/{name}");
            match name.as_str() {
                "objects" => self.objects(id, &path)?,
                _ => self.all(id, &path)?,
            }
        }
        self.one(repository, "/ostree/repo")
    }

    fn objects(&mut self, directory: InodeId, path: &str) -> Result<(), DeployError> {
        for (name, id) in self.names(directory) {
            let path = format!("{path}/{name}");
            if self.tree.is_directory(id) {
                self.objects(id, &path)?;
            } else if !name.ends_with(".file") {
                self.one(id, &path)?;
            }
        }
        self.one(directory, path)
    }

    fn stateroots(&mut self, deploy: InodeId, places: &Places) -> Result<(), DeployError> {
        for (stateroot, id) in self.names(deploy) {
            let path = format!("/ostree/deploy/{stateroot}");
            for (name, id) in self.names(id) {
                match name.as_str() {
                    "var" => self.all(places.var, "/var")?,
                    "deploy" => self.deployments(id, &format!("{path}/deploy"), places)?,
                    "backing" => self.backing(id, &format!("{path}/backing"))?,
                    _ => self.all(id, &format!("{path}/{name}"))?,
                }
            }
            self.one(id, &path)?;
        }
        self.one(deploy, "/ostree/deploy")
    }

    fn deployments(&mut self, directory: InodeId, path: &str, places: &Places) -> Result<(), DeployError> {
        for (_, id) in self.names(directory) {
            if id == places.deployment {
                self.all(places.etc, "/etc")?;
                if let Some(image) = self.tree.child(id, b".ostree.cfs") {
                    self.one(image, "/usr")?;
                }
            } else {
                // libostree gives an origin file the label of a remote's configuration.
                self.one(id, "/etc/ostree/remotes.d/dummy.conf")?;
            }
        }
        self.one(directory, path)
    }

    /// The upper directory of a transient root is seen as the root.
    fn backing(&mut self, directory: InodeId, path: &str) -> Result<(), DeployError> {
        for (name, id) in self.names(directory) {
            let path = format!("{path}/{name}");
            if name == "upper" {
                self.one(id, "/")?;
            } else {
                self.backing(id, &path)?;
            }
        }
        self.one(directory, path)
    }

    /// An inode and everything below it.
    fn all(&mut self, id: InodeId, path: &str) -> Result<(), DeployError> {
        for (name, below) in self.names(id) {
            self.all(below, &format!("{path}/{name}"))?;
        }
        self.one(id, path)
    }

    /// A label that came with the commit is that of another path.
    fn one(&mut self, id: InodeId, path: &str) -> Result<(), DeployError> {
        let inode = self.tree.inode_mut(id);
        let kind = match inode.kind {
            Kind::Directory(_) => FileKind::Directory,
            Kind::Regular(_) => FileKind::Regular,
            Kind::Symlink(_) => FileKind::Symlink,
        };
        if let Some(label) = self.policy.label(path, kind) {
            inode.stat.xattrs = with_label(&inode.stat.xattrs, label)?;
        }
        Ok(())
    }

    fn names(&self, id: InodeId) -> Vec<(String, InodeId)> {
        self.tree.entries(id).map(|(name, id)| (String::from_utf8_lossy(name).into_owned(), id)).collect()
    }
}
