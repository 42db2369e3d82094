//! `ostree:LOCATION#REF`: a repository and what to take out of it.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::ImageRefError;
use super::credentials::repeatable;
use crate::http::without_secrets;

/// A repository, and a ref or a commit of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OstreeRef {
    pub location: Location,
    /// A ref, `REMOTE:REF`, `COLLECTION:REF` or the 64 digits of a commit.
    pub rev: String,
}

/// Where a repository lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Directory(PathBuf),
    Server(Url),
    /// `mirrorlist=URL`: a text file with one base URL a line (libostree `ostree-repo-pull.c`).
    MirrorList(Url),
}

impl OstreeRef {
    /// `rest` is what follows `ostree:` in `text`. No ref holds a `#`, so the last one begins it.
    pub(super) fn parse(text: &str, rest: &str) -> Result<Self, ImageRefError> {
        // A directory may have an `@` in its name.
        let shown = || if text.contains("://") { repeatable(text) } else { text.to_owned() };
        let wrong = |why| ImageRefError::Ostree { text: shown(), why };
        let (location, rev) = rest.rsplit_once('#').ok_or_else(|| wrong("the ref has to follow a `#`"))?;
        if location.is_empty() {
            return Err(wrong("nothing stands before the `#`"));
        }
        if rev.is_empty() {
            return Err(wrong("nothing stands after the `#`"));
        }
        let location = Location::parse(location).ok_or_else(|| wrong("its URL cannot be read"))?;
        Ok(Self { location, rev: rev.to_owned() })
    }
}

impl Location {
    /// A directory, a URL, or `mirrorlist=` and a URL; `None` when the URL cannot be read.
    pub fn parse(text: &str) -> Option<Self> {
        let server = |text: &str| Url::parse(text).ok().filter(Url::has_host);
        if let Some(list) = text.strip_prefix("mirrorlist=") {
            return server(list).map(Self::MirrorList);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return server(text).map(Self::Server);
        }
        if text.starts_with("file://") {
            return Url::parse(text).ok()?.to_file_path().ok().map(Self::Directory);
        }
        Some(Self::Directory(text.into()))
    }

    /// The URL that a machine may be told: without a user's name and password.
    pub fn public_url(&self) -> Option<String> {
        match self {
            Self::Directory(_) => None,
            Self::Server(url) => Some(shown(url)),
            Self::MirrorList(url) => Some(format!("mirrorlist={}", shown(url))),
        }
    }
}

fn shown(url: &Url) -> String {
    let text = without_secrets(url).to_string();
    text.strip_suffix('/').unwrap_or(&text).to_owned()
}

impl fmt::Display for OstreeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.location, self.rev)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Server(_) | Self::MirrorList(_) => f.write_str(&self.public_url().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SourceRef;
    use super::*;

    fn parse(text: &str) -> OstreeRef {
        match text.parse() {
            Ok(SourceRef::Ostree(reference)) => reference,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn directories_and_urls_are_told_apart() {
        assert_eq!(parse("ostree:./a#b/repo#os/x86_64/main").location, Location::Directory("./a#b/repo".into()));
        assert_eq!(parse("ostree:file:///srv/repo#r").location, Location::Directory("/srv/repo".into()));
        let server = parse("ostree:https://updates.example/repo#vendor:os/main");
        assert_eq!(server.location.public_url().as_deref(), Some("https://updates.example/repo"));
        assert_eq!(server.rev, "vendor:os/main");
        let list = parse("ostree:mirrorlist=https://updates.example/mirrors#os");
        assert_eq!(list.location.public_url().as_deref(), Some("mirrorlist=https://updates.example/mirrors"));
        assert_eq!(list.to_string(), "mirrorlist=https://updates.example/mirrors#os");
    }

    #[test]
    fn a_password_in_a_url_is_never_shown() {
        let reference = parse("ostree:https://me:hush@updates.example/repo/#os");
        assert_eq!(reference.to_string(), "https://updates.example/repo#os");
        let error = "ostree:https://me:hush@:x/repo#os".parse::<SourceRef>().unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn a_location_without_a_ref_is_refused_with_both_forms() {
        for text in ["ostree:", "ostree:/srv/repo", "ostree:/srv/repo#", "ostree:#os", "ostree:http://#os"] {
            let error = text.parse::<SourceRef>().unwrap_err();
            assert!(error.hint().unwrap().contains("ostree:DIRECTORY#REF"), "{text}: {error}");
        }
    }
}
