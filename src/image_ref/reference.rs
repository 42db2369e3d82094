//! Image references in their fully expanded form, as registries, stores, policies and signatures have them (`docker/reference` of
//! containers/image; hosts that are IPv6 addresses as the distribution project has them).

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Deserializer};

/// A repository on a registry, with a tag, a digest, both or neither: `docker.io/library/busybox:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no image reference: {why}")]
pub struct ReferenceError {
    text: String,
    pub(super) why: &'static str,
}

const DOMAIN: &str = r"(?:\[[0-9a-fA-F:]+\]|(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::[0-9]+)?";
const PATH: &str = r"[a-z0-9]+(?:(?:[._]|__|-*)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-*)[a-z0-9]+)*)*";
const TAG: &str = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const DIGEST: &str = r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}";

static PARTS: LazyLock<[Regex; 4]> =
    LazyLock::new(|| [DOMAIN, PATH, TAG, DIGEST].map(|part| regex(&format!("^(?:{part})$"))));
/// What `remapIdentity` replaces: a host, or a host with a path.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| regex(&format!("^{DOMAIN}(?:/{PATH})?$")));
/// A registry's limit for a name.
const LONGEST_NAME: usize = 255;
const NO_NAME: &str = "a host, `/` and a repository of lower-case words are expected";

fn regex(text: &str) -> Regex {
    // OK to unwrap: the texts above are the only ones, and every test compiles them.
    Regex::new(text).unwrap()
}

impl Reference {
    /// Host, and port where there is one.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository below its host: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The repository: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// With its algorithm.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// `latest` where neither a tag nor a digest is said.
    pub fn complete(mut self) -> Self {
        if self.digest.is_none() {
            self.tag.get_or_insert_with(|| "latest".to_owned());
        }
        self
    }

    /// What a registry is asked for: of a tag and a digest, the digest, as podman takes it.
    pub fn exact(mut self) -> Self {
        if self.digest.is_some() {
            self.tag = None;
        }
        self.complete()
    }

    /// The reference, its repository, the namespaces above it, its host, and `*.` with every domain that the host lies in.
    pub fn scopes(&self) -> Vec<String> {
        let name = self.name();
        let mut scopes = vec![self.to_string()];
        if let (Some(tag), Some(_)) = (&self.tag, &self.digest) {
            scopes.push(format!("{name}:{tag}"));
        }
        scopes.push(name.clone());
        scopes.extend(name.rmatch_indices('/').map(|(at, _)| name[..at].to_owned()));
        let host = self.domain.split(':').next().unwrap_or_default();
        scopes.extend(host.match_indices('.').map(|(at, _)| format!("*{}", &host[at..])));
        scopes
    }

    /// With `prefix` at a component's end replaced by `other`; unchanged where the name does not begin with it.
    pub fn remapped(&self, prefix: &Prefix, other: &Prefix) -> Result<Self, ReferenceError> {
        let (name, text) = (self.name(), self.to_string());
        match name.strip_prefix(&prefix.0) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                let wanted = format!("{}{}", other.0, &text[prefix.0.len()..]);
                let parsed: Self = wanted.parse()?;
                let why = "it is not in its full form";
                if parsed.to_string() == wanted { Ok(parsed) } else { Err(ReferenceError { text: wanted, why }) }
            }
            _ => Ok(self.clone()),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Short names are Docker's: `busybox` is `docker.io/library/busybox`.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |why| ReferenceError { text: text.chars().take(200).collect(), why };
        if text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong("it is the id of an image"));
        }
        let expanded = expand(text);
        let (rest, digest) =
            expanded.split_once('@').map_or((&expanded[..], None), |(rest, digest)| (rest, Some(digest)));
        // A colon before the last slash belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (domain, path) = name.split_once('/').ok_or_else(|| wrong(NO_NAME))?;
        let [is_domain, is_path, is_tag, is_digest] = &*PARTS;
        if !digest.is_none_or(|digest| is_digest.is_match(digest)) {
            return Err(wrong("a digest is `sha256:` and 64 lower-case hexadecimal digits"));
        }
        if !tag.is_none_or(|tag| is_tag.is_match(tag)) {
            return Err(wrong("a tag has up to 128 letters, digits, `_`, `.` and `-`"));
        }
        if !is_domain.is_match(domain) {
            return Err(wrong(NO_NAME));
        }
        if !is_path.is_match(path) {
            return Err(wrong("the repository has words of lower-case letters and digits, with `/` between them"));
        }
        if name.len() > LONGEST_NAME {
            return Err(wrong("its name has more than 255 characters"));
        }
        let owned = |part: &str| part.to_owned();
        Ok(Self { domain: owned(domain), path: owned(path), tag: tag.map(owned), digest: digest.map(owned) })
    }
}

