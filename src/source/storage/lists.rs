//! Reading the lists that a store keeps.

use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::Problem;
use super::inside::Inside;

pub const IMAGES: &str = "overlay-images/images.json";
pub const LAYERS: &str = "overlay-layers/layers.json";
/// A thousand images take one megabyte.
const LONGEST: u64 = 64 << 20;

/// One of the lists of the store in `root`. As in containers/storage, a file without bytes is a list without entries.
pub fn read<T: DeserializeOwned>(root: &Path, relative: &str) -> Result<Vec<T>, Problem> {
    let path = root.join(relative);
    let failed = |source| Problem::Io { path: path.clone(), source };
    let mut inside = match Inside::open(root) {
        Ok(inside) => inside,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Problem::NoStore { root: root.to_owned() });
        }
        Err(source) => return Err(Problem::Io { path: root.to_owned(), source }),
    };
    let file = match inside.file(relative.as_bytes()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return other_driver(root).map_or(Ok(Vec::new()), Err),
        Err(source) => return Err(failed(source)),
    };
    let found = file.metadata().map_err(failed)?.len();
    if found > LONGEST {
        return Err(Problem::TooLarge { path, found, limit: LONGEST });
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&bytes).map_err(|source| Problem::Json { path: path.clone(), source })
}

/// The driver that wrote the store, when it is not overlay.
fn other_driver(root: &Path) -> Option<Problem> {
    let drivers = ["aufs", "btrfs", "vfs", "zfs"];
    let found = drivers.into_iter().find(|driver| root.join(format!("{driver}-images")).is_dir());
    let has_overlay = root.join("overlay-images").is_dir();
    found.filter(|_| !has_overlay).map(|driver| Problem::Driver { root: root.to_owned(), driver: driver.to_owned() })
}
