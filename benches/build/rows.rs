//! What is measured on one image.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::measure::{self, Sample};
use crate::ostree::{BRANCH, Served};
use crate::registry::Stored;
use crate::{floor, labels, oci};

/// What a row is, for the goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Raw,
    RawNoChecksums,
    Zlib,
    Zstd,
    Floor,
    Gzip,
    Mke2fs,
    QemuImg,
    /// A ref of a server.
    Server,
    /// A ref of a directory.
    Directory,
    Pull,
    Deploy,
    /// Out of a registry.
    Registry,
    Skopeo,
    /// Every layer is in the cache.
    Cached,
    /// All but a small one.
    Changed,
    Foreign,
    Labels,
}

impl Kind {
    /// Whether it is our own build.
    pub fn is_build(self) -> bool {
        matches!(
            self,
            Kind::Raw
                | Kind::RawNoChecksums
                | Kind::Zlib
                | Kind::Zstd
                | Kind::Server
                | Kind::Directory
                | Kind::Registry
                | Kind::Cached
                | Kind::Changed
                | Kind::Foreign
        )
    }
}

/// One line of the table.
pub struct Row {
    pub kind: Kind,
    pub title: String,
    /// Runs before and is not measured.
    before: Option<Vec<String>>,
    command: Vec<String>,
    /// A file or directory that the command makes.
    output: Option<PathBuf>,
}

impl Row {
    fn new(kind: Kind, title: &str, command: Vec<String>, output: Option<PathBuf>) -> Row {
        Row { kind, title: title.to_owned(), before: None, command, output }
    }

    /// Runs the command once and removes what it made.
    pub fn run(&self) -> Result<Sample> {
        if let Some(before) = &self.before {
            measure::run(before)?;
        }
        let sample = measure::run(&self.command);
        if let Some(output) = &self.output {
            // One of the two fails; the next run would say so if both did.
            let _ = fs::remove_dir_all(output).or_else(|_| fs::remove_file(output));
        }
        sample
    }
}

/// An image and the place to work in.
pub struct Bench {
    pub name: &'static str,
    pub oci: PathBuf,
    pub rootfs_tar: PathBuf,
    /// The image with a small layer more.
    pub next: Option<PathBuf>,
    /// The same system for another architecture.
    pub foreign: Option<PathBuf>,
    pub scratch: PathBuf,
}

impl Bench {
    /// Makes what the other tools start from, and says what to run.
    pub fn prepare(&self, served: &Served, stored: &Stored) -> Result<Vec<Row>> {
        let (raw, tree) = (self.raw()?, self.tree()?);
        let size = fs::metadata(&raw)?.len();
        let mut gzip = words(&["gzip", "-dc"]);
        gzip.extend(oci::layers(&self.oci)?.iter().map(|layer| text(layer)));
        let mut rows = vec![
            self.build(Kind::Raw, &["--type", "raw"]),
            self.build(Kind::RawNoChecksums, &["--type", "raw", "--no-checksums"]),
            self.build(Kind::Zlib, &["--type", "qcow2"]),
            self.build(Kind::Zstd, &["--type", "qcow2", "--compression", "zstd"]),
            self.floor(),
            Row::new(Kind::Gzip, "gzip -dc, all layers", gzip, None),
            self.mke2fs(&tree, size),
            self.qemu_img(&raw),
            self.build_ref(Kind::Server, "from HTTP", &served.url),
            self.shell(Kind::Pull, "ostree pull, HTTP, alone", served.pull(&self.scratch.join("shell")), "shell"),
            self.build_ref(Kind::Directory, "from archive", &served.archive.display().to_string()),
            self.shell(
                Kind::Deploy,
                "ostree pull-local, deploy, loop mount",
                served.deploy(&self.scratch.join("shell"), &self.scratch.join("mount"), size),
                "shell",
            ),
            self.registry(stored),
            self.skopeo(stored),
            self.cached()?,
            self.labels()?,
        ];
        rows.extend(self.next.as_deref().map(|next| self.changed(next)));
        let plain = ["--type", "raw", "--no-checksums", "--no-cache"];
        let for_arm64 = |os: &Path| self.build_of(&layout(os), Kind::Foreign, "build for arm64, no checksums", &plain);
        rows.extend(self.foreign.as_deref().map(for_arm64));
        Ok(rows)
    }

    fn registry(&self, stored: &Stored) -> Row {
        let options = ["--tls-verify=false", "--type", "raw", "--no-checksums", "--no-cache"];
        self.build_of(&stored.reference, Kind::Registry, "build from a registry, no checksums", &options)
    }

    fn skopeo(&self, stored: &Stored) -> Row {
        let output = self.scratch.join("copy");
        let to = layout(&output);
        let command = words(&["skopeo", "copy", "--quiet", "--src-tls-verify=false", &stored.reference, &to]);
        Row::new(Kind::Skopeo, "skopeo copy to an OCI layout, alone", command, Some(output))
    }

