//! One component of a path, as a dirtree can hold it.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::Error;

/// Linux NAME_MAX.
const NAME_MAX: usize = 255;

/// The name of one entry of a directory: UTF-8 of 1 to 255 bytes, no `/`, no NUL, neither `.` nor `..`. Its order is that
/// of its bytes, which is the order of `strcmp`, which is the order of a dirtree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(Box<str>);

impl Name {
    /// Checks `text` by the rules above.
    pub fn new(text: &str) -> Result<Self, Error> {
        let why = match text {
            "" => "it is empty",
            "." | ".." => "it means another directory",
            _ if text.contains(['/', '\0']) => "it contains `/` or a NUL byte",
            _ if text.len() > NAME_MAX => "it is longer than 255 bytes",
            _ => return Ok(Self(text.into())),
        };
        Err(Error::Name { name: text.to_owned(), why })
    }
}

/// `components` as one relative path, for messages.
pub(super) fn path_text(components: &[Name]) -> String {
    components.join("/")
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fsck_rejects_cannot_be_made() {
        for text in ["", ".", "..", "a/b", "a\0b", &"x".repeat(256)] {
            assert!(Name::new(text).is_err(), "{text:?}");
        }
        for text in ["...", ".wh.a", "Ünï→", "a\nb", &"x".repeat(255)] {
            assert_eq!(&*Name::new(text).unwrap(), text);
        }
    }
}
