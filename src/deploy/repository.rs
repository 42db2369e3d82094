//! The repository `/ostree/repo`, mode `bare`: objects as files with their own owners and xattrs, refs, configuration.

use std::collections::BTreeMap;

use crate::ostree::{Checksum, ObjectKind, ObjectName, repo};
use crate::tree::{InodeId, Seconds, Stat, Tree};

/// What the repository consists of.
pub struct Repository<'a> {
    pub objects: &'a BTreeMap<Checksum, InodeId>,
    pub metadata: &'a BTreeMap<ObjectName, Vec<u8>>,
    /// By the path of the ref's file.
    pub refs: &'a [(String, Checksum)],
    /// `sysroot.bootloader`.
    pub backend: &'a str,
    /// Lines for the `[sysroot]` group beside bootc's.
    pub extra_config: &'a str,
}

impl Repository<'_> {
    /// Lays the repository out in the directory `at`.
    pub fn place(&self, tree: &mut Tree, at: InodeId, time: Seconds) {
        let directory = Stat::root(0o755, time);
        for path in repo::DIRECTORIES.map(str::to_owned).into_iter().chain(repo::object_directories()) {
            tree.ensure_directories(at, &path, &directory);
        }
        tree.add_file(at, "config", Stat::root(0o644, time), repo::config(self.backend) + self.extra_config);
        // Made by the first process that locks the repository; there from the start, its mode is ours to choose.
        tree.add_file(at, ".lock", Stat::root(0o640, time), "");
        self.place_objects(tree, at);
        for (path, commit) in self.refs {
            let (parent, file) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = tree.ensure_directories(at, parent, &directory);
            tree.add_file(parent, file, Stat::root(0o644, time), repo::ref_content(*commit));
        }
    }

    fn place_objects(&self, tree: &mut Tree, at: InodeId) {
        // By the first byte of the checksum.
        let stat = Stat::root(0o755, 0);
        let directories: Vec<InodeId> =
            repo::object_directories().map(|path| tree.ensure_directories(at, &path, &stat)).collect();
        let place = |object: ObjectName| {
            let path = repo::object_path(object);
            let name = path.rsplit_once('/').map_or("", |(_, name)| name).to_owned();
            (directories[usize::from(object.checksum.0[0])], name)
        };
        for (checksum, inode) in self.objects {
            let (parent, name) = place(ObjectName { checksum: *checksum, kind: ObjectKind::File });
            tree.link(parent, name.as_bytes(), *inode);
        }
        for (object, bytes) in self.metadata {
            let (parent, name) = place(*object);
            tree.add_file(parent, &name, Stat::root(0o644, 0), bytes.clone());
        }
    }
}
