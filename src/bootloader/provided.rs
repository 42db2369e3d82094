//! Loader files that the user gives: a directory, searched by the names that loaders have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::BootloaderError;

/// A loader's file has less.
const LIMIT: u64 = 16 << 20;
/// Directories below the given one are searched this deep; syslinux' modules lie in modules/bios.
const DEPTH: u32 = 4;
const MOST_FILES: usize = 10_000;

/// Files of a directory by their name, in the order of their paths.
#[derive(Clone, Debug, Default)]
pub struct Provided {
    directory: PathBuf,
    paths: BTreeMap<String, Vec<PathBuf>>,
}

impl Provided {
    /// Looks through `directory`; nothing is read yet.
    pub fn open(directory: &Path) -> Result<Provided, BootloaderError> {
        let mut provided = Provided { directory: directory.to_owned(), paths: BTreeMap::new() };
        let mut left = vec![(directory.to_owned(), DEPTH)];
        let mut files = 0;
        while let Some((here, depth)) = left.pop() {
            let entries = fs::read_dir(&here).map_err(|source| failed(&here, source))?;
            for entry in entries {
                let entry = entry.map_err(|source| failed(&here, source))?;
                let path = entry.path();
                // A link may lead to a file, but not to a directory: it could lead upwards.
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                files += 1;
                if files > MOST_FILES {
                    return Err(BootloaderError::TooManyFiles { directory: directory.to_owned(), most: MOST_FILES });
                }
                if is_directory && depth > 0 {
                    left.push((path, depth - 1));
                } else if path.is_file() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    provided.paths.entry(name).or_default().push(path);
                }
            }
        }
        provided.paths.values_mut().for_each(|paths| paths.sort());
        Ok(provided)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The first file of this name whose bytes are `wanted`.
    pub fn find(
        &self,
        name: &str,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<(PathBuf, Vec<u8>)>, BootloaderError> {
        for path in self.paths.get(name).into_iter().flatten() {
            let len = fs::metadata(path).map_err(|source| failed(path, source))?.len();
            if len > LIMIT {
                continue;
            }
            let bytes = fs::read(path).map_err(|source| failed(path, source))?;
            if wanted(&bytes) {
                return Ok(Some((path.clone(), bytes)));
            }
        }
        Ok(None)
    }

    /// As [`Provided::find`], among all names that `named` accepts, in their order.
    pub fn find_named(
        &self,
        named: impl Fn(&str) -> bool,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<(PathBuf, Vec<u8>)>, BootloaderError> {
        for name in self.paths.keys().filter(|name| named(name)) {
            if let Some(found) = self.find(name, &wanted)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn failed(path: &Path, source: std::io::Error) -> BootloaderError {
    BootloaderError::Provided { path: path.to_owned(), source }
}
