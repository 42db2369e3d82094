//! An image by the names that a policy has for it (containers-policy.json(5), "Supported transports and their scopes").

use std::fmt;
use std::io;
use std::path::Path;

use crate::image_ref::Reference;

/// Where an image is from, and which scopes of a policy it lies in.
#[derive(Clone, Debug)]
pub struct Identity {
    transport: &'static str,
    /// From the most specific one up; "" is not among them.
    scopes: Vec<String>,
    reference: Option<Reference>,
    /// Behind the transport, for messages.
    shown: String,
}

impl Identity {
    /// `docker://REFERENCE`.
    pub fn docker(reference: &Reference) -> Self {
        let reference = reference.clone().exact();
        Self {
            transport: "docker",
            scopes: reference.scopes(),
            shown: format!("//{reference}"),
            reference: Some(reference),
        }
    }

    /// `oci:PATH`. What the layout calls the image is no part of its identity.
    pub fn oci(path: &Path) -> io::Result<Self> {
        Self::of_path("oci", path)
    }

    /// `oci-archive:PATH`.
    pub fn oci_archive(path: &Path) -> io::Result<Self> {
        Self::of_path("oci-archive", path)
    }

    /// `dir:PATH`.
    pub fn dir(path: &Path) -> io::Result<Self> {
        Self::of_path("dir", path)
    }

    /// `docker-archive:PATH[:REFERENCE]`, which has no scope but the transport's own.
    pub fn docker_archive(path: &Path, reference: Option<&Reference>) -> Self {
        let reference = reference.map(|reference| reference.clone().exact());
        Self { transport: "docker-archive", scopes: Vec::new(), reference, shown: path.display().to_string() }
    }

    /// An image in the store at `graph_root`, by its name, its id or both.
    pub fn containers_storage(driver: &str, graph_root: &Path, name: Option<&Reference>, id: Option<&str>) -> Self {
        let store = format!("[{driver}@{}]", graph_root.display());
        let mut scopes = Vec::new();
        if let (name, Some(id)) = (name, id) {
            let name = name.map(Reference::to_string).unwrap_or_default();
            scopes.push(format!("{store}{name}@{id}"));
        }
        if let Some(name) = name {
            let names = name.scopes().into_iter().filter(|scope| !scope.starts_with("*."));
            scopes.extend(names.map(|scope| format!("{store}{scope}")));
        }
        let shown = scopes.first().unwrap_or(&store).clone();
        scopes.push(store);
        scopes.push(format!("[{}]", graph_root.display()));
        Self { transport: "containers-storage", scopes, reference: name.cloned(), shown }
    }

    /// Scopes are paths without links, and the directories above them but for the root.
    fn of_path(transport: &'static str, path: &Path) -> io::Result<Self> {
        let resolved = path.canonicalize()?;
        let directories = resolved.ancestors().filter(|path| path.parent().is_some());
        let scopes = directories.map(|path| path.to_string_lossy().into_owned()).collect();
        Ok(Self { transport, scopes, reference: None, shown: path.display().to_string() })
    }

    pub fn transport(&self) -> &'static str {
        self.transport
    }

    /// The name that a signature has to agree with, for transports that have names.
    pub fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }

    pub(super) fn scopes(&self) -> &[String] {
        &self.scopes
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.shown)
    }
}

/// Why `scope` can never be one of `transport`; transports that are not known here take any.
pub(super) fn refuse_scope(transport: &str, scope: &str) -> Result<(), &'static str> {
    match transport {
        _ if scope.is_empty() => Ok(()),
        "oci" | "oci-archive" | "dir" | "sif" => refuse_path(scope),
        "docker-archive" | "tarball" => Err("this transport has only the scope \"\""),
        "containers-storage" if !names_store(scope) => Err("it has to begin with `[DRIVER@/GRAPH/ROOT]`"),
        _ => Ok(()),
    }
}

fn refuse_path(scope: &str) -> Result<(), &'static str> {
    let Some(below) = scope.strip_prefix('/') else { return Err("it has to be an absolute path") };
    if below.is_empty() {
        return Err("for all paths the scope is \"\"");
    }
    let odd = below.split('/').any(|name| matches!(name, "" | "." | ".."));
    if odd { Err("its path is not in the shortest form") } else { Ok(()) }
}

fn names_store(scope: &str) -> bool {
    let store = scope.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    store.is_some_and(|(store, _)| match store.split_once('@') {
        Some((driver, root)) => !driver.is_empty() && root.starts_with('/'),
        None => store.starts_with('/'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_in_the_directories_above_it_but_not_in_the_root() {
        let identity = Identity::oci(Path::new("/usr/../usr/bin/.")).unwrap();
        let bin = Path::new("/usr/bin").canonicalize().unwrap();
        assert_eq!(identity.scopes(), [bin.to_str().unwrap(), "/usr"]);
    }

    #[test]
    fn an_image_in_storage_lies_in_its_store_with_and_without_the_driver() {
        let name = "quay.io/me/os:1".parse().unwrap();
        let identity = Identity::containers_storage("overlay", Path::new("/s"), Some(&name), Some("0a"));
        let scopes = [
            "[overlay@/s]quay.io/me/os:1@0a",
            "[overlay@/s]quay.io/me/os:1",
            "[overlay@/s]quay.io/me/os",
            "[overlay@/s]quay.io/me",
            "[overlay@/s]quay.io",
            "[overlay@/s]",
            "[/s]",
        ];
        assert_eq!(identity.scopes(), scopes);
        let unnamed = Identity::containers_storage("overlay", Path::new("/s"), None, Some("0a"));
        assert_eq!(unnamed.scopes(), ["[overlay@/s]@0a", "[overlay@/s]", "[/s]"]);
    }
}
