//! What a user may write behind the `#`, and what to say when it is not there.

use std::fmt;
use std::str::FromStr;

use super::{Error, Result};
use crate::ostree::{Checksum, refs};

/// Most names listed in an error.
const LISTED: usize = 5;

/// A commit, or a name for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rev {
    Commit(Checksum),
    /// `[REMOTE:]NAME`; in place of the remote there may be the collection of a mirrored ref.
    Ref {
        remote: Option<String>,
        name: String,
    },
}

impl FromStr for Rev {
    type Err = Error;

    /// libostree's `ostree_parse_refspec`; 64 digits are a commit.
    fn from_str(text: &str) -> Result<Self> {
        if let Ok(commit) = text.parse() {
            return Ok(Self::Commit(commit));
        }
        let wrong = || Error::RefName { text: text.to_owned() };
        let (remote, name) = match text.split_once(':') {
            Some((remote, name)) => (Some(remote), name),
            None => (None, text),
        };
        let good = refs::is_ref(name) && remote.is_none_or(|name| refs::is_remote(name) || refs::is_collection(name));
        let found = Self::Ref { remote: remote.map(str::to_owned), name: name.to_owned() };
        if good { Ok(found) } else { Err(wrong()) }
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => commit.fmt(f),
            Self::Ref { remote: Some(remote), name } => write!(f, "{remote}:{name}"),
            Self::Ref { remote: None, name } => f.write_str(name),
        }
    }
}

/// The error of a ref that is not there, with those that look most like it.
pub fn no_such_ref(location: String, rev: &Rev, mut names: Vec<String>) -> Error {
    names.sort();
    names.dedup();
    let (wanted, count) = (rev.to_string(), names.len());
    names.sort_by_key(|name| strsim::damerau_levenshtein(&wanted, name));
    names.truncate(LISTED);
    Error::NoSuchRef { location, wanted, near: names, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_remotes_and_commits_are_told_apart() {
        let reference =
            |remote: Option<&str>, name: &str| Rev::Ref { remote: remote.map(Into::into), name: name.into() };
        assert_eq!("os/x86_64/main".parse::<Rev>().unwrap(), reference(None, "os/x86_64/main"));
        assert_eq!("vendor:os".parse::<Rev>().unwrap(), reference(Some("vendor"), "os"));
        assert_eq!("org.example.Os:os".parse::<Rev>().unwrap(), reference(Some("org.example.Os"), "os"));
        assert_eq!("ab".repeat(32).parse::<Rev>().unwrap(), Rev::Commit(Checksum([0xab; 32])));
        for wrong in ["", "a//b", "/a", "../a", "a b", ":a", "a:", "a/../b", "-a"] {
            assert!(wrong.parse::<Rev>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_error_of_a_missing_ref_lists_the_nearest_names_first() {
        let names = ["zzz", "os/x86_64/main", "os/x86_64/mian2", "os/aarch64/main", "a", "b"].map(str::to_owned);
        let rev = "os/x86_64/mian".parse().unwrap();
        let Error::NoSuchRef { near, count, .. } = no_such_ref("repo".into(), &rev, names.to_vec()) else { panic!() };
        assert_eq!((near[0].as_str(), near.len(), count), ("os/x86_64/main", 5, 6));
    }
}
