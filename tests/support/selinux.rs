//! Policies in both hands: ours, and as files for libselinux's tools.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bootwright::selinux::{FileContexts, FileKind, Label, PolicyFiles};
use tempfile::TempDir;

use super::tar::{Entry, file};
use qemu_tests::oracle;

/// Each type as `matchpathcon` and as `selabel_lookup` call it.
pub const KINDS: [(FileKind, &str, u32); 7] = [
    (FileKind::Regular, "f", 0o100000),
    (FileKind::Directory, "d", 0o040000),
    (FileKind::Symlink, "l", 0o120000),
    (FileKind::CharDevice, "c", 0o020000),
    (FileKind::BlockDevice, "b", 0o060000),
    (FileKind::Fifo, "p", 0o010000),
    (FileKind::Socket, "s", 0o140000),
];

/// Debian's policy as it is installed, without its compiled form.
pub fn debian() -> PolicyFiles {
    let read = |name: &str| fs::read(Path::new("/etc/selinux/default/contexts/files").join(name)).ok();
    PolicyFiles {
        file_contexts: read("file_contexts").unwrap_or_else(|| {
            panic!("the judge's policy is missing: sudo apt-get install selinux-policy-default selinux-utils")
        }),
        homedirs: read("file_contexts.homedirs"),
        local: read("file_contexts.local"),
        subs: read("file_contexts.subs"),
        subs_dist: read("file_contexts.subs_dist"),
    }
}

/// The same as an image has it, turned on.
pub fn in_image() -> Vec<Entry> {
    let files = debian();
    let below = "etc/selinux/default/contexts/files";
    let texts = [
        ("file_contexts", Some(files.file_contexts)),
        ("file_contexts.homedirs", files.homedirs),
        ("file_contexts.local", files.local),
        ("file_contexts.subs", files.subs),
        ("file_contexts.subs_dist", files.subs_dist),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| Some(file(&format!("{below}/{name}"), text?)));
    let config = file("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=default\n");
    std::iter::once(config).chain(texts).collect()
}

/// A policy in both hands: ours, and as files for the judge.
pub struct Policy {
    ours: FileContexts,
    dir: TempDir,
}

impl Policy {
    pub fn new(files: &PolicyFiles) -> Policy {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: Option<&Vec<u8>>| {
            text.into_iter().for_each(|text| fs::write(dir.path().join(name), text).unwrap());
        };
        write("file_contexts", Some(&files.file_contexts));
        write("file_contexts.homedirs", files.homedirs.as_ref());
        write("file_contexts.local", files.local.as_ref());
        write("file_contexts.subs", files.subs.as_ref());
        write("file_contexts.subs_dist", files.subs_dist.as_ref());
        Policy { ours: FileContexts::parse(files).unwrap(), dir }
    }

    fn ours(&self, path: &str, kind: FileKind) -> &str {
        match self.ours.lookup(path, kind) {
            Label::Context(context) => context,
            Label::NoLabel | Label::NoMatch => "<<none>>",
        }
    }

    /// A small policy as text, for those who look at a failed test.
    fn shown(&self) -> String {
        let read =
            |file: fs::DirEntry| format!("\n{:?}\n{}", file.file_name(), fs::read_to_string(file.path()).unwrap());
        let all: String = fs::read_dir(self.dir.path()).unwrap().map(|file| read(file.unwrap())).collect();
        if all.len() < 4000 { all } else { String::new() }
    }

    /// Asks both for every path; how many of them have a label.
    pub fn compare(&self, paths: &BTreeSet<String>, kind: FileKind) -> usize {
        let (_, letter, _) = *KINDS.iter().find(|(each, _, _)| *each == kind).unwrap();
        let judge = oracle::tool("matchpathcon", "selinux-utils");
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let mut labelled = 0;
        for paths in paths.chunks(4000) {
            let file = self.dir.path().join("file_contexts");
            let args = ["-N", "-m", letter, "-f", file.to_str().unwrap(), "--"];
            let said = oracle::agrees(&judge, args.iter().chain(paths));
            let mut lines = said.lines();
            for path in paths {
                let theirs = lines.next().and_then(|line| line.split_once('\t')).unwrap_or_else(|| panic!("{said}"));
                assert_eq!(theirs, (*path, self.ours(path, kind)), "{kind:?}{}", self.shown());
                labelled += usize::from(theirs.1 != "<<none>>");
            }
        }
        labelled
    }

    /// One path, with slashes and newlines that `matchpathcon` would touch.
    pub fn compare_one(&self, path: &str, kind: FileKind) {
        let (_, _, mode) = *KINDS.iter().find(|(each, _, _)| *each == kind).unwrap();
        let file = self.dir.path().join("file_contexts");
        let mode = mode.to_string();
        let args = ["-r", "-b", "file", "-f", file.to_str().unwrap(), "-k", path, "-t", &mode];
        let said = oracle::said(&oracle::run(&oracle::tool("selabel_lookup", "selinux-utils"), args));
        let theirs = said.trim_end().strip_prefix("Default context: ").unwrap_or("<<none>>");
        assert_eq!(theirs, self.ours(path, kind), "{path:?}: {said}");
    }
}