/// Names the host where the text leaves it out.
fn expand(text: &str) -> String {
    let (domain, rest) = match text.split_once('/') {
        Some(("index.docker.io", rest)) => ("docker.io", rest),
        Some((domain, rest)) if is_host(domain) => (domain, rest),
        _ => ("docker.io", text),
    };
    let library = if domain == "docker.io" && !rest.contains('/') { "library/" } else { "" };
    format!("{domain}/{library}{rest}")
}

/// Whether the text says which registry it is about, by the rule of the container tools: its first word has a dot or a port, or is
/// `localhost`.
pub fn has_host(text: &str) -> bool {
    text.split_once('/').is_some_and(|(first, rest)| is_host(first) && !rest.is_empty())
}

fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A host, a namespace or a repository, in full form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("`{text}` is neither a host nor a host with a path"));
        if PREFIX.is_match(&text) { Ok(Self(text)) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn short_names_are_expanded_as_docker_does() {
        for (short, full) in [
            ("busybox", "docker.io/library/busybox"),
            ("me/os:1", "docker.io/me/os:1"),
            ("index.docker.io/me/os", "docker.io/me/os"),
            ("localhost/os", "localhost/os"),
            ("localhost:5000/os:a_B", "localhost:5000/os:a_B"),
            ("Quay.io/a/b__c/d--e", "Quay.io/a/b__c/d--e"),
            ("[::1]:5000/a", "[::1]:5000/a"),
        ] {
            assert_eq!(parse(short).to_string(), full);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let id = "0123456789abcdef".repeat(4);
        let long = format!("quay.io/{}", "a".repeat(300));
        for text in [
            "",
            "Upper",
            "quay.io/a b",
            "quay.io/",
            "quay.io/a:",
            "quay.io/a@sha256:0",
            "quay.io//a",
            "../a",
            "[::1/a",
            "[g::]/a",
            "quay.io/a\nb",
            "quay.io/a:b\n",
            &id,
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn scopes_go_from_the_reference_up_to_wildcards_of_its_host() {
        let scopes = parse("a.example.com:5000/ns/os:1").scopes();
        assert_eq!(
            scopes,
            [
                "a.example.com:5000/ns/os:1",
                "a.example.com:5000/ns/os",
                "a.example.com:5000/ns",
                "a.example.com:5000",
                "*.example.com",
                "*.com"
            ]
        );
    }

    #[test]
    fn a_prefix_is_replaced_only_at_the_end_of_a_component() {
        let (prefix, other) = (Prefix("mirror.lan/quay".into()), Prefix("quay.io".into()));
        let remapped = |text: &str| parse(text).remapped(&prefix, &other).unwrap().to_string();
        assert_eq!(remapped("mirror.lan/quay/me/os:1"), "quay.io/me/os:1");
        assert_eq!(remapped("mirror.lan/quayside/os:1"), "mirror.lan/quayside/os:1");
        assert!(parse("mirror.lan/quay:1").remapped(&prefix, &other).is_err());
    }
}
