//! Which paths of a plain image's layer go where in the tree (ostree-ext `tar/write.rs`, `normalize_validate_path`).
//!
//! The same mapping holds for the target of a hard link; that of a symbolic link is `link_target`'s.

use super::{Error, Name};

/// Linux PATH_MAX without the final NUL.
const PATH_MAX: usize = 4095;

/// Top-level directories that are filled when the system runs: kept themselves, everything below dropped.
const RUNTIME_DIRECTORIES: [&str; 5] = ["run", "tmp", "proc", "sys", "dev"];

/// Where a path goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// The root directory itself.
    Root,
    /// To this path, by components.
    Keep(Vec<Name>),
    /// Nowhere.
    Drop,
}

/// Normalises the path of a tar entry (`/` and `./` in front, `//`, inner and last `.`) and moves it: `etc` to `usr/etc`,
/// what is below run, tmp, proc, sys and dev to nowhere. `..` and bytes that are not UTF-8 are errors.
pub fn filter(path: &[u8]) -> Result<Filtered, Error> {
    if path.len() > PATH_MAX {
        return Err(Error::PathTooLong { len: path.len(), limit: PATH_MAX });
    }
    let text = std::str::from_utf8(path).map_err(|_| Error::PathNotUtf8 { path: path.escape_ascii().to_string() })?;
    let components: Vec<&str> = text.split('/').filter(|component| !matches!(*component, "" | ".")).collect();
    if components.contains(&"..") {
        return Err(Error::PathGoesUp { path: text.to_owned() });
    }
    match *components {
        [] => Ok(Filtered::Root),
        [first, _, ..] if RUNTIME_DIRECTORIES.contains(&first) => Ok(Filtered::Drop),
        ["etc", ..] => keep(["usr"].iter().chain(&components)),
        _ => keep(components.iter()),
    }
}

fn keep<'a>(components: impl Iterator<Item = &'a &'a str>) -> Result<Filtered, Error> {
    components.map(|component| Name::new(component)).collect::<Result<_, _>>().map(Filtered::Keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(path: &str) -> String {
        match filter(path.as_bytes()).unwrap() {
            Filtered::Keep(components) => super::super::name::path_text(&components),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_normalised_and_moved_to_where_ostree_wants_them() {
        for (path, expected) in [
            ("usr/bin/sh", "usr/bin/sh"),
            ("/usr//bin/./sh/", "usr/bin/sh"),
            ("./usr/.", "usr"),
            ("etc", "usr/etc"),
            ("./etc/passwd", "usr/etc/passwd"),
            ("/etc/etc/x", "usr/etc/etc/x"),
            ("usr/etc/x", "usr/etc/x"),
            ("etcetera/x", "etcetera/x"),
            ("var/lib/x", "var/lib/x"),
            ("opt/x", "opt/x"),
            ("bin", "bin"),
            ("boot/.wh.x", "boot/.wh.x"),
            ("run/", "run"),
            ("tmp", "tmp"),
            ("proc", "proc"),
            ("sys", "sys"),
            ("dev", "dev"),
            ("run/lock", "Drop"),
            ("tmp/.wh.x", "Drop"),
            ("./proc//1", "Drop"),
            ("/sys/x/y", "Drop"),
            ("dev/null", "Drop"),
            ("usr/run/x", "usr/run/x"),
            ("running/x", "running/x"),
            ("", "Root"),
            ("/", "Root"),
            ("./", "Root"),
            (".//.", "Root"),
        ] {
            assert_eq!(kept(path), expected, "{path}");
        }
    }

    #[test]
    fn paths_that_go_up_are_refused_even_where_nothing_is_kept() {
        for path in ["..", "usr/../etc", "run/../etc/passwd", "tmp/x/..", "/.."] {
            assert_eq!(filter(path.as_bytes()), Err(Error::PathGoesUp { path: path.to_owned() }));
        }
    }

    #[test]
    fn paths_that_linux_or_ostree_cannot_hold_are_refused() {
        assert_eq!(filter(b"usr/\xff"), Err(Error::PathNotUtf8 { path: "usr/\\xff".to_owned() }));
        assert_eq!(filter(&[b'a'; 5000]), Err(Error::PathTooLong { len: 5000, limit: 4095 }));
        assert!(matches!(filter(b"usr/a\0b"), Err(Error::Name { .. })));
    }
}
