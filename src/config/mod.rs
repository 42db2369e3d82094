//! The configuration file: `config.toml` or `config.json` with the customizations of an osbuild blueprint.
//!
//! The words are those of bootc-image-builder's configuration. A file is read into a [`document`], held against the one
//! [`schema`], and then becomes the types of [`customizations`]. Nothing of the image is known here: whether a group exists or a
//! home can be made is for `customize`.

mod check;
mod customizations;
mod document;
mod example;
mod read;
mod schema;
mod secret;
mod validate;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use customizations::{Customizations, Filesystem, Group, User};
pub use document::Place;
pub use example::example;
pub use secret::Secret;
pub use validate::{ValueError, is_crypted};

use document::{Document, Position};

/// Larger files are refused: no list of users and keys comes near it.
const LIMIT: u64 = 1 << 20;

/// What a configuration file asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub customizations: Customizations,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    In { path: PathBuf, source: Box<Error> },
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is larger than {LIMIT} bytes")]
    TooLarge,
    #[error("is no TOML: {message}, {at}")]
    NotToml { message: String, at: Position },
    #[error("is no JSON: {message}")]
    NotJson { message: String },
    #[error("{place}: unknown key `{key}`{}", match suggestion { Some(known) => format!("; did you mean `{known}`?"), None => String::new() })]
    UnknownKey { place: Place, key: String, suggestion: Option<String> },
    #[error("{place}: the key `{key}` is known to bootc-image-builder, but not supported here yet")]
    NotSupportedYet { place: Place, key: String },
    #[error("{place}: expected {expected}, found {found}")]
    WrongType { place: Place, expected: String, found: &'static str },
    #[error("{place}: the key `{key}` is missing")]
    Missing { place: Place, key: &'static str },
    #[error("{place}: {problem}")]
    Value { place: Place, problem: ValueError },
}

impl Config {
    /// Reads TOML 1.0; errors carry line and column.
    pub fn parse_toml(text: &str) -> Result<Config, Error> {
        read::config(&Document::parse_toml(text)?)
    }

    /// Reads JSON, also in the older form `{"blueprint": {…}}`. Refuses what [`Config::parse_toml`] refuses, in the same words.
    pub fn parse_json(text: &str) -> Result<Config, Error> {
        read::config(&Document::parse_json(text)?)
    }

    /// Reads a file, or standard input for `-`. `.json` is JSON and `.toml` is TOML. Without such a name the first character
    /// decides: a `{` begins JSON, and no TOML can begin with it.
    pub fn load(path: &Path) -> Result<Config, Error> {
        let stdin = path == Path::new("-");
        let text = if stdin {
            read_text(io::stdin().lock())
        } else {
            File::open(path).map_err(Error::from).and_then(read_text)
        };
        let config = text.and_then(|text| match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Config::parse_json(&text),
            Some("toml") => Config::parse_toml(&text),
            _ if text.trim_start().starts_with('{') => Config::parse_json(&text),
            _ => Config::parse_toml(&text),
        });
        let name = if stdin { Path::new("standard input") } else { path };
        config.map_err(|source| Error::In { path: name.to_owned(), source: source.into() })
    }
}

fn read_text(from: impl Read) -> Result<String, Error> {
    let mut text = String::new();
    from.take(LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LIMIT { Err(Error::TooLarge) } else { Ok(text) } // usize has at most 64 bits
}

#[cfg(test)]
mod tests;
