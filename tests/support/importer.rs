//! What bootc's importer does to an image, done by the program `ostree`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::mini_image::Layout;
use super::mounted::{self, InMemory};
use super::program;
use super::sysroot::ostree;
use super::tar::Entry;
use qemu_tests::oracle;

const IMPORTER: &str = "ostree.importer.version=0.15.3";

/// A repository in which `ostree` makes the commits of one image.
pub struct Judge {
    // A repository waits for the disk at every object; in memory there is nothing to wait for.
    pub directory: InMemory,
    timestamp: i64,
}

impl Judge {
    pub fn new(timestamp: i64) -> Judge {
        let judge = Judge { directory: mounted::in_memory("2g"), timestamp };
        let repo = judge.repo();
        fs::create_dir(judge.directory.path().join("repo")).unwrap();
        oracle::agrees(&ostree(), ["init", "--mode=bare", &repo]);
        judge
    }

    pub fn repo(&self) -> String {
        format!("--repo={}", self.path("repo"))
    }

    pub fn commit(&self, args: &[&str], metadata: &[String]) -> String {
        let mut all = vec!["commit".to_owned(), self.repo(), "--orphan".to_owned(), "--no-bindings".to_owned()];
        all.push(format!("--timestamp=@{}", self.timestamp));
        all.extend(metadata.iter().map(|pair| format!("--add-metadata-string={pair}")));
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        // libarchive converts names to the locale, and the test OS has one that is not ASCII.
        let output = Command::new(ostree()).args(&all).env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(output.status.success(), "{all:?}: {}", oracle::said(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The commit of a layer whose tar stream lies in a file.
    pub fn layer(&self, tar: &Path, extra: &[&str]) -> String {
        let tree = format!("--tree=tar={}", tar.display());
        self.commit(&[&[tree.as_str(), "--tar-autocreate-parents"], extra].concat(), &[IMPORTER.to_owned()])
    }

    /// The commit of all layers, one checked out over the other.
    pub fn merge(&self, layers: &[String], facts: &[String]) -> String {
        layers.iter().for_each(|layer| self.check_out(layer, &["--whiteouts"]));
        self.commit(&[&self.merged()], facts)
    }

    /// The same over a commit that the image was made of.
    pub fn merge_over(&self, base: &str, layers: &[String], facts: &[String]) -> String {
        self.check_out(base, &[]);
        layers.iter().for_each(|layer| self.check_out(layer, &["--whiteouts"]));
        self.commit(&[&self.merged(), &format!("--parent={base}")], facts)
    }

    /// Takes over a commit that lies in another repository.
    pub fn pull(&self, from: &Path, commit: &str) {
        oracle::agrees(&ostree(), ["pull-local", &self.repo(), from.to_str().unwrap(), commit]);
    }

    pub fn check_out(&self, commit: &str, options: &[&str]) {
        let (repo, tree) = (self.repo(), self.path("merged"));
        let args = [&["checkout", &repo, "--union"], options, &[commit, &tree]].concat();
        oracle::agrees(&ostree(), args);
    }

    /// What has been checked out, as the tree of a commit.
    pub fn merged(&self) -> String {
        format!("--tree=dir={}", self.path("merged"))
    }

    pub fn path(&self, below: &str) -> String {
        self.directory.path().join(below).display().to_string()
    }
}

/// What the merge commit says of its image, in the importer's order.
pub fn facts(layout: &Layout) -> [String; 4] {
    // serde_json keeps the keys of an object in order: together with no white space that is the canonical form.
    let canonical = |text: &str| serde_json::from_str::<Value>(text).unwrap().to_string();
    [
        format!("ostree.container.image-config={}", canonical(&layout.config)),
        IMPORTER.to_owned(),
        format!("ostree.manifest={}", canonical(&layout.manifest)),
        format!("ostree.manifest-digest={}", layout.manifest_digest),
    ]
}

/// The ids that a dry run prints: of the layers, and of the deployment.
pub fn printed(reference: &str, args: &[&str]) -> (Vec<String>, String) {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = program::build(reference, &scratch.path().join("out"));
    let ended = program::succeed(command.args(["--dry-run", "--format", "json"]).args(args));
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let layers = plan["image"]["layers"].as_array().unwrap().iter().map(|layer| text(&layer["commit"])).collect();
    (layers, text(&plan["deployment"]["commit"]))
}

/// The importer's filter in a few words: /etc moves, and what is made at run time is left out.
pub fn filtered(entries: &[Entry]) -> Vec<Entry> {
    let place = |path: &str| match path.split_once('/') {
        Some(("etc", _)) => Some(format!("usr/{path}")),
        None if path == "etc" => Some("usr/etc".to_owned()),
        Some(("run" | "tmp" | "proc" | "sys" | "dev", _)) => None,
        _ => Some(path.to_owned()),
    };
    entries.iter().filter_map(|entry| Some(Entry { path: place(&entry.path)?, ..entry.clone() })).collect()
}

/// Everything that a dry run prints.
pub fn plan(reference: &str, layout: &str) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = program::build(reference, &scratch.path().join("out"));
    let ended = program::succeed(command.args(["--dry-run", "--format", "json", "--layout", layout]));
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The warnings of a plan, one a line.
pub fn warnings(plan: &Value) -> String {
    plan["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap().to_owned() + "\n").collect()
}
