//! What of an expression is plain text (`label_file.h`: `spec_hasMetaChars`, `get_stem_from_spec`).

/// Whether anything in it is more than itself. What has nothing is looked at before all that has, wherever it stands.
///
/// A backslash makes none, whatever it stands before; since libselinux 3.8 one before a letter does.
pub fn has_meta_chars(regex: &str) -> bool {
    let mut bytes = regex.bytes();
    while let Some(byte) = bytes.next() {
        if is_meta(byte) {
            return true;
        }
        if byte == b'\\' {
            bytes.next();
        }
    }
    false
}

/// The one path that an expression matches, when it is no more than a path.
pub fn literal(regex: &str) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(regex.len());
    let mut bytes = regex.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => plain.push(bytes.next().filter(|escaped| !escaped.is_ascii_alphanumeric())?),
            b')' => return None, // no metacharacter, but not itself either
            byte if is_meta(byte) => return None,
            byte => plain.push(byte),
        }
    }
    Some(plain)
}

/// The first name of an expression, from its slash to before the next one: paths that have another are not looked at.
///
/// It makes a difference where the second slash is optional (`/a/?` does not match `/a`), and for alternatives outside of
/// groups. Since libselinux 3.8 up to three names count, which no policy has been seen to need. Empty when there is none.
pub fn stem(regex: &str) -> Vec<u8> {
    let second_slash = regex.bytes().skip(1).position(|byte| byte == b'/');
    let name = second_slash.and_then(|at| regex.get(..at + 1));
    name.and_then(literal).unwrap_or_default()
}

fn is_meta(byte: u8) -> bool {
    b".^$?*+|[({".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_characters_are_literal() {
        assert!(!has_meta_chars(r"/a\.b\+"));
        assert!(has_meta_chars(r"/a\\.b"));
        assert_eq!(literal(r"/a\.b").as_deref(), Some(&b"/a.b"[..]));
        assert_eq!(literal(r"/a\d"), None);
        assert_eq!(literal("/a)"), None);
        assert_eq!(literal("/a\\"), None);
    }

    #[test]
    fn a_stem_is_the_first_name_when_it_is_plain() {
        assert_eq!(stem("/usr/lib/.*"), b"/usr");
        assert_eq!(stem(r"/a\-b/?"), b"/a-b");
        for none in ["/usr", "/usr(/.*)?", "/u.r/x", ".*", "/"] {
            assert_eq!(stem(none), b"", "{none}");
        }
    }
}
