//! Which directories are the store: those that the user names, else those of `storage.conf` (containers-storage.conf(5);
//! containers/storage `types/options.go`).

use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfError;
use crate::image_ref::StoreSpec;

const SYSTEM_ROOT: &str = "/var/lib/containers/storage";

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stores {
    /// As configured; by what lies in the directories where none is.
    pub driver: Option<String>,
    /// The first one is written to by its owner, the others are looked into after it.
    pub roots: Vec<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    storage: Storage,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Storage {
    driver: String,
    graphroot: String,
    imagestore: String,
    rootless_storage_path: String,
    options: Options,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    additionalimagestores: Vec<PathBuf>,
}

/// Whose store it is.
struct User<'a> {
    /// `podman unshare` says who its root is outside.
    is_root: bool,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Stores {
    /// What stands in the brackets of a reference.
    pub fn of_spec(spec: &StoreSpec) -> Self {
        let mut roots = vec![spec.root.clone()];
        roots.extend(image_stores(spec.options.as_deref().unwrap_or_default()));
        Self { driver: spec.driver.clone(), roots }
    }

    /// What podman would use as this user.
    pub fn configured() -> Result<Self, ConfError> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let outside = variable("_CONTAINERS_ROOTLESS_UID").and_then(|uid| uid.parse().ok());
        let uid = outside.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        User { is_root: uid == 0, variable: &variable }.stores()
    }
}

impl User<'_> {
    /// Root has the system's file. Others have one of their own, and of the system's only where stores are and the driver. A file
    /// that the environment names is both.
    fn stores(&self) -> Result<Stores, ConfError> {
        let named = self.get("CONTAINERS_STORAGE_CONF").map(PathBuf::from);
        let system = match &named {
            Some(path) => read(path)?.unwrap_or_default(),
            None => system()?,
        };
        let own = match named {
            None if !self.is_root => {
                let path = self.directory("XDG_CONFIG_HOME", ".config").join("containers/storage.conf");
                read(&path)?.unwrap_or_default()
            }
            _ => system.clone(),
        };
        let roots = [&own.graphroot, &own.rootless_storage_path, &system.rootless_storage_path];
        let root = roots.into_iter().take(if self.is_root { 1 } else { 3 }).find(|path| !path.is_empty());
        let images = Some(&own.imagestore).filter(|path| !path.is_empty());
        let mut roots: Vec<PathBuf> = images.into_iter().map(|path| self.expand(path).into()).collect();
        roots.push(root.map_or_else(|| self.default_root(), |path| self.expand(path).into()));
        roots.extend(own.options.additionalimagestores);
        roots.extend(image_stores(&self.get("STORAGE_OPTS").unwrap_or_default()));
        let configured = if own.driver.is_empty() { system.driver } else { own.driver };
        let driver = Some(self.get("STORAGE_DRIVER").unwrap_or(configured)).filter(|driver| !driver.is_empty());
        Ok(Stores { driver, roots })
    }

    fn default_root(&self) -> PathBuf {
        if self.is_root {
            SYSTEM_ROOT.into()
        } else {
            self.directory("XDG_DATA_HOME", ".local/share").join("containers/storage")
        }
    }

    /// A directory of the XDG base directory specification.
    fn directory(&self, variable: &str, below_home: &str) -> PathBuf {
        let in_home = || Path::new(&self.get("HOME").unwrap_or_default()).join(below_home);
        self.get(variable).map_or_else(in_home, PathBuf::from)
    }

    /// `$NAME` and `${NAME}` of the environment.
    fn expand(&self, path: &str) -> String {
        let mut parts = path.split('$');
        let mut expanded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let braced = part.strip_prefix('{').and_then(|part| part.split_once('}'));
            let end = part.find(|c| !is_name(c)).unwrap_or(part.len());
            let (name, rest) = braced.unwrap_or_else(|| part.split_at(end));
            expanded.push_str(&self.get(name).unwrap_or_default());
            expanded.push_str(rest);
        }
        expanded
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }
}

