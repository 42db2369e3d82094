//! `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]` (the reference grammar of the distribution project, containers-transports(5)).

use std::fmt;

use super::ImageRefError;
use crate::digest::Digest;

/// The name that Docker's tools leave away.
const DOCKER_HUB: &str = "docker.io";
const LONGEST_TAG: usize = 128;
/// Of host and repository together.
const LONGEST_NAME: usize = 255;

/// An image in a registry. Short names, which leave the registry to the machine's configuration, are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRef {
    /// With the port, where one is named.
    pub host: String,
    pub repository: String,
    /// `latest` when neither a tag nor a digest was named.
    pub tag: Option<String>,
    /// What the image has to be; it decides where a tag is named as well.
    pub digest: Option<Digest>,
}

impl RegistryRef {
    /// `rest` is `text` without its transport.
    pub(super) fn parse(text: &str, rest: &str) -> Result<Self, ImageRefError> {
        let wrong = |why: &str| ImageRefError::Registry { text: text.to_owned(), why: why.to_owned() };
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(|error| wrong(&format!("{error}")))?)),
            None => (rest, None),
        };
        // A colon before the last slash belongs to a port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((before, tag)) if !tag.contains('/') => (before, Some(tag)),
            _ => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("a tag has up to 128 letters, digits, `_`, `.` and `-`"));
        }
        let Some((host, repository)) = name.split_once('/').filter(|(host, _)| is_host(host)) else {
            return Err(match is_repository(name) {
                true => ImageRefError::ShortName { text: text.to_owned(), full: full(name, tag) },
                false => wrong("a host, `/` and a repository of lower-case words are expected"),
            });
        };
        if !is_repository(repository) || name.len() > LONGEST_NAME {
            return Err(wrong("the repository has words of lower-case letters and digits, with `/` between them"));
        }
        let host = if host == "index.docker.io" { DOCKER_HUB } else { host };
        let official = host == DOCKER_HUB && !repository.contains('/');
        Ok(Self {
            host: host.to_owned(),
            repository: if official { format!("library/{repository}") } else { repository.to_owned() },
            tag: tag.or(digest.is_none().then_some("latest")).map(str::to_owned),
            digest,
        })
    }

    /// Host and repository, which is what policies and configurations are about.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// What the registry is asked for: the digest before the tag.
    pub fn asked(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_default(),
        }
    }

    /// What a machine follows: the tag, unless there is only a digest.
    pub fn followed(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{}:{tag}", self.name()),
            (None, Some(digest)) => format!("{}@{digest}", self.name()),
            (None, None) => self.name(),
        }
    }
}

impl fmt::Display for RegistryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// A short name as Docker would complete it.
fn full(name: &str, tag: Option<&str>) -> String {
    let library = if name.contains('/') { "" } else { "library/" };
    format!("{DOCKER_HUB}/{library}{name}:{}", tag.unwrap_or("latest"))
}

/// The first word is a host when it could not be a word of a repository, or is `localhost`.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':').filter(|_| !text.ends_with(']')) {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_port =
        |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let word = |word: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !word.is_empty() && word.bytes().all(inner) && !word.starts_with('-') && !word.ends_with('-')
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(word),
    };
    let tells = name.contains('.') || port.is_some() || address.is_some() || name == "localhost";
    is_name && port.is_none_or(is_port) && (tells || name.bytes().any(|b| b.is_ascii_uppercase()))
}

/// Words of `[a-z0-9]+`, joined by `.`, `_`, `__` or any number of `-`, with `/` between them.
fn is_repository(text: &str) -> bool {
    text.split('/').all(|component| {
        let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = component.as_bytes();
        let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
        let mut separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        ends && separators.all(|text| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|b| b == b'-'))
    })
}

fn is_tag(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=LONGEST_TAG).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['.', '-'])
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
            ("docker://Registry/a", "Registry/a:latest"),
        ] {
            let reference = parse(text);
            assert_eq!(reference.to_string(), shown);
            assert_eq!(parse(&format!("docker://{reference}")), reference);
        }
    }

    #[test]
    fn a_digest_decides_and_a_tag_is_what_the_machine_follows() {
        let both = parse(&format!("quay.io/a:1@{DIGEST}"));
        assert_eq!((both.asked(), both.followed()), (DIGEST.to_owned(), "quay.io/a:1".to_owned()));
        let pinned = parse(&format!("docker://quay.io/a@{DIGEST}"));
        assert_eq!((pinned.tag.as_deref(), pinned.followed()), (None, format!("quay.io/a@{DIGEST}")));
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
        assert!(error("docker://quay.io:99999/a").contains("a host"));
    }
}
