//! Which directories are the store: those that the user names, else those of `storage.conf` (containers-storage.conf(5);
//! containers/storage `types/options.go`, and `pkg/configfile` of podman 6 for what lies beside the file).

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use super::ConfError;
use super::storage_file::Storage;
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
            Some(path) => Storage::read(path)?.unwrap_or_default(),
            None => self.system()?,
        };
        let own = match &named {
            None if !self.is_root() => self.own()?.unwrap_or_default(),
            None if self.get("XDG_CONFIG_HOME").is_some() => self.own()?.unwrap_or_else(|| system.clone()),
            _ => system.clone(),
        };
        let mut later = if named.is_none() { self.drop_ins() } else { Vec::new() };
        later.extend(self.get("CONTAINERS_STORAGE_CONF_OVERRIDE").map(PathBuf::from));
        let later = later.iter().filter_map(|path| Storage::read(path).transpose());
        let own = later.into_iter().try_fold(own, |own, later| Ok::<_, ConfError>(own.overridden_by(later?)))?;
        let roots = [&own.graphroot, &own.rootless_storage_path, &system.rootless_storage_path];
        let root = roots.into_iter().take(if self.is_root() { 1 } else { 3 }).find(|path| !path.is_empty());
        let images = Some(&own.imagestore).filter(|path| !path.is_empty());
        let mut roots: Vec<PathBuf> = images.into_iter().map(|path| self.expand(path).into()).collect();
        roots.push(root.map_or_else(|| self.default_root(), |path| self.expand(path).into()));
        let configured = if own.driver.is_empty() { system.driver } else { own.driver.clone() };
        roots.extend(own.additional_image_stores());
        roots.extend(image_stores(&self.get("STORAGE_OPTS").unwrap_or_default()));
        let driver = Some(self.get("STORAGE_DRIVER").unwrap_or(configured)).filter(|driver| !driver.is_empty());
        Ok(Stores { driver, roots })
    }

    fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// None without a home: what lies where the program was started is nobody's configuration.
    fn own_file(&self) -> Option<PathBuf> {
        Some(self.directory("XDG_CONFIG_HOME", ".config").join(NAME)).filter(|path| path.is_absolute())
    }

    fn own(&self) -> Result<Option<Storage>, ConfError> {
        self.own_file().map_or(Ok(None), |path| Storage::read(&path))
    }

    /// What the distribution ships counts where the administrator has no file.
    fn system(&self) -> Result<Storage, ConfError> {
        for directory in SYSTEM.iter().rev() {
            if let Some(storage) = Storage::read(&self.below(directory).join(NAME))? {
                return Ok(storage);
            }
        }
        Ok(Storage::default())
    }

    /// Files that are read after the main one, by their names; of one name, that of the later directory.
    fn drop_ins(&self) -> Vec<PathBuf> {
        let special = if self.is_root() { "storage.rootful.conf.d" } else { "storage.rootless.conf.d" };
        let of_user = (!self.is_root()).then(|| format!("{special}/{}", self.uid));
        let names: Vec<&str> = ["storage.conf.d", special].into_iter().chain(of_user.as_deref()).collect();
        let system = SYSTEM.map(|above| self.below(above).join("containers"));
        let system = system.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
        let own = self.own_file().map(|path| path.with_extension("conf.d"));
        let files = system.chain(own).flat_map(|directory| super::drop_ins(&directory));
        let by_name: BTreeMap<_, _> = files.filter_map(|path| Some((path.file_name()?.to_owned(), path))).collect();
        by_name.into_values().collect()
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
        // Without a home nothing is looked for in the working directory.
        let homeless = User { uid: 0, root: root.path(), variable: &|_| None };
        assert_eq!(homeless.own_file(), None);
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
