//! The directories of a cache: what is in it, and how it gets rid of that.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};

use super::{CacheError, LAYERS, MAKING, failed};

/// One layer in the cache.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Says what the layer is, its diff_id, and which blob it came in.
    pub name: String,
    /// Bytes on the disk; files have holes.
    pub bytes: u64,
    /// When a build took it last.
    pub used: SystemTime,
    path: PathBuf,
}

impl Entry {
    /// How long nobody has used it.
    pub fn unused(&self, now: SystemTime) -> Duration {
        now.duration_since(self.used).unwrap_or_default()
    }
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub entries: usize,
    pub bytes: u64,
}

pub fn lock(root: &Path, how: FlockArg) -> Result<Flock<File>, CacheError> {
    let path = root.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed(&path))?;
    Flock::lock(file, how).map_err(|(_, error)| failed(&path)(error.into()))
}

/// The one used last in front. A place without a cache has none.
pub fn entries(root: &Path) -> Result<Vec<Entry>, CacheError> {
    let layers = root.join(LAYERS);
    let mut entries: Vec<_> = listed(&layers)?.into_iter().filter_map(|path| entry(path).ok()).collect();
    entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
    Ok(entries)
}

/// Another build may take an entry away at any time.
fn entry(path: PathBuf) -> io::Result<Entry> {
    let used = path.join("index").metadata()?.modified()?;
    let sizes = fs::read_dir(&path)?.map(|file| Ok(file?.metadata()?.blocks() * 512));
    let bytes = sizes.sum::<io::Result<u64>>()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Entry { name, bytes, used, path })
}

/// As [`sweep`], beside builds that may be running.
pub fn prune(root: &Path, unwanted: impl FnMut(&Entry) -> bool) -> Result<Swept, CacheError> {
    if !root.join(LAYERS).is_dir() {
        return Ok(Swept::default());
    }
    match lock(root, FlockArg::LockExclusiveNonblock) {
        Ok(_alone) => sweep(root, unwanted),
        Err(_) => drop_entries(root, unwanted),
    }
}

/// Drops entries, what is left of builds, and entries in the form of another version; no build may be running.
pub fn sweep(root: &Path, unwanted: impl FnMut(&Entry) -> bool) -> Result<Swept, CacheError> {
    let is_of_another_version = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("layers-") && *name != *LAYERS
    };
    let others = listed(root)?.into_iter().filter(is_of_another_version);
    for left in listed(&root.join(MAKING))?.into_iter().chain(others) {
        fs::remove_dir_all(&left).map_err(failed(&left))?;
    }
    drop_entries(root, unwanted)
}

fn drop_entries(root: &Path, mut unwanted: impl FnMut(&Entry) -> bool) -> Result<Swept, CacheError> {
    let mut swept = Swept::default();
    for entry in entries(root)?.into_iter().filter(|entry| unwanted(entry)) {
        discard(root, &entry.path).map_err(failed(&entry.path))?;
        swept = Swept { entries: swept.entries + 1, bytes: swept.bytes + entry.bytes };
    }
    Ok(swept)
}

/// Away at once, so that nobody finds half of it; who reads it already goes on reading.
pub fn discard(root: &Path, directory: &Path) -> io::Result<()> {
    let away = tempfile::Builder::new().prefix("gone-").tempdir_in(root.join(MAKING))?;
    match fs::rename(directory, away.path().join("layer")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.and_then(|()| away.close()),
    }
}

fn listed(directory: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed(directory))?,
    };
    entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map_err(failed(directory))
}
