//! A directory in OCI image layout.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::oci_layout::Files;
use super::{Error, Result};
use crate::container_trust::Identity;

/// The files of a layout that lies unpacked.
pub struct Directory(PathBuf);

impl Directory {
    /// Refuses what is not a directory.
    pub fn open(path: &Path) -> Result<Self> {
        let not_a_layout = |why: &str| Error::NotALayout { path: path.display().to_string(), why: why.to_owned() };
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(Self(path.to_owned())),
            Ok(_) => Err(not_a_layout("it is not a directory (is it an archive? then write `oci-archive:`)")),
            Err(source) => Err(Error::Io { path: path.display().to_string(), source }),
        }
    }
}

impl Directory {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Files for Directory {
    fn open(&self, name: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>> {
        let path = self.0.join(name);
        let failed = |source| Error::Io { path: path.display().to_string(), source };
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Opening a fifo would wait for ever.
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        Ok(Some((Box::new(File::open(&path).map_err(failed)?), metadata.len())))
    }

    fn location(&self) -> String {
        self.0.display().to_string()
    }

    fn identity(&self) -> io::Result<Identity> {
        Identity::oci(&self.0)
    }
}
