//! Targets of symbolic links as they come out of ostree-ext's filter, which writes them into a new tar header
//! (crate tar, `Header::set_link_name`).
//!
//! Only the text changes here, and only for equal object checksums: what the link leads to stays the same.

use super::Error;

/// Room for a link target in a tar header. What does not fit goes into a GNU long link record, which holds any text verbatim.
const LINKNAME: usize = 100;

/// Linux PATH_MAX without the final NUL.
const PATH_MAX: usize = 4095;

/// Collapses `//` and inner `.`, drops a trailing `/.`, keeps a leading `.` and a trailing `/`; a target that stays longer
/// than 100 bytes is not touched at all. Refuses what no Linux link can hold and what is not UTF-8.
pub fn normalise(target: &[u8]) -> Result<String, Error> {
    let text = readable(target)?;
    let normalised = collapse(text);
    Ok(if normalised.len() <= LINKNAME { normalised } else { text.to_owned() })
}

/// The target as text; refuses what no Linux link can hold and what is not UTF-8.
pub fn readable(target: &[u8]) -> Result<&str, Error> {
    let refused = |why| Error::LinkTarget { target: target.escape_ascii().to_string(), why };
    match std::str::from_utf8(target) {
        _ if target.is_empty() => Err(refused("empty")),
        _ if target.len() > PATH_MAX => Err(refused("longer than 4095 bytes")),
        _ if target.contains(&0) => Err(refused("cut by a NUL byte")),
        Err(_) => Err(refused("not UTF-8")),
        Ok(text) => Ok(text),
    }
}

fn collapse(target: &str) -> String {
    let is_kept = |&(index, component): &(usize, &str)| !component.is_empty() && (component != "." || index == 0);
    let kept: Vec<&str> = target.split('/').enumerate().filter(is_kept).map(|(_, component)| component).collect();
    let root = if target.starts_with('/') { "/" } else { "" };
    // The crate adds this slash to a lone root as well: `/` becomes `//`, which Linux resolves alike.
    let last = if target.ends_with('/') { "/" } else { "" };
    format!("{root}{}{last}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symlink_targets_are_normalised_as_the_importer_does() {
        for (target, expected) in [
            ("usr/bin", "usr/bin"),
            ("a//b", "a/b"),
            ("a/./b", "a/b"),
            ("a/.", "a"),
            ("./a", "./a"),
            ("././a", "./a"),
            (".", "."),
            ("..", ".."),
            ("../../a/", "../../a/"),
            ("//a", "/a"),
            ("/./a", "/a"),
            ("a/../b", "a/../b"),
            ("/", "//"),
        ] {
            assert_eq!(normalise(target.as_bytes()).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn symlink_targets_over_100_bytes_are_kept_verbatim() {
        let fits = format!("{}//{}", "x".repeat(50), "y".repeat(49));
        assert_eq!(normalise(fits.as_bytes()), Ok(fits.replace("//", "/")));
        let too_long = format!("{fits}y");
        assert_eq!(normalise(too_long.as_bytes()), Ok(too_long));
    }

    #[test]
    fn targets_that_no_link_can_have_are_refused() {
        for target in [&b""[..], b"a\0b", b"\xff", &[b'a'; 4096]] {
            assert!(matches!(normalise(target), Err(Error::LinkTarget { .. })));
        }
    }
}