    fn labels(&self) -> Result<Row> {
        let list = self.scratch.join("paths");
        labels::list(&self.rootfs_tar, &list)?;
        let command = words(&[&text(&env::current_exe()?), labels::WORD, &text(&list)]);
        Ok(Row::new(Kind::Labels, "SELinux labels of 60,000 paths, alone", command, None))
    }

    /// The first build of it, which fills the cache, is not measured.
    fn cached(&self) -> Result<Row> {
        let cache = ["--type", "raw", "--no-checksums", "--cache", &text(&self.scratch.join("cache"))];
        let row = self.build_of(&layout(&self.oci), Kind::Cached, "build, all layers cached, no checksums", &cache);
        row.run()?;
        Ok(row)
    }

    /// Each time with the cache as the image itself left it.
    fn changed(&self, next: &Path) -> Row {
        let (cache, copy) = (self.scratch.join("cache"), self.scratch.join("cache-before-next"));
        let before = shell(format!("rm -rf {copy} && cp -al {cache} {copy}", cache = text(&cache), copy = text(&copy)));
        let options = ["--type", "raw", "--no-checksums", "--cache", &text(&copy)];
        let row = self.build_of(&layout(next), Kind::Changed, "build, a small layer new, no checksums", &options);
        Row { before: Some(before), ..row }
    }

    fn build_ref(&self, kind: Kind, title: &str, location: &str) -> Row {
        let (source, title) = (format!("ostree:{location}#{BRANCH}"), format!("build ref {title}, no checksums"));
        self.build_of(&source, kind, &title, &["--type", "raw", "--no-checksums", "--no-verify"])
    }

    fn shell(&self, kind: Kind, title: &str, script: String, output: &str) -> Row {
        Row::new(kind, title, shell(script), Some(self.scratch.join(output)))
    }

    fn build(&self, kind: Kind, options: &[&str]) -> Row {
        let title = format!("build {}", options.join(" "));
        self.build_of(&layout(&self.oci), kind, &title, &[options, &["--no-cache"]].concat())
    }

    fn build_of(&self, source: &str, kind: Kind, title: &str, options: &[&str]) -> Row {
        let output = self.scratch.join("build");
        let mut command = words(&[env!("CARGO_BIN_EXE_bootwright"), "build", source]);
        command.extend(words(options));
        command.extend(words(&["--progress", "none", "--output", &text(&output)]));
        Row::new(kind, title, command, Some(output))
    }

    fn floor(&self) -> Row {
        let output = self.scratch.join("floor");
        let program = text(&env::current_exe().unwrap_or_default());
        let command = words(&[&program, floor::WORD, &text(&self.oci), &text(&output)]);
        Row::new(Kind::Floor, "floor: inflate, hash, write", command, Some(output))
    }

    /// A sparse file as large as our disk, as mke2fs would be used beside it.
    fn mke2fs(&self, tree: &Path, size: u64) -> Row {
        let output = self.scratch.join("mke2fs.ext4");
        let size = format!("{}k", size / 1024);
        let command = words(&["mke2fs", "-q", "-F", "-t", "ext4", "-d", &text(tree), &text(&output), &size]);
        Row::new(Kind::Mke2fs, "mke2fs -d, tree unpacked", command, Some(output))
    }

    fn qemu_img(&self, raw: &Path) -> Row {
        let output = self.scratch.join("convert.qcow2");
        let command = words(&["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", &text(raw), &text(&output)]);
        Row::new(Kind::QemuImg, "qemu-img convert -c", command, Some(output))
    }

    /// Our raw disk, which qemu-img converts.
    fn raw(&self) -> Result<PathBuf> {
        let row = self.build(Kind::Raw, &["--type", "raw", "--no-checksums"]);
        measure::run(&row.command)?;
        let (made, kept) = (self.scratch.join("build/image/disk.raw"), self.scratch.join("disk.raw"));
        fs::rename(&made, &kept).with_context(|| format!("keeping {}", made.display()))?;
        Ok(kept)
    }

    /// The flattened tree as files, which needs root: they belong to many.
    fn tree(&self) -> Result<PathBuf> {
        ensure!(nix::unistd::Uid::effective().is_root(), "mke2fs -d needs a tree with its owners: run this as root");
        let tree = self.scratch.join("tree");
        fs::create_dir(&tree)?;
        let options = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"];
        let status = Command::new("tar").args(options).arg(&self.rootfs_tar).arg("-C").arg(&tree).status()?;
        ensure!(status.success(), "tar could not unpack {}", self.rootfs_tar.display());
        File::open(&tree)?.sync_all()?;
        Ok(tree)
    }
}

fn shell(script: String) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), script]
}

/// An image in an OCI layout directory, as bootwright and skopeo name it.
fn layout(directory: &Path) -> String {
    format!("oci:{}:latest", directory.display())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
