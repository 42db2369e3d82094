//! What podman, skopeo and buildah are configured with, and a build follows as well: credentials (containers-auth.json(5)),
//! certificates (containers-certs.d(5)), mirrors and blocked places (containers-registries.conf(5)), where stores are
//! (containers-storage.conf(5)). Nothing here asks a network.

mod auth_file;
mod certs_d;
mod registries_conf;
mod storage_conf;
mod storage_file;

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use auth_file::{Credentials, Found, credentials};
pub use certs_d::{Certificates, certificates};
pub use registries_conf::{Place, Registries};
pub use storage_conf::Stores;

/// A configuration by hand is a few kilobytes.
const LONGEST: u64 = 4 << 20;

/// What is wrong with a configuration. Credentials are never repeated.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("{path} has more than {LONGEST} bytes", path = path.display())]
    TooLarge { path: PathBuf },

    #[error("{path} cannot be used: {why}", path = path.display())]
    Wrong { path: PathBuf, why: String },

    #[error("{path} blocks {name}", path = path.display())]
    Blocked { path: PathBuf, name: String },
}

/// The file's bytes; `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, ConfError> {
    let failed = |source| ConfError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST { Err(ConfError::TooLarge { path: path.to_owned() }) } else { Ok(Some(bytes)) }
}

/// In the order of their names; a directory that cannot be read has none.
fn drop_ins(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "conf")).collect();
    files.sort();
    files
}

/// A path out of the environment; an empty one is none.
fn from_environment(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `$XDG_CONFIG_HOME`, else `~/.config`.
fn config_home() -> Option<PathBuf> {
    from_environment("XDG_CONFIG_HOME").or_else(|| from_environment("HOME").map(|home| home.join(".config")))
}
