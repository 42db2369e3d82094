//! The recipe: data files beside the code that say what a test system is made of.
//!
//! `packages*.txt` names packages (a `-` before a name takes one out that an earlier list has) and `dpkg-options.txt` what
//! of them is left out; `customize.sh` runs beside the new root; `base/`, `derived/` and `v2/` hold files of the layers,
//! `layers*.txt` says where the tree is cut.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::oci::hex;
use crate::tree::{Content, Inode, Node, Tree};

/// Goes into the hash: raise it when the code builds something else from the same recipe.
const CODE_VERSION: u32 = 1;

/// Which of the systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Small,
    Large,
    /// The small one with Debian's SELinux policy.
    Selinux,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Small, Kind::Large, Kind::Selinux];

    /// How names of files end, before the dot, that are for this system alone.
    fn ending(self) -> Option<&'static str> {
        match self {
            Kind::Small => None,
            Kind::Large => Some("-large"),
            Kind::Selinux => Some("-selinux"),
        }
    }
}

/// Debian's releases that systems are made of: the oldest supported client, the one of today, the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// GRUB 2.06, libostree 2022.7, systemd 252.
    Bookworm,
    /// GRUB 2.12, libostree 2025.2, systemd 257.
    Trixie,
    /// The newest of everything; libostree with composefs.
    Sid,
}

impl Suite {
    pub const ALL: [Suite; 3] = [Suite::Bookworm, Suite::Trixie, Suite::Sid];

    pub fn name(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
            Suite::Sid => "sid",
        }
    }
}

/// What the packages are compiled for, by Debian's (and Go's) names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    pub const ALL: [Architecture; 2] = [Architecture::Amd64, Architecture::Arm64];

    pub fn name(self) -> &'static str {
        match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
        }
    }

    /// Whether programs of the packages run here without an emulator.
    pub fn is_native(self) -> bool {
        matches!((self, std::env::consts::ARCH), (Architecture::Amd64, "x86_64") | (Architecture::Arm64, "aarch64"))
    }
}

pub struct Recipe {
    directory: PathBuf,
    pub kind: Kind,
    pub suite: Suite,
    pub architecture: Architecture,
}

impl Recipe {
    pub fn new(kind: Kind, suite: Suite, architecture: Architecture) -> Recipe {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipe");
        Recipe { directory, kind, suite, architecture }
    }

    /// SHA-256 over all files of this system's recipe, their names and executable bits, and the code's version.
    pub fn hash(&self) -> Result<String> {
        let mut sha256 = Sha256::new();
        let (suite, architecture) = (self.suite.name(), self.architecture.name());
        sha256.update(format!("{CODE_VERSION} {:?} {suite} {architecture}\n", self.kind));
        let others_suite = |path: &str| {
            let mut others = Suite::ALL.iter().filter(|suite| **suite != self.suite);
            others.any(|suite| path == format!("packages-{}.txt", suite.name()))
        };
        let others_architecture = |path: &str| {
            let mut others = Architecture::ALL.iter().filter(|architecture| **architecture != self.architecture);
            others.any(|architecture| path == format!("packages-{}.txt", architecture.name()))
        };
        let others_kind = |path: &str| {
            let others = Kind::ALL.iter().filter(|kind| **kind != self.kind);
            let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
            others.filter_map(|kind| kind.ending()).any(|ending| stem.ends_with(ending))
        };
        let of_other = |path: &str| others_kind(path) || others_suite(path) || others_architecture(path);
        let files = Tree::from_directory(&self.directory)?.names;
        for (path, inode) in files.iter().filter(|(path, _)| !of_other(path)) {
            if let Node::File(Content::Bytes(bytes)) = &inode.node {
                sha256.update(format!("{path} {:o} {}\n", inode.mode, bytes.len()));
                sha256.update(bytes);
            }
        }
        Ok(hex(&sha256.finalize()))
    }

    /// Names of all packages.
    pub fn packages(&self) -> Result<Vec<String>> {
        let mut lists = vec!["packages.txt".to_owned(), format!("packages-{}.txt", self.architecture.name())];
        lists.extend(self.kind.ending().map(|ending| format!("packages{ending}.txt")));
        lists.push(format!("packages-{}.txt", self.suite.name()));
        let lines = lists.iter().map(|list| self.lines(list)).collect::<Result<Vec<_>>>()?.concat();
        let (taken_out, mut packages): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with('-'));
        packages.retain(|package| !taken_out.iter().any(|line| line[1..] == *package));
        Ok(packages)
    }

    /// dpkg.cfg(5) lines.
    pub fn dpkg_options(&self) -> Result<Vec<String>> {
        if self.kind == Kind::Large { Ok(Vec::new()) } else { self.lines("dpkg-options.txt") }
    }

    /// Files of the distribution's own layer.
    pub fn base(&self) -> Result<Tree> {
        Tree::from_directory(&self.directory.join("base"))
    }

    /// The layer on top, with its whiteouts.
    pub fn derived(&self) -> Result<Tree> {
        Tree::from_directory(&self.directory.join("derived"))
    }

    /// The layer that makes the next version.
    pub fn v2(&self) -> Result<Tree> {
        Tree::from_directory(&self.directory.join("v2"))
    }

    /// Hooks of mmdebstrap, in order.
    pub fn customize_scripts(&self) -> Result<Vec<String>> {
        let own = (self.kind == Kind::Selinux).then_some("customize-selinux.sh");
        ["customize.sh"].into_iter().chain(own).map(|script| self.read(script)).collect()
    }

    /// Cuts a tree into layers, `base` first. Each layer brings the directories above its own paths.
    pub fn split(&self, tree: &Tree) -> Result<Vec<(String, Tree)>> {
        let list = if self.kind == Kind::Large { "layers-large.txt" } else { "layers.txt" };
        let rules = self.lines(list)?;
        let rules: Vec<Vec<&str>> = rules.iter().map(|line| line.split_whitespace().collect()).collect();
        let mut layers: BTreeMap<usize, Tree> = BTreeMap::new();
        for (path, inode) in &tree.names {
            let layer = rules.iter().position(|rule| rule[1..].iter().any(|top| is_in(path, top)));
            // The base comes before the first rule.
            layers.entry(layer.map_or(0, |rule| rule + 1)).or_default().names.insert(path.clone(), inode.clone());
        }
        let name = |layer: usize| if layer == 0 { "base" } else { rules[layer - 1][0] }.to_owned();
        let with_parents = |(layer, part): (usize, Tree)| (name(layer), add_parents(part, tree));
        Ok(layers.into_iter().map(with_parents).collect())
    }

    fn lines(&self, list: &str) -> Result<Vec<String>> {
        let text = self.read(list)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(lines.map(str::to_owned).collect())
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }
}

fn is_in(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn add_parents(mut part: Tree, whole: &Tree) -> Tree {
    let paths: Vec<String> = part.names.keys().cloned().collect();
    for parent in paths.iter().flat_map(|path| Tree::parents(path)) {
        if let (false, Some(inode)) = (part.names.contains_key(parent), whole.names.get(parent)) {
            part.insert(parent, Inode::clone(inode));
        }
    }
    part
}
