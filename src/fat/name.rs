//! Which long names and volume labels FAT can hold, and when two names are one.
//!
//! Spec: "Long File Name Implementation" for the characters, "Volume Label" for the label.

use super::Error;
use super::boot_sector::NO_NAME;

/// UTF-16 units of the longest name.
const LONGEST: usize = 255;

/// The names of a path, or why FAT cannot hold one of them.
pub fn components(path: &str) -> Result<Vec<&str>, Error> {
    let bad = |why| Error::BadPath { path: path.into(), why };
    path.split('/').map(|name| objection(name).map_or(Ok(name), |why| Err(bad(why)))).collect()
}

fn objection(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("a name between slashes is empty");
    }
    if name.encode_utf16().count() > LONGEST {
        return Some("a name has more than 255 UTF-16 units");
    }
    // Windows and UEFI drop them, Linux as well unless told otherwise: the file would not be found again.
    if name.ends_with(['.', ' ']) {
        return Some("a name ends in a dot or a space");
    }
    if name.chars().any(|c| c.is_ascii_control() || r#""*:<>?\|"#.contains(c)) {
        return Some(r#"a name has a control character or one of " * : < > ? \ |"#);
    }
    None
}

/// The form in which names are compared: upper case, one character for one, as in the drivers' tables.
pub fn fold(name: &str) -> String {
    name.chars().map(upper).collect()
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

/// The label padded to its field; `NO NAME` for an empty one.
pub fn label(label: &str) -> Result<[u8; 11], Error> {
    let bad = |why| Err(Error::BadLabel { label: label.into(), why });
    if label.is_empty() {
        return Ok(NO_NAME);
    }
    if label.chars().any(|c| !(' '..='~').contains(&c) || r#""*+,./:;<=>?[\]|"#.contains(c)) {
        return bad(r#"only ASCII without " * + , . / : ; < = > ? [ \ ] |"#);
    }
    if label.chars().any(|c| c.is_ascii_lowercase()) {
        return bad("lower case is not allowed");
    }
    if label.starts_with(' ') || label.ends_with(' ') {
        return bad("a space at its start or end is lost");
    }
    let mut field = [b' '; 11];
    match field.get_mut(..label.len()) {
        Some(start) => start.copy_from_slice(label.as_bytes()),
        None => return bad("more than 11 characters"),
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_driver_would_not_find_again_are_refused() {
        let long = "x".repeat(256);
        for path in ["", "/EFI", "EFI//a", "a/", "..", "a.", "a ", "a:b", "a\\b", "a\u{7}", &long] {
            assert!(matches!(components(path), Err(Error::BadPath { .. })), "{path:?}");
        }
        assert_eq!(components("EFI/BOOT/ä b.c").unwrap(), ["EFI", "BOOT", "ä b.c"]);
    }

    #[test]
    fn folding_keeps_characters_without_a_single_upper_case_form() {
        assert_eq!(fold("Straße ñ"), "STRAßE Ñ");
    }

    #[test]
    fn a_label_is_eleven_characters_of_upper_case() {
        assert_eq!(label("EFI-SYSTEM").unwrap(), *b"EFI-SYSTEM ");
        assert_eq!(label("").unwrap(), *b"NO NAME    ");
        for wrong in ["twelve-chars", "TWELVE-CHARS", "boot", " A", "A ", "A.B", "Ä"] {
            assert!(matches!(label(wrong), Err(Error::BadLabel { .. })), "{wrong}");
        }
    }
}
