//! Repositories that the program `ostree` makes: the mini system as a commit.

use std::fs;
use std::path::{Path, PathBuf};

use super::mini_image;
use super::sysroot::ostree;
use super::tar::{Entry, stream};
use qemu_tests::oracle;

pub const BRANCH: &str = "os/x86_64/main";

/// A repository in a directory.
#[derive(Clone, Debug)]
pub struct Repository {
    pub path: PathBuf,
}

impl Repository {
    pub fn new(path: &Path, mode: &str) -> Repository {
        let repository = Repository { path: path.to_owned() };
        repository.says("init", &[&format!("--mode={mode}")]);
        repository
    }

    /// An archive with one commit of the mini system, and its id.
    pub fn archive(path: &Path) -> (Repository, String) {
        let repository = Repository::new(path, "archive");
        let commit = repository.commit(&mini_image::base(), &[]);
        (repository, commit)
    }

    /// Commits a tree to [`BRANCH`].
    pub fn commit(&self, entries: &[Entry], args: &[&str]) -> String {
        let tar = self.path.with_extension("tar");
        fs::write(&tar, stream(entries)).unwrap();
        let tree = format!("--tree=tar={}", tar.display());
        let fixed = [
            "-b",
            BRANCH,
            "--tar-pathname-filter=^etc,usr/etc",
            "--tar-autocreate-parents",
            "--timestamp=@1760000000",
            &tree,
        ];
        self.says("commit", &[&fixed[..], args].concat()).trim().to_owned()
    }

    /// `ostree COMMAND --repo=… ARGS`.
    pub fn says(&self, command: &str, args: &[&str]) -> String {
        let repo = format!("--repo={}", self.path.display());
        oracle::agrees(&ostree(), [command, &repo].into_iter().chain(args.iter().copied()))
    }

    /// What `bootwright build` takes.
    pub fn reference(&self, rev: &str) -> String {
        format!("ostree:{}#{rev}", self.path.display())
    }

    /// The file of an object of an archive, such as `….filez`.
    pub fn object(&self, checksum: &str, suffix: &str) -> PathBuf {
        self.path.join(format!("objects/{}/{}.{suffix}", &checksum[..2], &checksum[2..]))
    }

    /// The checksum of the file at a path of the branch.
    pub fn file(&self, path: &str) -> String {
        let said = self.says("ls", &["-C", BRANCH, path]);
        said.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned()
    }
}
