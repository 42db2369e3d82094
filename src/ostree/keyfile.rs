//! GLib key files, as libostree keeps its configuration in them (GLib, "Key-value file parser"; ostree.repo-config(5)).

use std::collections::BTreeMap;

/// Groups by name, and in them values by key; of two values for one key the last wins, groups of one name are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile(BTreeMap<String, BTreeMap<String, String>>);

/// Why a text is no key file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("line {line} is neither a comment, nor `[group]`, nor `key=value`")]
    Line { line: usize },
    #[error("line {line} stands before the first group")]
    NoGroup { line: usize },
    #[error("`{key}` in the group `{group}` is missing")]
    Missing { group: &'static str, key: &'static str },
}

impl KeyFile {
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut file = Self::default();
        let mut group: Option<&mut BTreeMap<String, String>> = None;
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.trim_end().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                group = Some(file.0.entry(name.to_owned()).or_default());
                continue;
            }
            let (key, value) = line.split_once('=').ok_or(KeyFileError::Line { line: line_number })?;
            let group = group.as_mut().ok_or(KeyFileError::NoGroup { line: line_number })?;
            group.insert(key.trim_end().to_owned(), unescape(value.trim()));
        }
        Ok(file)
    }

    pub fn get(&self, group: &str, key: &str) -> Option<&str> {
        self.0.get(group)?.get(key).map(String::as_str)
    }

    /// The names of the groups `[remote "NAME"]`.
    pub fn remotes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|group| group.strip_prefix("remote \"")?.strip_suffix('"'))
    }

    /// A key of the group `[remote "NAME"]`.
    pub fn remote(&self, name: &str, key: &str) -> Option<&str> {
        self.get(&format!("remote \"{name}\""), key)
    }
}

/// `\s`, `\n`, `\t`, `\r` and `\\`; anything else stays as it stands.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { characters.clone().next() } else { None };
        let meant = match escaped {
            Some('s') => Some(' '),
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('\\') => Some('\\'),
            _ => None,
        };
        if meant.is_some() {
            characters.next();
        }
        plain.push(meant.unwrap_or(character));
    }
    plain
}

/// What a repository's `config` says to those who read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoConfig {
    pub mode: String,
    /// The repository that has what this one lacks.
    pub parent: Option<String>,
    pub collection_id: Option<String>,
    pub file: KeyFile,
}

impl RepoConfig {
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let file = KeyFile::parse(text)?;
        let core = |key| file.get("core", key).filter(|value| !value.is_empty()).map(str::to_owned);
        Ok(Self {
            mode: core("mode").ok_or(KeyFileError::Missing { group: "core", key: "mode" })?,
            parent: core("parent"),
            collection_id: core("collection-id"),
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_comments_and_escapes_are_read_as_glib_reads_them() {
        let text =
            "# c\n\n[core]\nrepo_version=1\nmode = bare\n[remote \"a b\"]\nurl=http://x/\\sy\\\\\n[core]\nparent=/p\n";
        let config = RepoConfig::parse(text).unwrap();
        assert_eq!((config.mode.as_str(), config.parent.as_deref()), ("bare", Some("/p")));
        assert_eq!(config.file.remotes().collect::<Vec<_>>(), ["a b"]);
        assert_eq!(config.file.remote("a b", "url"), Some("http://x/ y\\"));
    }

    #[test]
    fn what_is_no_key_file_is_refused_with_its_line() {
        assert_eq!(KeyFile::parse("[a]\nb\n"), Err(KeyFileError::Line { line: 2 }));
        assert_eq!(KeyFile::parse("\na=b\n"), Err(KeyFileError::NoGroup { line: 2 }));
        assert!(RepoConfig::parse("[core]\nrepo_version=1\n").is_err());
    }
}
