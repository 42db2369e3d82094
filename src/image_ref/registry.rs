//! `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`: an image in a registry (containers-transports(5)).

use std::fmt;

use super::ImageRefError;
use super::credentials::without_credentials;
use super::reference::{Reference, has_host};
use crate::digest::Digest;

/// An image in a registry. Short names, which leave the registry to the machine's configuration, are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRef {
    /// With the tag `latest` when neither a tag nor a digest was named.
    pub reference: Reference,
    /// What the image has to be; it decides where a tag is named as well.
    pub digest: Option<Digest>,
}

impl RegistryRef {
    /// `rest` is `text` without its transport.
    pub(super) fn parse(text: &str, rest: &str) -> Result<Self, ImageRefError> {
        if let Some(text) = without_credentials(text) {
            return Err(ImageRefError::Credentials { text });
        }
        let wrong = |why: String| ImageRefError::Registry { text: text.to_owned(), why };
        let reference = rest.parse::<Reference>().map_err(|error| wrong(error.why.to_owned()))?.complete();
        if !has_host(rest) {
            return Err(ImageRefError::ShortName { text: text.to_owned(), full: reference.to_string() });
        }
        if !has_possible_port(reference.domain()) {
            return Err(wrong("the port of a host is a number below 65536".to_owned()));
        }
        let digest = reference.digest().map(str::parse).transpose();
        let digest = digest.map_err(|error: crate::digest::DigestError| wrong(error.to_string()))?;
        Ok(Self { reference, digest })
    }

    /// What the registry is asked for: the digest before the tag.
    pub fn asked(&self) -> &str {
        self.reference.digest().or(self.reference.tag()).unwrap_or_default()
    }

    /// What a machine follows: the tag, unless there is only a digest.
    pub fn followed(&self) -> String {
        match self.reference.tag() {
            Some(tag) => format!("{}:{tag}", self.reference.name()),
            None => self.reference.to_string(),
        }
    }
}

impl fmt::Display for RegistryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}

fn has_possible_port(domain: &str) -> bool {
    match domain.rsplit_once(':') {
        Some((_, port)) if !domain.ends_with(']') => port.parse::<u16>().is_ok(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ImageRef, SourceRef};
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn parse(text: &str) -> RegistryRef {
        match text.parse() {
            Ok(SourceRef::Container(ImageRef::Registry(reference))) => reference,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn error(text: &str) -> String {
        text.parse::<SourceRef>().unwrap_err().to_string()
    }

    #[test]
    fn host_repository_tag_and_digest_are_told_apart() {
        for (text, shown) in [
            ("docker://quay.io/a/b_c/d:1.2", "quay.io/a/b_c/d:1.2"),
            ("quay.io/a/b", "quay.io/a/b:latest"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("localhost/a:b", "localhost/a:b"),
            ("docker://[::1]:5000/a", "[::1]:5000/a:latest"),
            ("docker.io/debian:12", "docker.io/library/debian:12"),
            ("docker://index.docker.io/a/b", "docker.io/a/b:latest"),
            ("docker://Registry.example/a", "Registry.example/a:latest"),
        ] {
            let reference = parse(text);
            assert_eq!(reference.to_string(), shown);
            assert_eq!(parse(&format!("docker://{reference}")), reference);
        }
    }

    #[test]
    fn a_digest_decides_and_a_tag_is_what_the_machine_follows() {
        let both = parse(&format!("quay.io/a:1@{DIGEST}"));
        assert_eq!((both.asked(), both.followed()), (DIGEST, "quay.io/a:1".to_owned()));
        let pinned = parse(&format!("docker://quay.io/a@{DIGEST}"));
        assert_eq!((pinned.reference.tag(), pinned.followed()), (None, format!("quay.io/a@{DIGEST}")));
    }

    #[test]
    fn short_names_are_refused_with_the_full_one() {
        for (text, full) in [
            ("docker://busybox", "docker.io/library/busybox:latest"),
            ("debian:12", "docker.io/library/debian:12"),
            ("docker://a/b:c", "docker.io/a/b:c"),
        ] {
            let error = text.parse::<SourceRef>().unwrap_err();
            assert!(error.hint().unwrap().contains(&format!("docker://{full}")), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_reference_is_told_so() {
        assert!(error("docker://quay.io/A/b").contains("lower-case"));
        assert!(error("docker://quay.io/a:-b").contains("a tag has"));
        assert!(error("docker://quay.io/a@sha512:00").contains("sha256"));
        assert!(error("docker://quay.io/a@sha256:00").contains("64"));
        assert!(error("docker://").contains("docker://"));
        assert!(error("docker://quay.io/a__b/c..d").contains("lower-case"));
        assert!(error("docker://quay.io:99999/a").contains("65536"));
        assert!(error("docker://Registry/a").contains("lower-case"));
    }
}
