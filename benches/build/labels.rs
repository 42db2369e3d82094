//! Labelling every path of a tree by Debian's SELinux policy, with nothing around it.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bootwright::selinux::{FileContexts, FileKind, Label, PolicyFiles};

/// The first argument that makes this program do nothing but that.
pub const WORD: &str = "label";
const POLICY: &str = "/etc/selinux/default/contexts/files";

/// As many as a desktop has.
const PATHS: usize = 60_000;

/// Writes so many paths of `rootfs_tar` to `list`, those of a small tree again and again: the type flag of tar, then the path, a
/// line each.
pub fn list(rootfs_tar: &Path, list: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(rootfs_tar)?));
    let mut paths = Vec::new();
    for entry in archive.entries()? {
        let entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        paths.push(format!("{}/{path}\n", char::from(entry.header().entry_type().as_byte())));
    }
    let mut lines = BufWriter::new(File::create(list)?);
    for line in paths.iter().cycle().take(PATHS) {
        lines.write_all(line.as_bytes())?;
    }
    Ok(lines.flush()?)
}

/// Reads the policy and labels every path of the list.
pub fn run(list: &Path) -> Result<()> {
    let policy = FileContexts::parse(&policy()?).context("Debian's policy")?;
    let list = fs::read_to_string(list)?;
    let labelled = list.lines().filter(|line| {
        let kind = match line.as_bytes()[0] {
            b'5' => FileKind::Directory,
            b'2' => FileKind::Symlink,
            _ => FileKind::Regular,
        };
        matches!(policy.lookup(line[1..].trim_end_matches('/'), kind), Label::Context(_))
    });
    ensure!(labelled.count() > list.lines().count() / 2, "most paths have a label");
    Ok(())
}

fn policy() -> Result<PolicyFiles> {
    let read = |name: &str| fs::read(Path::new(POLICY).join(name)).ok();
    Ok(PolicyFiles {
        file_contexts: read("file_contexts").context("is selinux-policy-default installed?")?,
        homedirs: read("file_contexts.homedirs"),
        local: read("file_contexts.local"),
        subs: read("file_contexts.subs"),
        subs_dist: read("file_contexts.subs_dist"),
    })
}
