//! An ostree sysroot: deployments with their origins, the refs of the repository, and what bootc noted at installation.

use std::collections::BTreeMap;

use serde_json::Value;

use super::volume::Volume;
use super::{Deployment, Origin, OriginKind, Reference};
use crate::ostree::{Checksum, Commit, ObjectKind, ObjectName, repo};

const STATEROOTS: &str = "/ostree/deploy";
const REFS: &str = "/ostree/repo/refs";
const ALEPH: &str = "/.bootc-aleph.json";
/// Origins, os-release, refs and the aleph file; real ones have a few kilobytes.
const SMALL_FILE: u64 = 1 << 20;
/// A commit carries the image's manifest and configuration; old libostree itself refused more than 10 MiB.
const COMMIT: u64 = 16 << 20;
const MOST_DEPLOYMENTS: usize = 256;
const MOST_REFS: usize = 20_000;
/// `ostree/container/blob/…` has four names.
const DEEPEST_REF: u32 = 16;

#[derive(Default)]
pub struct Sysroot {
    pub deployments: Vec<Deployment>,
    pub refs: Vec<Reference>,
    pub aleph: Option<Value>,
}

/// Everything found on all volumes; usually one of them is the root filesystem.
pub fn read(volumes: &[Volume], problems: &mut Vec<String>) -> Sysroot {
    let mut sysroot = Sysroot::default();
    for volume in volumes.iter().filter(|volume| volume.is_ext4() && volume.is_directory(STATEROOTS)) {
        let mut reader = Reader { volume, problems, sysroot: &mut sysroot };
        reader.deployments();
        reader.refs(REFS, DEEPEST_REF);
        reader.aleph();
    }
    sysroot.refs.sort();
    sysroot
}

struct Reader<'a> {
    volume: &'a Volume,
    problems: &'a mut Vec<String>,
    sysroot: &'a mut Sysroot,
}

impl Reader<'_> {
    /// Turns what could not be read into a problem.
    fn noted<T: Default>(&mut self, result: Result<T, String>) -> T {
        result.unwrap_or_else(|error| {
            self.problems.push(format!("partition {}: {error}", self.volume.partition));
            T::default()
        })
    }

    fn list(&mut self, directory: &str) -> Vec<String> {
        let names = self.volume.list(directory);
        self.noted(names)
    }

    fn text(&mut self, path: &str) -> Option<String> {
        let text = self.volume.read_text(path, SMALL_FILE);
        self.noted(text)
    }

    fn deployments(&mut self) {
        let boot_checksums = self.boot_checksums();
        for stateroot in self.list(STATEROOTS) {
            let directory = format!("{STATEROOTS}/{stateroot}/deploy");
            for name in self.list(&directory) {
                let Some((commit, serial)) = deployment_name(&name) else { continue };
                let root = format!("{directory}/{name}");
                if self.volume.is_directory(&root) && self.sysroot.deployments.len() < MOST_DEPLOYMENTS {
                    let deployment = self.deployment(&root, &stateroot, commit, serial);
                    let bootcsum = boot_checksums.get(&root).cloned();
                    self.sysroot.deployments.push(Deployment { bootcsum, ..deployment });
                }
            }
        }
    }

    fn deployment(&mut self, root: &str, stateroot: &str, checksum: Checksum, serial: u32) -> Deployment {
        let commit = self.commit(checksum);
        let os_release = self.text(&format!("{root}/usr/lib/os-release"));
        Deployment {
            partition: self.volume.partition,
            stateroot: stateroot.to_owned(),
            commit: checksum.to_string(),
            serial,
            os: os_release.as_deref().and_then(pretty_name),
            version: commit.as_ref().and_then(version),
            timestamp: commit.as_ref().and_then(|commit| rfc3339(commit.timestamp)),
            end_of_life: commit.as_ref().and_then(end_of_life),
            manifest_digest: commit
                .as_ref()
                .and_then(|commit| commit.string("ostree.manifest-digest"))
                .map(str::to_owned),
            origin: self.text(&format!("{root}.origin")).map(origin),
            bootcsum: None,
            kernel: self.kernel(root),
        }
    }

    fn commit(&mut self, checksum: Checksum) -> Option<Commit> {
        let object = repo::object_path(ObjectName { checksum, kind: ObjectKind::Commit });
        let path = format!("/ostree/repo/{object}");
        let read = self.volume.read(&path, COMMIT);
        let bytes = self.noted(read);
        let Some(bytes) = bytes else {
            self.problems.push(format!("the commit {checksum} is deployed, but not in the repository"));
            return None;
        };
        if Checksum::of(&bytes) != checksum {
            self.problems.push(format!("the commit object {checksum} is damaged: it has another checksum"));
        }
        let parsed = Commit::parse(&bytes).map_err(|error| format!("the commit {checksum}: {error}"));
        self.noted(parsed.map(Some))
    }

    fn kernel(&mut self, root: &str) -> Option<String> {
        let modules = format!("{root}/usr/lib/modules");
        let versions = self.list(&modules);
        versions.into_iter().find(|version| self.volume.exists(&format!("{modules}/{version}/vmlinuz")))
    }

    /// bootcsum by deployment, out of the links `/ostree/boot.B/STATEROOT/BOOTCSUM/N` that `ostree=` names.
    fn boot_checksums(&mut self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for boot in ["/ostree/boot.0", "/ostree/boot.1"] {
            for stateroot in self.list(boot) {
                let directory = format!("{boot}/{stateroot}");
                for bootcsum in self.list(&directory) {
                    let links = self.list(&format!("{directory}/{bootcsum}"));
                    let roots = links
                        .iter()
                        .filter_map(|link| self.volume.canonical(&format!("{directory}/{bootcsum}/{link}")));
                    found.extend(roots.map(|root| (root, bootcsum.clone())));
                }
            }
        }
        found
    }

    fn refs(&mut self, directory: &str, depth: u32) {
        for name in self.list(directory) {
            let path = format!("{directory}/{name}");
            if self.sysroot.refs.len() >= MOST_REFS {
                return;
            }
            if self.volume.is_directory(&path) {
                if depth > 0 {
                    self.refs(&path, depth - 1);
                }
            } else if let Some(text) = self.text(&path) {
                self.sysroot.refs.push(Reference { name: ref_name(&path), commit: text.trim().to_owned() });
            }
        }
    }

    fn aleph(&mut self) {
        let Some(text) = self.text(ALEPH) else { return };
        let parsed = serde_json::from_str(&text).map_err(|error| format!("`{ALEPH}` is not JSON: {error}"));
        self.sysroot.aleph = self.noted(parsed.map(Some));
    }
}

