//! Layers that were read before, so that nothing of them is fetched, inflated, hashed or copied again.
//!
//! ```text
//! ROOT/lock              held by every build; whoever holds it alone may sweep
//! ROOT/layers-2/KEY/     one layer: `index`, and its contents in `0`, `1`, … as a spool has them
//! ROOT/making/XXXXXX/    one that is being read, or thrown away
//! ```
//!
//! A layer is entered after its digests were compared, under a name that says which they are, by renaming its directory: builds side by
//! side do not disturb each other, and a build that is killed leaves nothing but a directory below `making`. What lies in the
//! cache is trusted as far as it belongs to the user; that it is as it was written is compared at every use.

mod index;
mod store;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use crate::digest::Digest;
use crate::layer::{Expected, Finished, Role};
use crate::spool::Spool;
pub use store::{Entry, Swept};

/// Changes with everything that the meaning of an entry depends on: the form of the index, and how layers are imported. `layers-`
/// begins it, by which versions know each other's.
const LAYERS: &str = "layers-2";
const MAKING: &str = "making";
/// A layer that no build asked for in this time is dropped by the next build.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the file system refused.
#[derive(Debug, thiserror::Error)]
#[error("the cache cannot use {path}: {source}", path = path.display())]
pub struct CacheError {
    path: PathBuf,
    source: io::Error,
}

/// A cache that this process may use; others may as well.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    /// Shared with other builds.
    _lock: Flock<File>,
}

/// A layer out of the cache.
pub struct Cached {
    finished: Finished,
    files: Vec<File>,
}

/// A layer that is being read; gone when it is not entered.
pub struct Making {
    directory: TempDir,
    /// Where its contents go.
    pub spool: Spool,
}

impl Cache {
    /// `$XDG_CACHE_HOME/bootwright`, else `~/.cache/bootwright`; none without a home.
    pub fn default_place() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // A service's user may have a home that is not there, and shall not get one.
        let home = || set("HOME").filter(|home| home.is_dir());
        set("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache"))).map(|cache| cache.join("bootwright"))
    }

    /// Makes what is missing, and drops what builds that were killed left behind and what nobody used for long.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        for directory in [root, &root.join(LAYERS), &root.join(MAKING)] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(failed(directory))?;
        }
        let lock = store::lock(root, FlockArg::LockExclusiveNonblock);
        if let Ok(alone) = lock {
            store::sweep(root, |entry| entry.unused(SystemTime::now()) > KEPT_FOR)?;
            drop(alone);
        }
        let lock = store::lock(root, FlockArg::LockShared)?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// The layer, if it was read before out of the same blob and is as it was; an entry that is not is dropped.
    pub fn layer(&self, expected: &Expected) -> Option<Cached> {
        let directory = self.place(expected);
        match index::read(&directory) {
            Ok(cached) => Some(cached),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => {
                // OK to ignore: then it will not be replaced either, and is read anew by every build.
                let _ = store::discard(&self.root, &directory);
                None
            }
        }
    }

    /// A place for a layer that has to be read.
    pub fn begin(&self) -> Result<Making, CacheError> {
        let making = self.root.join(MAKING);
        let directory = tempfile::Builder::new().prefix("layer-").tempdir_in(&making).map_err(failed(&making))?;
        Ok(Making { spool: Spool::named_in(directory.path()), directory })
    }

    /// Enters a layer whose digests were compared, and answers it as [`Cache::layer`] would.
    pub fn enter(&self, expected: &Expected, making: Making, finished: Finished) -> Result<Cached, CacheError> {
        let Making { directory, spool } = making;
        let files = index::write(directory.path(), &spool.lengths(), &finished).map_err(failed(directory.path()))?;
        match fs::rename(directory.path(), self.place(expected)) {
            Ok(()) => drop(directory.keep()),
            // Another build was faster.
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {}
            Err(error) => return Err(failed(directory.path())(error)),
        }
        Ok(Cached { finished, files })
    }

    /// What a layer is taken for depends on its role; and whether it is taken at all on its blob, which was compared as well.
    fn place(&self, expected: &Expected) -> PathBuf {
        let Expected { role, blob, diff_id, compression, .. } = expected;
        let role = match role {
            Role::Commit => "commit",
            Role::Component => "component",
            Role::Derived => "derived",
        };
        let blob = Digest::of(format!("{} {} {}", blob.digest, blob.size, compression.name()).as_bytes());
        self.root.join(LAYERS).join(format!("{role}-{}-{}", diff_id.hex(), &blob.hex()[..16]))
    }
}

impl Cached {
    /// As if it had just been read into `spool`.
    pub fn lend_to(self, spool: &Spool) -> Finished {
        let Self { mut finished, files } = self;
        let base = spool.lend(files);
        for (_, object) in finished.unpacked.objects_mut() {
            object.move_content(base);
        }
        finished
    }

    /// Bytes of [`crate::layer::Memory`] that it takes.
    pub fn memory(&self) -> u64 {
        self.finished.memory
    }

    /// What the layer inflates to, holes counted: what limits are compared with.
    pub fn inflated(&self) -> u64 {
        let contents = self.finished.unpacked.objects().iter().map(|(_, object)| object.len()).sum();
        self.finished.uncompressed.max(contents)
    }
}

/// All entries, the one used last in front.
pub fn entries(root: &Path) -> Result<Vec<Entry>, CacheError> {
    store::entries(root)
}

/// Drops the entries that `unwanted` picks, and what killed builds left.
pub fn prune(root: &Path, unwanted: impl FnMut(&Entry) -> bool) -> Result<Swept, CacheError> {
    store::prune(root, unwanted)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    |source| CacheError { path, source }
}
