//! Directory trees as the kernel shows them, read with the standard library and getfattr: no reader of ours.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use qemu_tests::oracle;

/// What can be said of an inode without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub kind: &'static str,
    pub permissions: u32,
    pub owner: (u32, u32),
    /// Of files; directories have sizes of their filesystem's own.
    pub size: Option<u64>,
    pub target: Option<String>,
}

/// Everything below `root`, and `root` itself as the empty path.
pub fn tree(root: &Path) -> BTreeMap<String, Metadata> {
    let mut found = BTreeMap::new();
    let mut left = vec![String::new()];
    while let Some(path) = left.pop() {
        let here = root.join(&path);
        let metadata = here.symlink_metadata().unwrap();
        if metadata.is_dir() {
            for entry in fs::read_dir(&here).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                left.push(if path.is_empty() { name } else { format!("{path}/{name}") });
            }
        }
        found.insert(path, metadata);
    }
    found
}

/// [`tree`] with the facts that two filesystems can be compared by.
pub fn facts(root: &Path) -> BTreeMap<String, Facts> {
    tree(root).into_iter().map(|(path, metadata)| (path.clone(), facts_of(&root.join(path), &metadata))).collect()
}

fn facts_of(path: &Path, metadata: &Metadata) -> Facts {
    let kind = metadata.file_type();
    let name = match () {
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () if kind.is_symlink() => "link",
        () if kind.is_char_device() => "character device",
        () => "other",
    };
    Facts {
        kind: name,
        permissions: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        size: kind.is_file().then_some(metadata.len()),
        target: kind.is_symlink().then(|| fs::read_link(path).unwrap().into_os_string().into_string().unwrap()),
    }
}

/// Every extended attribute below `root`, by path: getfattr's own lines, in order.
pub fn xattrs(root: &Path) -> BTreeMap<String, Vec<String>> {
    let getfattr = oracle::tool("getfattr", "attr");
    let args = ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "--absolute-names", root.to_str().unwrap()];
    let said = oracle::agrees(&getfattr, args);
    let mut found = BTreeMap::new();
    for block in said.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let mut lines = block.lines().filter(|line| !line.is_empty());
        let path = lines.next().unwrap().strip_prefix("# file: ").unwrap();
        let path = path.strip_prefix(root.to_str().unwrap()).unwrap().trim_start_matches('/');
        let mut values: Vec<String> = lines.map(str::to_owned).collect();
        values.sort();
        found.insert(path.to_owned(), values);
    }
    found
}

/// Fails with the first differences between two maps.
pub fn assert_same<T: PartialEq + std::fmt::Debug>(expected: &BTreeMap<String, T>, found: &BTreeMap<String, T>) {
    let paths = expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path)));
    let difference = |path: &String| match (expected.get(path), found.get(path)) {
        (one, other) if one == other => None,
        (one, other) => Some(format!("{path}\n  expected {one:?}\n  found    {other:?}")),
    };
    let all: Vec<String> = paths.filter_map(difference).collect();
    assert!(
        all.is_empty(),
        "{} differences:\n{}",
        all.len(),
        all.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}