/// `COMMIT.SERIAL`.
fn deployment_name(name: &str) -> Option<(Checksum, u32)> {
    let (commit, serial) = name.split_once('.')?;
    Some((commit.parse().ok()?, serial.parse().ok()?))
}

/// As `ostree refs` prints it: `heads/` left out, `remotes/NAME/…` as `NAME:…`.
fn ref_name(path: &str) -> String {
    let name = path.strip_prefix(REFS).unwrap_or(path).trim_start_matches('/');
    let of_remote = || name.strip_prefix("remotes/")?.split_once('/').map(|(remote, name)| format!("{remote}:{name}"));
    name.strip_prefix("heads/").map(str::to_owned).or_else(of_remote).unwrap_or_else(|| name.to_owned())
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = |key: &str| os_release.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    let value = value("PRETTY_NAME").or_else(|| value("ID"))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned()).filter(|name| !name.is_empty())
}

fn end_of_life(commit: &Commit) -> Option<String> {
    let successor = || Some(format!("its successor is the ref {}", commit.string("ostree.endoflife-rebase")?));
    commit.string("ostree.endoflife").map(str::to_owned).or_else(successor)
}

/// An image built from a container has its version in the labels of the configuration.
fn version(commit: &Commit) -> Option<String> {
    let of_image = || {
        let config: Value = serde_json::from_str(commit.string("ostree.container.image-config")?).ok()?;
        let labels = config.get("config")?.get("Labels")?;
        let label = ["org.opencontainers.image.version", "version"].iter().find_map(|label| labels.get(label))?;
        Some(label.as_str()?.to_owned())
    };
    commit.string("version").map(str::to_owned).or_else(of_image)
}

fn rfc3339(seconds: i64) -> Option<String> {
    Some(jiff::Timestamp::from_second(seconds).ok()?.to_string())
}

fn origin(text: String) -> Origin {
    let mut group = "";
    let mut found = (OriginKind::Unknown, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            group = name;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| group == "origin") else { continue };
        match key.trim() {
            "container-image-reference" => found = (OriginKind::ContainerImageReference, Some(value.trim().to_owned())),
            "refspec" => found = (OriginKind::Refspec, Some(value.trim().to_owned())),
            _ => {}
        }
    }
    let (kind, reference) = found;
    Origin { kind, reference, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_outside_of_the_group_origin_does_not_count() {
        let read = origin("[other]\nrefspec=a\n[origin]\n# refspec=b\nrefspec = origin:c\n".to_owned());
        assert_eq!((read.kind, read.reference.as_deref()), (OriginKind::Refspec, Some("origin:c")));
        assert_eq!(origin("refspec=a".to_owned()).kind, OriginKind::Unknown);
    }

    #[test]
    fn refs_are_named_as_ostree_names_them() {
        assert_eq!(ref_name("/ostree/repo/refs/heads/ostree/1/1/0"), "ostree/1/1/0");
        assert_eq!(ref_name("/ostree/repo/refs/remotes/fedora/x86_64/base"), "fedora:x86_64/base");
    }
}
