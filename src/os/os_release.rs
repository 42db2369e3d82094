//! The os-release file (`os-release(5)`).

use super::{CONFIG_LIMIT, OsError};
use crate::tree::Files;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsRelease {
    /// What the boot menu calls the system: PRETTY_NAME, else ID.
    pub pretty_name: String,
    pub id: Option<String>,
}

impl OsRelease {
    pub fn read(files: &Files<'_>) -> Result<OsRelease, OsError> {
        let text = match files.read_text("usr/lib/os-release", CONFIG_LIMIT)? {
            Some(text) => Some(text),
            None => files.read_text("usr/etc/os-release", CONFIG_LIMIT)?,
        };
        OsRelease::parse(&text.unwrap_or_default()).ok_or(OsError::NoOsRelease)
    }

    fn parse(text: &str) -> Option<OsRelease> {
        // The file is read by shells too, so the last assignment wins.
        let value = |key: &str| {
            text.lines().rev().find_map(|line| Some(unquote(line.trim().strip_prefix(key)?.strip_prefix('=')?)))
        };
        let id = value("ID").filter(|id| !id.is_empty());
        let pretty_name = value("PRETTY_NAME").filter(|name| !name.is_empty()).or_else(|| id.clone())?;
        Some(OsRelease { pretty_name, id })
    }
}

/// A value as the shell would take it: quotes away, and in double quotes or bare words the backslash before a character.
fn unquote(value: &str) -> String {
    let value = value.trim();
    if let Some(literal) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return literal.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let mut escaped = false;
    inner
        .chars()
        .filter(|&c| {
            escaped = c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_as_the_shell_does() {
        let text = "NAME=x\nPRETTY_NAME=\"Debian \\\"13\\\" \\$x\"\nID='debian'\nVERSION_ID=13\nID=debian\n";
        let release = OsRelease::parse(text).unwrap();
        assert_eq!(release.pretty_name, "Debian \"13\" $x");
        assert_eq!(release.id.as_deref(), Some("debian"));
    }

    #[test]
    fn the_id_stands_in_for_a_missing_pretty_name() {
        assert_eq!(OsRelease::parse("ID=arch\n").unwrap().pretty_name, "arch");
        assert_eq!(OsRelease::parse("NAME=x\n"), None);
    }
}
