//! Which container image the installed machine upgrades from.

use std::str::FromStr;

use super::DeployError;
use crate::image_ref::{has_host, repeatable, without_credentials};

/// A registry reference without transport, such as `quay.io/example/os:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetImage {
    name: String,
    /// Upgrades have to be signed, by the policy of the machine.
    signed: bool,
}

impl TargetImage {
    /// The reference that a local image was given when it was stored, when it names a registry; else a placeholder on
    /// `localhost`, from which no machine can upgrade. Where the image lies on the build host never shows.
    pub fn default_for(ref_name: Option<&str>, os_id: Option<&str>) -> (TargetImage, Option<String>) {
        if let Some(reference) = ref_name.filter(|name| has_host(name)).and_then(|name| name.parse().ok()) {
            // podman names what was built here so; no registry without a port is on a machine itself.
            let warning = ref_name.is_some_and(|name| name.starts_with("localhost/")).then(|| unserved(&reference));
            return (reference, warning);
        }
        let tag = ref_name.filter(|name| is_tag(name)).unwrap_or("latest");
        let name = os_id
            .filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
            .unwrap_or("os");
        let target = TargetImage { name: format!("localhost/{name}:{tag}"), signed: false };
        let warning = unserved(&target);
        (target, Some(warning))
    }

    /// A digest never moves on, so a machine that follows one finds no upgrades.
    pub fn pinned_warning(&self) -> Option<String> {
        self.name
            .contains('@')
            .then(|| format!("the machine would never find an upgrade: `{}` names a digest, not a tag", self.name))
    }

    /// As refs and skopeo say it.
    pub fn with_transport(&self) -> String {
        format!("docker://{}", self.name)
    }

    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The same image, every upgrade of which has to be signed.
    pub fn signed(self) -> TargetImage {
        TargetImage { signed: true, ..self }
    }

    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// As the deployment's origin file names it (`ostree-ext`: container-image-reference).
    pub fn origin(&self) -> String {
        match self.signed {
            true => format!("ostree-image-signed:docker://{}", self.name),
            false => format!("ostree-unverified-registry:{}", self.name),
        }
    }
}

impl FromStr for TargetImage {
    type Err = DeployError;

    /// Takes `host/repo:tag`, also with `docker://` or what an origin file has before it.
    fn from_str(text: &str) -> Result<TargetImage, DeployError> {
        let refuse = |reason| Err(DeployError::Target { reference: repeatable(text), reason });
        if text.starts_with("ostree-remote-") {
            return refuse("signatures of ostree commits inside of images are not supported yet");
        }
        let bare = ["docker://", "ostree-unverified-registry:", "ostree-unverified-image:docker://"];
        let (signed, name) = match text.strip_prefix("ostree-image-signed:docker://") {
            Some(name) => (true, name),
            None => (false, bare.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)),
        };
        if without_credentials(name).is_some() {
            return refuse("a user's name and password have no place in it, where everybody could read them");
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@+[]".contains(&b)) {
            return refuse("a registry reference such as `quay.io/example/os:latest` is expected");
        }
        if !has_host(name) {
            return refuse("it names no registry host: write `host/name:tag`");
        }
        Ok(TargetImage { name: name.to_owned(), signed })
    }
}

fn unserved(target: &TargetImage) -> String {
    let name = &target.name;
    format!("the machine would upgrade from `{name}`, which no registry serves: say where it does with --target-imgref")
}

fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_reference_is_the_target_when_it_names_a_registry() {
        let (target, warning) = TargetImage::default_for(Some("quay.io/example/os:1"), Some("debian"));
        assert_eq!((target.as_str(), warning), ("quay.io/example/os:1", None));
    }

    #[test]
    fn a_bare_tag_gives_a_placeholder_and_a_warning() {
        let (target, warning) = TargetImage::default_for(Some("stable"), Some("debian"));
        assert_eq!(target.as_str(), "localhost/debian:stable");
        assert!(warning.unwrap().contains("--target-imgref"));
    }

    #[test]
    fn what_was_built_here_keeps_its_name_with_a_warning() {
        let (target, warning) = TargetImage::default_for(Some("localhost/os:1"), Some("debian"));
        assert_eq!(target.as_str(), "localhost/os:1");
        assert!(warning.unwrap().contains("--target-imgref"));
        assert_eq!(TargetImage::default_for(Some("localhost:5000/os:1"), None).1, None);
    }

    #[test]
    fn target_references_need_a_host() {
        assert_eq!("docker://quay.io/a/b:c".parse::<TargetImage>().unwrap().with_transport(), "docker://quay.io/a/b:c");
        for text in ["os:latest", "", "quay.io", "quay.io/a b", "ostree-remote-registry:r:quay.io/a", "u:p@quay.io/a"] {
            assert!(text.parse::<TargetImage>().is_err(), "{text}");
        }
    }
}
