//! Servers that hold the same files (libostree `ostree-fetcher-util.c`, `mirrorlist=`).

use std::sync::atomic::{AtomicUsize, Ordering};

use url::Url;

use super::{Error, Result};
use crate::http::{Client, HttpError};
use crate::image_ref::Location;

/// Bytes of a list of mirrors.
const LIST_LIMIT: u64 = 1 << 20;
/// More than anybody lists.
const MIRRORS: usize = 64;

/// Base URLs of the same files, each with a slash at its end.
pub struct Mirrors {
    bases: Vec<Url>,
    /// The one that answered last.
    current: AtomicUsize,
}

impl Mirrors {
    /// Those of `location`; a list of mirrors is fetched.
    pub fn at(client: &Client, location: &Location) -> Result<Self> {
        let bases = match location {
            Location::Directory(path) => {
                return Err(Error::NotARepository {
                    location: path.display().to_string(),
                    why: "a URL is needed here".into(),
                });
            }
            Location::Server(url) => vec![with_slash(url)],
            Location::MirrorList(url) => {
                let list = client.bytes(url, LIST_LIMIT)?;
                let list = parse_list(&String::from_utf8_lossy(&list));
                list.ok_or_else(|| Error::MirrorList { url: location.to_string() })?
            }
        };
        Ok(Self { bases, current: AtomicUsize::new(0) })
    }

    /// The same servers, of which another may be asked first.
    pub fn again(&self) -> Self {
        Self { bases: self.bases.clone(), current: AtomicUsize::new(0) }
    }

    /// The first answer, beginning with the mirror that gave the last one; the error is that of the first asked.
    pub fn first<T>(
        &self,
        ask: impl Fn(&Url) -> std::result::Result<T, HttpError>,
    ) -> std::result::Result<T, HttpError> {
        let current = self.current.load(Ordering::Relaxed);
        let mut first_error = None;
        for step in 0..self.bases.len() {
            let index = (current + step) % self.bases.len();
            match ask(&self.bases[index]) {
                Ok(answer) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        // OK to expect: there is at least one mirror, and each gave an answer or an error.
        Err(first_error.expect("a mirror"))
    }
}

/// One base URL a line; `#` begins a comment. `None` when there is none, or a line is no URL of HTTP.
fn parse_list(text: &str) -> Option<Vec<Url>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let url = |line: &str| Url::parse(line).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let bases: Vec<Url> =
        lines.take(MIRRORS).map(|line| url(line).map(|url| with_slash(&url))).collect::<Option<_>>()?;
    (!bases.is_empty()).then_some(bases)
}

fn with_slash(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// The URL of a file; the query of the base, which may be a token, stays.
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path()));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_list_has_one_url_a_line() {
        let bases = parse_list("# ours\n\nhttps://a.example/repo\n http://b.example/repo/ \n").unwrap();
        let texts: Vec<_> = bases.iter().map(Url::as_str).collect();
        assert_eq!(texts, ["https://a.example/repo/", "http://b.example/repo/"]);
        assert!(parse_list("# none\n").is_none() && parse_list("file:///srv\n").is_none());
    }

    #[test]
    fn files_lie_below_the_base_and_its_query_stays() {
        let base = with_slash(&Url::parse("https://a.example/r%20x/repo?token=1").unwrap());
        assert_eq!(
            join(&base, "objects/ab/c.filez").as_str(),
            "https://a.example/r%20x/repo/objects/ab/c.filez?token=1"
        );
    }
}
