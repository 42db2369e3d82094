//! A filesystem that can be entered: ext4 through `ext4-view`, FAT through the `fat` room. Paths begin with `/`.

use std::collections::BTreeSet;

use ext4_view::{Ext4, Ext4Error};

use super::image::Slice;
use crate::fat;

/// Names taken out of one directory.
const MOST_NAMES: usize = 16_384;
/// Descriptors are kept in memory; 1 TiB with blocks of 4 KiB has 8192.
const MOST_BLOCK_GROUPS: u64 = 1 << 20;

pub struct Volume {
    pub partition: u32,
    kind: Kind,
}

enum Kind {
    Ext4(Ext4),
    Fat { slice: Slice, files: Vec<(String, u64)> },
}

impl Volume {
    pub fn ext4(partition: u32, slice: Slice) -> Result<Volume, String> {
        check_block_groups(&slice)?;
        let ext4 = Ext4::load(Box::new(slice)).map_err(|error| error.to_string())?;
        Ok(Volume { partition, kind: Kind::Ext4(ext4) })
    }

    pub fn fat(partition: u32, slice: Slice) -> Result<Volume, String> {
        let files = fat::list(slice.clone()).map_err(|error| error.to_string())?;
        Ok(Volume { partition, kind: Kind::Fat { slice, files } })
    }

    /// All files, where the whole filesystem was listed.
    pub fn all_files(&self) -> &[(String, u64)] {
        match &self.kind {
            Kind::Fat { files, .. } => files,
            Kind::Ext4(_) => &[],
        }
    }

    pub fn is_ext4(&self) -> bool {
        matches!(self.kind, Kind::Ext4(_))
    }

    /// Names in a directory, sorted; none when there is no such directory.
    pub fn list(&self, directory: &str) -> Result<Vec<String>, String> {
        let names: BTreeSet<String> = match &self.kind {
            Kind::Ext4(ext4) => match ext4.read_dir(directory) {
                Ok(entries) => ext4_names(entries).map_err(|error| format!("`{directory}`: {error}"))?,
                Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => BTreeSet::new(),
                Err(error) => return Err(format!("`{directory}`: {error}")),
            },
            Kind::Fat { files, .. } => {
                let prefix = format!("{}/", directory.trim_matches('/'));
                let below = files.iter().filter_map(|(path, _)| strip_prefix_ignoring_case(path, &prefix));
                below.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect()
            }
        };
        Ok(names.into_iter().collect())
    }

    /// A file's content; `None` when there is no such file.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
        match &self.kind {
            Kind::Ext4(ext4) => match read_ext4(ext4, path, limit) {
                Ok(found) => Ok(found),
                Err(error) => Err(format!("`{path}`: {error}")),
            },
            Kind::Fat { slice, .. } => {
                fat::read_file(slice.clone(), path.trim_start_matches('/'), limit).map_err(|error| error.to_string())
            }
        }
    }

    /// A text file's content; what is not UTF-8 is replaced.
    pub fn read_text(&self, path: &str, limit: u64) -> Result<Option<String>, String> {
        Ok(self.read(path, limit)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Whether the path leads to a file or a directory; links are followed.
    pub fn exists(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Ext4(ext4) => ext4.exists(path).unwrap_or(false),
            Kind::Fat { files, .. } => {
                files.iter().any(|(file, _)| file.eq_ignore_ascii_case(path.trim_start_matches('/')))
            }
        }
    }

    pub fn is_directory(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Ext4(ext4) => ext4.metadata(path).is_ok_and(|metadata| metadata.is_dir()),
            Kind::Fat { .. } => self.list(path).is_ok_and(|names| !names.is_empty()),
        }
    }

    /// Where a path leads after all links; `None` when one of them dangles.
    pub fn canonical(&self, path: &str) -> Option<String> {
        match &self.kind {
            Kind::Ext4(ext4) => Some(ext4.canonicalize(path).ok()?.to_str().ok()?.to_owned()),
            Kind::Fat { .. } => self.exists(path).then(|| path.to_owned()),
        }
    }
}

fn strip_prefix_ignoring_case<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = path.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Names that are not UTF-8 are passed over: nothing that is looked for here has one.
fn ext4_names(entries: ext4_view::ReadDir) -> Result<BTreeSet<String>, Ext4Error> {
    let mut names = BTreeSet::new();
    for entry in entries.take(MOST_NAMES) {
        let entry = entry?;
        let name = entry.file_name();
        names.extend(name.as_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
    }
    Ok(names)
}

fn read_ext4(ext4: &Ext4, path: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let metadata = match ext4.metadata(path) {
        Ok(metadata) => metadata,
        Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if metadata.is_dir() {
        return Ok(None);
    }
    if metadata.len() > limit {
        return Err(format!("its {} bytes are more than the {limit} that are read", metadata.len()));
    }
    ext4.read(path).map(Some).map_err(|error| error.to_string())
}

/// `ext4-view` allocates for as many groups as the superblock says, before it reads the first.
fn check_block_groups(slice: &Slice) -> Result<(), String> {
    let word = |at: u64| slice.bytes(1024 + at).map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
    let blocks = word(0x4) | if word(0x60) & 0x80 != 0 { word(0x150) << 32 } else { 0 };
    match blocks / word(0x20).max(1) {
        0..=MOST_BLOCK_GROUPS => Ok(()),
        groups => Err(format!("it speaks of {groups} block groups, at most {MOST_BLOCK_GROUPS} are read")),
    }
}
