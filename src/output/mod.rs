//! Finished files: every output of a build from one pass over the disk, all of them renamed into place together at the end.

mod checksums;
mod chunk;
mod order;
mod pass;
mod qcow2;
mod raw;
mod spool_room;
mod staging;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use checksums::Sha256Text;
pub use pass::{Options, write};
pub use staging::{SUMS, Staging};

use crate::disk::{Disk, Extent};

#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("{action} {} failed: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("reading the spool back failed: {0}")]
    Spool(crate::spool::SpoolError),
    #[error("writing the qcow2 image failed: {0}")]
    Qcow2(#[from] crate::qcow2::Error),
    #[error("another build is writing to {}", path.display())]
    Busy { path: PathBuf },
    #[error("{} is a directory, and the build would put a file of that name there", path.display())]
    IsDirectory { path: PathBuf },
}

impl OutputError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> OutputError {
        let path = path.to_owned();
        move |source| OutputError::Io { action, path: path.clone(), source }
    }
}

/// The formats a disk can be written in. Paths below the output directory are those of bootc-image-builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OutputType {
    Qcow2,
    Raw,
}

impl OutputType {
    pub fn path(self) -> &'static str {
        match self {
            OutputType::Qcow2 => "qcow2/disk.qcow2",
            OutputType::Raw => "image/disk.raw",
        }
    }
}

/// One way of storing a disk. A sink is fed from several threads; what it does in order it orders itself.
trait Sink: Sync {
    /// What a worker thread keeps between chunks.
    fn worker(&self) -> Result<Box<dyn Worker + '_>, OutputError>;

    /// Called once all chunks are in.
    fn finish(&self) -> Result<(), OutputError>;

    /// Another sink failed, or reading did: threads that wait for their turn go on, and nothing more is stored.
    fn abort(&self) {}
}

/// A thread's own half of a [`Sink`].
trait Worker {
    /// Takes one chunk; each index comes once, from whichever thread. Indices are given out in increasing order.
    fn chunk(&mut self, chunk: &chunk::Chunk) -> Result<(), OutputError>;
}
