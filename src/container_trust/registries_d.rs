//! `registries.d`: where signatures of images in registries are kept (containers-registries.d(5)).

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::policy::{Origin, Policy};
use crate::image_ref::Reference;

/// A file has a few lines.
const LIMIT: u64 = 1 << 20;

/// The files of a directory, merged.
#[derive(Clone, Debug, Default)]
pub struct RegistriesD {
    default_docker: Option<(PathBuf, Section)>,
    docker: BTreeMap<String, (PathBuf, Section)>,
}

/// Where the signatures of one image are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// `http:`, `https:` or `file:`; the repository's path follows.
    pub lookaside: Option<Url>,
    /// Whether cosign signatures in the registry are read, too.
    pub use_sigstore_attachments: bool,
}

impl Keeping {
    /// What registries.d says, for a policy out of a file; the registry alone, for `--cosign-key`.
    pub fn find(policy: &Policy, reference: &Reference) -> Result<Self, RegistriesDError> {
        match policy.origin() {
            Origin::CosignKeys => Ok(Self { lookaside: None, use_sigstore_attachments: true }),
            Origin::File(_) => RegistriesD::find()?.keeping(reference),
        }
    }
}

/// Why the files say nothing usable.
#[derive(Debug, thiserror::Error)]
pub enum RegistriesDError {
    #[error("{path} cannot be read: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} has more than {LIMIT} bytes", path = path.display())]
    TooLarge { path: PathBuf },
    #[error("{path} is not the YAML it should be: {why}", path = path.display())]
    Yaml { path: PathBuf, why: String },
    #[error("`{section}` is defined both in {first} and in {second}", first = first.display(), second = second.display())]
    Twice { section: String, first: PathBuf, second: PathBuf },
    #[error("the lookaside `{text}` in {path} is no http:, https: or file: URL", path = path.display())]
    Lookaside { text: String, path: PathBuf },
}

/// One file. Keys that are not known are left to newer tools, as upstream does.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    default_docker: Option<Section>,
    docker: Option<BTreeMap<String, Option<Section>>>,
}

/// `sigstore` is the older word for `lookaside`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Section {
    lookaside: Option<String>,
    sigstore: Option<String>,
    use_sigstore_attachments: Option<bool>,
}

impl RegistriesD {
    /// The user's directory where there is one, else the system's, which need not be there.
    pub fn find() -> Result<Self, RegistriesDError> {
        let user = env::var_os("HOME").map(|home| Path::new(&home).join(".config/containers/registries.d"));
        let system = PathBuf::from("/etc/containers/registries.d");
        Self::load(&user.filter(|path| path.exists()).unwrap_or(system))
    }

    /// All `*.yaml` of a directory.
    pub fn load(directory: &Path) -> Result<Self, RegistriesDError> {
        let failed = |source| RegistriesDError::Io { path: directory.to_owned(), source };
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            entries => entries.map_err(failed)?,
        };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        paths.sort();
        let mut merged = Self::default();
        for path in paths {
            merged.add(&path)?;
        }
        Ok(merged)
    }

    fn add(&mut self, path: &Path) -> Result<(), RegistriesDError> {
        let twice = |section: &str, first: &Path| RegistriesDError::Twice {
            section: section.to_owned(),
            first: first.to_owned(),
            second: path.to_owned(),
        };
        let Some(document) = read(path)? else { return Ok(()) };
        if let Some(section) = document.default_docker {
            if let Some((first, _)) = &self.default_docker {
                return Err(twice("default-docker", first));
            }
            self.default_docker = Some((path.to_owned(), section));
        }
        for (namespace, section) in document.docker.unwrap_or_default() {
            if let Some((first, _)) = self.docker.get(&namespace) {
                return Err(twice(&namespace, first));
            }
            self.docker.insert(namespace, (path.to_owned(), section.unwrap_or_default()));
        }
        Ok(())
    }

    /// Where the signatures of `reference` are. A key that the most specific section leaves out is looked for in the less
    /// specific ones, whatever the manual says: so containers/image does (`docker/registries_d.go`).
    pub fn keeping(&self, reference: &Reference) -> Result<Keeping, RegistriesDError> {
        let scopes = reference.clone().exact().scopes();
        let sections: Vec<_> =
            scopes.iter().filter_map(|scope| self.docker.get(scope)).chain(&self.default_docker).collect();
        let lookaside = sections.iter().find_map(|(path, section)| {
            let named = [&section.lookaside, &section.sigstore].into_iter().flatten().find(|text| !text.is_empty());
            named.map(|text| (path, text))
        });
        let lookaside = match lookaside {
            Some((path, text)) => {
                url(text).ok_or_else(|| RegistriesDError::Lookaside { text: text.clone(), path: path.clone() })?
            }
            None => default_lookaside(),
        };
        let attachments = sections.iter().find_map(|(_, section)| section.use_sigstore_attachments);
        Ok(Keeping { lookaside: Some(lookaside), use_sigstore_attachments: attachments.unwrap_or(false) })
    }
}

fn url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https" | "file"))
}

/// Root's directory, or the user's.
fn default_lookaside() -> Url {
    let system = || Url::parse("file:///var/lib/containers/sigstore");
    let user = || {
        let home = env::var_os("HOME")?;
        Url::from_file_path(Path::new(&home).join(".local/share/containers/sigstore")).ok()
    };
    let of_user = if nix::unistd::geteuid().is_root() { None } else { user() };
    // OK to unwrap: the text above is a URL.
    of_user.unwrap_or_else(|| system().unwrap())
}

/// `None`: nothing but comments.
fn read(path: &Path) -> Result<Option<Document>, RegistriesDError> {
    let failed = |source| RegistriesDError::Io { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).map_err(failed)?.take(LIMIT + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LIMIT {
        return Err(RegistriesDError::TooLarge { path: path.to_owned() });
    }
    serde_saphyr::from_slice(&text)
        .map_err(|error| RegistriesDError::Yaml { path: path.to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's skopeo takes the last one; its upstream refuses since it reads YAML strictly.
    #[test]
    fn a_namespace_that_is_twice_in_a_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let text = "docker:\n  a.b:\n    lookaside: file:///a\n  a.b:\n    lookaside: file:///b\n";
        fs::write(directory.path().join("a.yaml"), text).unwrap();
        let error = RegistriesD::load(directory.path()).unwrap_err().to_string();
        assert!(error.contains("a.yaml is not the YAML it should be: "), "{error}");
    }

    #[test]
    fn without_a_directory_the_lookaside_is_the_default() {
        let registries = RegistriesD::load(Path::new("/nonexistent")).unwrap();
        let keeping = registries.keeping(&"quay.io/me/os".parse().unwrap()).unwrap();
        assert_eq!((keeping.lookaside.unwrap().scheme(), keeping.use_sigstore_attachments), ("file", false));
    }
}
