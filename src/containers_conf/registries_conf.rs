//! `registries.conf`, version 2: where the images of a prefix are, in which order, and what is blocked
//! (containers-registries.conf(5)).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfError, config_home, drop_ins, from_environment, read};

/// Where an image may be fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub host: String,
    pub repository: String,
    /// Without certificates that are checked, or without TLS at all.
    pub insecure: bool,
    /// Not the registry itself.
    pub is_mirror: bool,
}

/// All that is configured, by prefix.
#[derive(Debug, Default)]
pub struct Registries(BTreeMap<String, (PathBuf, Registry)>);

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<Registry>,
    /// Version 1 begins so.
    registries: Option<toml::Table>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
    #[serde(default)]
    mirror_by_digest_only: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<String>,
}

impl Registries {
    /// The user's file, else the machine's, and over it those of `registries.conf.d` in the order of their names.
    pub fn load() -> Result<Self, ConfError> {
        let (etc, own) = (PathBuf::from("/etc/containers"), config_home().map(|dir| dir.join("containers")));
        let main = from_environment("CONTAINERS_REGISTRIES_CONF")
            .or_else(|| own.as_ref().map(|dir| dir.join("registries.conf")).filter(|path| path.is_file()))
            .unwrap_or_else(|| etc.join("registries.conf"));
        let mut registries = Self::default();
        registries.add(&main)?;
        for directory in [Some(etc), own].into_iter().flatten() {
            for path in drop_ins(&directory.join("registries.conf.d")) {
                registries.add(&path)?;
            }
        }
        Ok(registries)
    }

    fn add(&mut self, path: &Path) -> Result<(), ConfError> {
        let Some(bytes) = read(path)? else { return Ok(()) };
        let wrong = |why: String| ConfError::Wrong { path: path.to_owned(), why };
        let file: File = toml::from_slice(&bytes).map_err(|error| wrong(error.message().to_owned()))?;
        if file.registries.is_some() {
            return Err(wrong("it has the form of version 1; version 2 has tables [[registry]]".to_owned()));
        }
        for registry in file.registry {
            let prefix = registry.prefix.clone().or_else(|| registry.location.clone());
            let prefix =
                prefix.ok_or_else(|| wrong("a [[registry]] has neither a prefix nor a location".to_owned()))?;
            self.0.insert(prefix.trim_end_matches('/').to_owned(), (path.to_owned(), registry));
        }
        Ok(())
    }

    /// Mirrors first, the registry itself last. `name` is host and repository; by a digest mirrors serve what by a tag they
    /// need not have.
    pub fn places(&self, name: &str, by_digest: bool) -> Result<Vec<Place>, ConfError> {
        let fitting = self.0.iter().filter(|(prefix, _)| covers(prefix, name));
        let Some((prefix, (path, registry))) = fitting.max_by_key(|(prefix, _)| prefix.len()) else {
            return Ok(vec![place(name, false, false)]);
        };
        if registry.blocked {
            return Err(ConfError::Blocked { path: path.clone(), name: name.to_owned() });
        }
        let mirrors = registry.mirror.iter().filter(|mirror| match mirror.pull_from_mirror.as_deref() {
            Some("digest-only") => by_digest,
            Some("tag-only") => !by_digest,
            _ => by_digest || !registry.mirror_by_digest_only,
        });
        let mut places: Vec<_> =
            mirrors.map(|mirror| place(&moved(name, prefix, &mirror.location), mirror.insecure, true)).collect();
        let own = registry.location.as_ref().map_or_else(|| name.to_owned(), |location| moved(name, prefix, location));
        places.push(place(&own, registry.insecure, false));
        Ok(places)
    }
}

/// Whether a prefix covers a name.
fn covers(prefix: &str, name: &str) -> bool {
    behind(prefix, name).is_some()
}

