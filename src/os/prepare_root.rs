//! What the image's ostree-prepare-root is told: `usr/lib/ostree/prepare-root.conf`, replaced by `etc/ostree/prepare-root.conf`.

use super::{CONFIG_LIMIT, OsError};
use crate::tree::{Files, ReadError};

/// `[composefs] enabled` (`ostree-prepare-root(1)`), as far as it can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composefs {
    No,
    Maybe,
    Yes,
}

impl Composefs {
    pub fn is_used(self) -> bool {
        self != Composefs::No
    }
}

/// Reads the mode; `verity` and `signed` are refused, a disk without fs-verity would not boot with them.
pub fn composefs(files: &Files<'_>) -> Result<Composefs, OsError> {
    let mut mode = Composefs::No;
    for path in ["usr/lib/ostree/prepare-root.conf", "usr/etc/ostree/prepare-root.conf"] {
        // A later file replaces the earlier one completely.
        if let Some(text) = files.read_text(path, CONFIG_LIMIT)? {
            mode = match value(&text, "composefs", "enabled").unwrap_or("no") {
                "yes" | "true" | "1" => Composefs::Yes,
                "maybe" => Composefs::Maybe,
                "no" | "false" | "0" => Composefs::No,
                "verity" => return Err(OsError::SealedComposefs { mode: "verity" }),
                "signed" => return Err(OsError::SealedComposefs { mode: "signed" }),
                other => {
                    let message = format!("`composefs.enabled = {other}` is not a mode that ostree knows");
                    return Err(OsError::Config { path: path.to_owned(), message });
                }
            };
        }
    }
    Ok(mode)
}

/// Whether the root of the running system is an overlay, which shows top-level directories of any name: asked by bootc's importer
/// of the commit that an image was made of (ostree-ext `ostree_prepareroot.rs`).
pub fn overlayfs_root_enabled(files: &Files<'_>) -> Result<bool, ReadError> {
    for path in ["etc/ostree/prepare-root.conf", "usr/lib/ostree/prepare-root.conf"] {
        if let Some(text) = files.read_text(path, CONFIG_LIMIT)? {
            let is_transient = matches!(value(&text, "root", "transient"), Some("true" | "1"));
            let composefs = ["yes", "true", "1", "maybe", "verity", "signed"];
            return Ok(
                is_transient || value(&text, "composefs", "enabled").is_some_and(|mode| composefs.contains(&mode))
            );
        }
    }
    Ok(false)
}

/// The value of a key of a GKeyFile; the last one counts.
fn value<'a>(text: &'a str, group: &str, key: &str) -> Option<&'a str> {
    let mut in_group = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            in_group = name == group;
        } else if let Some((name, value)) = line.split_once('=')
            && in_group
            && name.trim_end() == key
        {
            found = Some(value.trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn the_key_is_looked_for_in_its_group_only() {
        let text = "[sysroot]\nenabled=yes\n[composefs]\n# enabled = maybe\nenabled = no\n";
        assert_eq!(value(text, "composefs", "enabled"), Some("no"));
        assert_eq!(value(text, "root", "enabled"), None);
    }
}
