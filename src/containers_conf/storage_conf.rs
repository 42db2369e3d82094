//! Which directories are the store: those that the user names, else those of `storage.conf` (containers-storage.conf(5);
//! containers/storage `types/options.go`, and `pkg/configfile` of podman 6 for what lies beside the file).

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfError;
use crate::image_ref::StoreSpec;

const SYSTEM_ROOT: &str = "/var/lib/containers/storage";
const NAME: &str = "containers/storage.conf";
/// Where the distribution and the administrator have their files; the later one counts.
const SYSTEM: [&str; 2] = ["/usr/share", "/etc"];

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
    additionalimagestores: Vec<Item>,
}

/// Of an array that a later file may lengthen: `["/a", {append = true}]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Item {
    Path(PathBuf),
    Attributes { append: Option<bool> },
}

impl Storage {
    /// What a file says that is read after this one.
    fn overridden_by(mut self, later: Storage) -> Storage {
        let values = |storage: Storage| {
            let Storage { driver, graphroot, imagestore, rootless_storage_path, .. } = storage;
            [driver, graphroot, imagestore, rootless_storage_path]
        };
        let appends = |item: &Item| match item {
            Item::Attributes { append } => *append,
            Item::Path(_) => None,
        };
        let stores = std::mem::take(&mut self.options.additionalimagestores);
        let mut later_stores = later.options.additionalimagestores.clone();
        // Once an array is appended to, it is until a file says otherwise.
        let append = later_stores.iter().rev().find_map(appends).or_else(|| stores.iter().rev().find_map(appends));
        if later_stores.is_empty() || append == Some(true) {
            later_stores.splice(0..0, stores);
        }
        let (mut all, later) = (values(self), values(later));
        all.iter_mut().zip(later).filter(|(_, later)| !later.is_empty()).for_each(|(value, later)| *value = later);
        let [driver, graphroot, imagestore, rootless_storage_path] = all;
        let options = Options { additionalimagestores: later_stores };
        Storage { driver, graphroot, imagestore, rootless_storage_path, options }
    }
}

/// Whose store it is.
struct User<'a> {
    /// `podman unshare` says who its root is outside.
    uid: u32,
    /// The root of the filesystem, for tests.
    root: &'a Path,
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
        User { uid, root: Path::new("/"), variable: &variable }.stores()
    }
}