/// What of the name is behind the prefix. `*.example.com` covers hosts, everything else whole words; without a port all ports are
/// covered (containers/image `pkg/sysregistriesv2`, `refMatchingPrefix`).
fn behind<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let ends_a_word = |rest: &&str| rest.is_empty() || rest.starts_with(['/', ':']);
    match prefix.strip_prefix('*') {
        Some(domain) => {
            let in_host = name.match_indices(domain).filter(|(at, _)| !name[..*at].contains('/'));
            in_host.map(|(at, _)| &name[at + domain.len()..]).find(ends_a_word)
        }
        None => name.strip_prefix(prefix).filter(ends_a_word),
    }
}

fn moved(name: &str, prefix: &str, location: &str) -> String {
    format!("{}{}", location.trim_end_matches('/'), behind(prefix, name).unwrap_or_default())
}

fn place(name: &str, insecure: bool, is_mirror: bool) -> Place {
    let (host, repository) = name.split_once('/').unwrap_or((name, ""));
    Place { host: host.to_owned(), repository: repository.to_owned(), insecure, is_mirror }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn registries(text: &str) -> Result<Registries, ConfError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let mut registries = Registries::default();
        registries.add(file.path()).map(|()| registries)
    }

    fn places(registries: &Registries, name: &str, by_digest: bool) -> Vec<String> {
        let places = registries.places(name, by_digest).unwrap().into_iter();
        places.map(|p| format!("{}/{}{}", p.host, p.repository, if p.insecure { "!" } else { "" })).collect()
    }

    #[test]
    fn the_longest_prefix_moves_an_image_and_mirrors_come_first() {
        let text = r#"
            unqualified-search-registries = ["docker.io"]
            [[registry]]
            prefix = "r.example/team"
            location = "inner.example/t"
            [[registry.mirror]]
            location = "mirror.example:5000/m/"
            insecure = true
            [[registry.mirror]]
            location = "pins.example"
            pull-from-mirror = "digest-only"
            [[registry]]
            location = "r.example"
            insecure = true
            [[registry]]
            prefix = "*.wild.example"
            location = "tame.example"
        "#;
        let registries = registries(text).unwrap();
        assert_eq!(places(&registries, "r.example/team/a", false), ["mirror.example:5000/m/a!", "inner.example/t/a"]);
        assert_eq!(places(&registries, "r.example/team/a", true)[1], "pins.example/a");
        assert_eq!(places(&registries, "r.example/teams/a", false), ["r.example/teams/a!"]);
        assert_eq!(places(&registries, "b.wild.example/x/y", false), ["tame.example/x/y"]);
        assert_eq!(places(&registries, "else.example/a", false), ["else.example/a"]);
    }

    #[test]
    fn what_is_blocked_and_what_cannot_be_read_is_told() {
        let blocked = registries("[[registry]]\nprefix = \"r.example/a\"\nblocked = true\n").unwrap();
        assert!(blocked.places("r.example/a/b", false).unwrap_err().to_string().ends_with("blocks r.example/a/b"));
        assert!(blocked.places("r.example/ab", false).is_ok());
        let blocked = registries("[[registry]]\nprefix = \"*.r.example\"\nblocked = true\n").unwrap();
        assert!(blocked.places("a.r.example.r.example:1/b", false).is_err());
        for prefix in ["*.r.example", "a.r.example", "a.r.example:5000"] {
            let blocked = registries(&format!("[[registry]]\nprefix = \"{prefix}\"\nblocked = true\n")).unwrap();
            assert!(blocked.places("a.r.example:5000/b", false).is_err(), "{prefix}");
            assert!(blocked.places("b.example:5000/a.r.example", false).is_ok(), "{prefix}");
            assert!(blocked.places("a.r.example.org/b", false).is_ok(), "{prefix}");
        }
        for (text, why) in [
            ("[registries.search]\nregistries = []\n", "version 1"),
            ("[[registry]]\ninsecure = true\n", "neither a prefix nor a location"),
            ("[[registry]]\nprefix = 3\n", "string"),
        ] {
            let error = registries(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