/// `overlay.imagestore=PATH` among the options of a driver.
fn image_stores(options: &str) -> impl Iterator<Item = PathBuf> {
    options.split(',').filter_map(|option| {
        let (key, path) = option.split_once('=')?;
        let key = key.trim().rsplit('.').next()?.to_ascii_lowercase();
        matches!(&key[..], "imagestore" | "additionalimagestore").then(|| path.trim().into())
    })
}

/// What the distribution ships counts where the administrator has no file.
fn system() -> Result<Storage, ConfError> {
    for path in ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"] {
        if let Some(storage) = read(Path::new(path))? {
            return Ok(storage);
        }
    }
    Ok(Storage::default())
}

/// None where there is no such file.
fn read(path: &Path) -> Result<Option<Storage>, ConfError> {
    let wrong = |why: String| ConfError::Wrong { path: path.to_owned(), why };
    let Some(bytes) = super::read(path)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    let file: File = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    Ok(Some(file.storage))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The stores of a user whose environment names this file.
    fn stores(is_root: bool, conf: &str, variables: &[(&str, &str)]) -> Stores {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), conf).unwrap();
        let variable = |name: &str| match name {
            "CONTAINERS_STORAGE_CONF" => Some(file.path().display().to_string()),
            name => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        };
        User { is_root, variable: &variable }.stores().unwrap()
    }

    fn roots(is_root: bool, conf: &str, variables: &[(&str, &str)]) -> Vec<PathBuf> {
        stores(is_root, conf, variables).roots
    }

    #[test]
    fn nothing_configured_is_the_default_of_root_or_of_the_user() {
        assert_eq!(roots(true, "", &[("HOME", "/root")]), [PathBuf::from(SYSTEM_ROOT)]);
        assert_eq!(
            roots(false, "", &[("HOME", "/home/a")]),
            [PathBuf::from("/home/a/.local/share/containers/storage")]
        );
        let data = [("HOME", "/home/a"), ("XDG_DATA_HOME", "/data")];
        assert_eq!(roots(false, "", &data), [PathBuf::from("/data/containers/storage")]);
    }

    #[test]
    fn what_is_configured_counts() {
        let conf = "[storage]\ndriver = \"overlay\"\ngraphroot = \"/g\"\nimagestore = \"/i\"\nrootless_storage_path = \"/r/$USER\"\n\
            [storage.options]\nadditionalimagestores = [\"/a\", \"/b\"]\n[storage.options.overlay]\nmountopt = \"nodev\"\n";
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(roots(true, conf, &[]), paths(&["/i", "/g", "/a", "/b"]));
        let rootless = conf.replace("graphroot = \"/g\"\n", "");
        assert_eq!(roots(false, &rootless, &[("USER", "me")])[1], PathBuf::from("/r/me"));
        assert_eq!(roots(true, &rootless, &[])[1], PathBuf::from(SYSTEM_ROOT));
        let options = [("STORAGE_OPTS", "overlay.imagestore=/c,overlay.mountopt=nodev"), ("STORAGE_DRIVER", "vfs")];
        assert_eq!(stores(true, conf, &options).roots.last(), Some(&PathBuf::from("/c")));
        assert_eq!(stores(true, conf, &options).driver.as_deref(), Some("vfs"));
        assert_eq!(
            roots(true, "[storage]\ngraphroot = \"${HOME}/x$Y/z\"", &[("HOME", "/h"), ("Y", "y")]),
            paths(&["/h/xy/z"])
        );
    }

    #[test]
    fn the_options_of_a_reference_name_further_stores() {
        let spec = StoreSpec {
            driver: None,
            root: "/g".into(),
            run_root: None,
            options: Some("overlay.imagestore=/a,.additionalimagestore=/b,mountopt=x".to_owned()),
        };
        assert_eq!(Stores::of_spec(&spec).roots, ["/g", "/a", "/b"].map(PathBuf::from));
    }
}
