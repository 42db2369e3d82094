//! The program `ostree`, which imports and merges layers given as tar files.

use std::fs::{self, File};
use std::path::PathBuf;

use bootwright::ostree::{Checksum, Commit, Directory};
use tempfile::TempDir;

use super::ostree_layer::{Entry, Kind};
use qemu_tests::oracle;

/// The id of a commit of `tree` as the judge makes it.
pub fn commit_id(tree: &Directory) -> String {
    let (root_tree, root_meta) = tree.write(&mut |_, _| ());
    commit(root_tree, root_meta).checksum().to_string()
}

pub fn commit(root_tree: Checksum, root_meta: Checksum) -> Commit {
    let (subject, body) = ("judged".to_owned(), String::new());
    Commit { metadata: vec![], parent: None, subject, body, timestamp: 1_700_000_000, root_tree, root_meta }
}

/// A repository of the program `ostree`.
pub struct Judge {
    pub directory: TempDir,
    ostree: PathBuf,
}

impl Judge {
    pub fn new() -> Self {
        oracle::needs_root("ostree keeps owners and xattrs of files, which");
        let judge = Self { directory: TempDir::new().unwrap(), ostree: oracle::tool("ostree", "ostree") };
        judge.says(&["init", "--mode=bare"]);
        judge
    }

    /// Runs `ostree` on the repository; it has to agree.
    pub fn says(&self, args: &[&str]) -> String {
        let repo = format!("--repo={}", self.path("repo"));
        oracle::agrees(&self.ostree, args[..1].iter().copied().chain([repo.as_str()]).chain(args[1..].iter().copied()))
    }

    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// The id of the commit that `ostree` makes of the entries as a tar, and a listing of it.
    pub fn imports(&self, entries: &[Entry]) -> (String, String) {
        write_tar(&self.path("layer.tar"), entries);
        self.commits(&format!("--tree=tar={}", self.path("layer.tar")))
    }

    /// Checks the layers out over each other and commits the result.
    pub fn merges(&self, layers: &[Vec<Entry>]) -> (String, String) {
        let merged = self.path("merged");
        for entries in layers {
            let (layer, _) = self.imports(entries);
            self.says(&["checkout", "--union", "--whiteouts", &layer, &merged]);
        }
        let committed = self.commits(&format!("--tree=dir={merged}"));
        fs::remove_dir_all(merged).unwrap();
        committed
    }

    fn commits(&self, tree: &str) -> (String, String) {
        let args = ["commit", "--orphan", "--no-bindings", "--tar-autocreate-parents", "--timestamp=@1700000000"];
        let id = self.says(&[&args[..], &["--subject=judged", tree]].concat()).trim().to_owned();
        let listing = self.says(&["ls", "-R", "-X", "-C", &id]);
        (id, listing)
    }
}

fn write_tar(path: &str, entries: &[Entry]) {
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    for entry in entries {
        // libarchive hands the last record on first, and libostree before 2025.2 hashes them as they come: so write them backwards.
        let xattrs: Vec<_> =
            entry.xattrs.iter().rev().map(|(name, value)| (format!("SCHILY.xattr.{name}"), *value)).collect();
        archive.append_pax_extensions(xattrs.iter().map(|(name, value)| (name.as_str(), *value))).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.uid.into());
        header.set_gid(entry.gid.into());
        let (kind, content, target) = match &entry.kind {
            Kind::Directory => (tar::EntryType::Directory, &[][..], None),
            Kind::File(content) => (tar::EntryType::Regular, &content[..], None),
            Kind::Symlink(target) => (tar::EntryType::Symlink, &[][..], Some(target)),
            Kind::Hardlink(target) => (tar::EntryType::Link, &[][..], Some(target)),
        };
        header.set_entry_type(kind);
        header.set_size(u64::try_from(content.len()).unwrap());
        match target {
            Some(target) => archive.append_link(&mut header, &entry.path, target).unwrap(),
            None => archive.append_data(&mut header, &entry.path, content).unwrap(),
        }
    }
    archive.finish().unwrap();
}