impl User<'_> {
    /// Root has the system's file. Others have one of their own, and of the system's only where stores are and the driver; so
    /// has root where `XDG_CONFIG_HOME` is set. A file that the environment names is both.
    fn stores(&self) -> Result<Stores, ConfError> {
        let named = self.get("CONTAINERS_STORAGE_CONF").map(PathBuf::from);
        let system = match &named {
            Some(path) => read(path)?.unwrap_or_default(),
            None => self.system()?,
        };
        let own = match &named {
            None if !self.is_root() => read(&self.own_file())?.unwrap_or_default(),
            None if self.get("XDG_CONFIG_HOME").is_some() => read(&self.own_file())?.unwrap_or_else(|| system.clone()),
            _ => system.clone(),
        };
        let mut later = if named.is_none() { self.drop_ins() } else { Vec::new() };
        later.extend(self.get("CONTAINERS_STORAGE_CONF_OVERRIDE").map(PathBuf::from));
        let later = later.iter().filter_map(|path| read(path).transpose());
        let own = later.into_iter().try_fold(own, |own, later| Ok(own.overridden_by(later?)))?;
        let roots = [&own.graphroot, &own.rootless_storage_path, &system.rootless_storage_path];
        let root = roots.into_iter().take(if self.is_root() { 1 } else { 3 }).find(|path| !path.is_empty());
        let images = Some(&own.imagestore).filter(|path| !path.is_empty());
        let mut roots: Vec<PathBuf> = images.into_iter().map(|path| self.expand(path).into()).collect();
        roots.push(root.map_or_else(|| self.default_root(), |path| self.expand(path).into()));
        roots.extend(own.options.additionalimagestores.into_iter().filter_map(|item| match item {
            Item::Path(path) => Some(path),
            Item::Attributes { .. } => None,
        }));
        roots.extend(image_stores(&self.get("STORAGE_OPTS").unwrap_or_default()));
        let configured = if own.driver.is_empty() { system.driver } else { own.driver };
        let driver = Some(self.get("STORAGE_DRIVER").unwrap_or(configured)).filter(|driver| !driver.is_empty());
        Ok(Stores { driver, roots })
    }

    fn is_root(&self) -> bool {
        self.uid == 0
    }

    fn own_file(&self) -> PathBuf {
        self.directory("XDG_CONFIG_HOME", ".config").join(NAME)
    }

    /// What the distribution ships counts where the administrator has no file.
    fn system(&self) -> Result<Storage, ConfError> {
        for directory in SYSTEM.iter().rev() {
            if let Some(storage) = read(&self.below(directory).join(NAME))? {
                return Ok(storage);
            }
        }
        Ok(Storage::default())
    }

    /// Files that are read after the main one, by their names; of one name, that of the later directory.
    fn drop_ins(&self) -> Vec<PathBuf> {
        let special = if self.is_root() { "storage.rootful.conf.d" } else { "storage.rootless.conf.d" };
        let of_user = Some(format!("{special}/{}", self.uid)).filter(|_| !self.is_root());
        let names = ["storage.conf.d", special].into_iter().chain(of_user.as_deref());
        let system =
            SYSTEM.iter().flat_map(|above| names.clone().map(|name| self.below(above).join("containers").join(name)));
        let mut found = BTreeMap::new();
        for directory in system.chain([self.own_file().with_extension("conf.d")]) {
            // OK to leave out what cannot be listed: mostly there is no such directory.
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|extension| extension == "conf") && path.is_file() {
                    found.insert(entry.file_name(), path);
                }
            }
        }
        found.into_values().collect()
    }

    fn below(&self, directory: &str) -> PathBuf {
        self.root.join(directory.trim_start_matches('/'))
    }

    fn default_root(&self) -> PathBuf {
        if self.is_root() {
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
        User { uid: if is_root { 0 } else { 1000 }, root: Path::new("/nonexistent"), variable: &variable }
            .stores()
            .unwrap()
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
    fn files_beside_the_main_one_are_read_after_it_by_their_names() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/containers/storage.conf", "[storage]\ngraphroot = \"/main\"\n");
        write("usr/share/containers/storage.conf", "[storage]\ngraphroot = \"/shipped\"\n");
        let stores = |paths: &str| format!("[storage.options]\nadditionalimagestores = [{paths}]\n");
        write("usr/share/containers/storage.conf.d/20.conf", "no TOML: another file of this name counts");
        write("etc/containers/storage.conf.d/20.conf", &stores("\"/b\", {append = true}"));
        write("usr/share/containers/storage.conf.d/10.conf", &stores("\"/a\""));
        write("etc/containers/storage.rootful.conf.d/30.conf", &stores("\"/c\""));
        write("etc/containers/storage.rootless.conf.d/1000/30.conf", "[storage]\ngraphroot = \"/rootless\"\n");
        write("etc/containers/storage.conf.d/README", "not read");
        write("home/.config/containers/storage.conf", "[storage]\ngraphroot = \"/home\"\n");
        write("home/.config/containers/storage.conf.d/90.conf", &stores("{append = false}, \"/d\""));
        write("override", "[storage]\ngraphroot = \"/last\"\n");
        let path = |name: &str| root.path().join(name).display().to_string();
        let roots = |uid, variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            User { uid, root: root.path(), variable: &variable }.stores().unwrap().roots
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let (home, config, last) = (path("home"), path("home/.config"), path("override"));
        assert_eq!(roots(0, &[]), paths(&["/main", "/a", "/b", "/c"]));
        assert_eq!(roots(0, &[("XDG_CONFIG_HOME", &config)]), paths(&["/home", "/d"]));
        assert_eq!(roots(1000, &[("HOME", &home)]), paths(&["/rootless", "/d"]));
        assert_eq!(roots(1001, &[("HOME", &home)]), paths(&["/home", "/d"]));
        assert_eq!(roots(0, &[("CONTAINERS_STORAGE_CONF_OVERRIDE", &last)]), paths(&["/last", "/a", "/b", "/c"]));
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
