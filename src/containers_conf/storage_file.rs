//! What stands in a `storage.conf`, and how a later file changes what an earlier one says (containers-storage.conf(5); arrays
//! that append: container-libs `storage/pkg/configfile/slice.go`).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfError;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    storage: Storage,
}

/// The table `[storage]`; an empty text is none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Storage {
    pub driver: String,
    pub graphroot: String,
    pub imagestore: String,
    pub rootless_storage_path: String,
    options: Options,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    additionalimagestores: Option<Paths>,
}

/// An array that a later file may lengthen: `["/a", {append = true}]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Vec<Item>")]
struct Paths {
    paths: Vec<PathBuf>,
    append: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Path(PathBuf),
    Attributes { append: Option<bool> },
}

impl Storage {
    /// None where there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>, ConfError> {
        let wrong = |why: String| ConfError::Wrong { path: path.to_owned(), why };
        let Some(bytes) = super::read(path)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        let file: File = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        Ok(Some(file.storage))
    }

    /// With what a file says that is read after this one.
    pub fn overridden_by(self, later: Self) -> Self {
        let stores = match (self.options.additionalimagestores, later.options.additionalimagestores) {
            (Some(earlier), Some(later)) => Some(earlier.overridden_by(later)),
            (earlier, later) => later.or(earlier),
        };
        Self {
            driver: or(later.driver, self.driver),
            graphroot: or(later.graphroot, self.graphroot),
            imagestore: or(later.imagestore, self.imagestore),
            rootless_storage_path: or(later.rootless_storage_path, self.rootless_storage_path),
            options: Options { additionalimagestores: stores },
        }
    }

    pub fn additional_image_stores(self) -> Vec<PathBuf> {
        self.options.additionalimagestores.map(|stores| stores.paths).unwrap_or_default()
    }
}

impl Paths {
    /// Once an array is appended to, it is until a file says otherwise.
    fn overridden_by(mut self, later: Self) -> Self {
        let append = later.append.or(self.append);
        if append != Some(true) {
            self.paths.clear();
        }
        self.paths.extend(later.paths);
        Self { paths: self.paths, append }
    }
}

impl From<Vec<Item>> for Paths {
    fn from(items: Vec<Item>) -> Self {
        let mut paths = Self { paths: Vec::new(), append: None };
        for item in items {
            match item {
                Item::Path(path) => paths.paths.push(path),
                Item::Attributes { append } => paths.append = append,
            }
        }
        paths
    }
}

fn or(text: String, other: String) -> String {
    if text.is_empty() { other } else { text }
}
