//! Character classes, from `[` to `]` (pcre2pattern(3), "SQUARE BRACKETS AND CHARACTER CLASSES").
//!
//! Inside of them `regex` knows of more operators than PCRE, so that every single character is written by its number.

use super::{Escaped, RegexError, Translator};

/// The names between `[:` and `:]`; both mean the same by them for bytes.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

const NO_END: RegexError = RegexError::Malformed("a character class does not end");

impl Translator<'_> {
    /// A class whose `[` has been read.
    pub(super) fn class(&mut self) -> Result<(), RegexError> {
        self.written.push('[');
        if self.takes(b"^") {
            self.written.push('^');
        }
        // A bracket in the first place is a member.
        let mut byte = self.next().ok_or(NO_END)?;
        loop {
            self.member(byte)?;
            byte = self.next().ok_or(NO_END)?;
            if byte == b']' {
                break;
            }
        }
        self.written.push(']');
        self.repeatable = true;
        Ok(())
    }

    fn member(&mut self, byte: u8) -> Result<(), RegexError> {
        if byte == b'[' && matches!(self.rest.first(), Some(b':' | b'.' | b'=')) {
            self.posix_class()?;
            return self.no_range();
        }
        match self.member_byte(byte)? {
            Escaped::Byte(first) => self.byte_or_range(first),
            class @ Escaped::Class(_) => {
                self.write_escaped(&class);
                self.no_range()
            }
        }
    }

    fn member_byte(&mut self, byte: u8) -> Result<Escaped, RegexError> {
        if byte == b'\\' { self.escaped() } else { Ok(Escaped::Byte(byte)) }
    }

    fn byte_or_range(&mut self, first: u8) -> Result<(), RegexError> {
        self.written.push_str(&format!("\\x{first:02X}"));
        if !self.is_range() {
            return Ok(());
        }
        self.takes(b"-");
        let byte = self.next().ok_or(NO_END)?;
        if byte == b'[' && matches!(self.rest.first(), Some(b':' | b'.' | b'=')) {
            return Err(RegexError::Malformed("a range ends in a class"));
        }
        match self.member_byte(byte)? {
            Escaped::Byte(last) if first <= last => self.written.push_str(&format!("-\\x{last:02X}")),
            Escaped::Byte(_) => return Err(RegexError::Malformed("the ends of a range are out of order")),
            Escaped::Class(_) => return Err(RegexError::Malformed("a range ends in a class")),
        }
        Ok(())
    }

    /// Whether a hyphen follows that is not the last member.
    fn is_range(&self) -> bool {
        matches!(self.rest, [b'-', next, ..] if *next != b']')
    }

    /// A hyphen behind a class is itself for some versions of PCRE and an error for others.
    fn no_range(&self) -> Result<(), RegexError> {
        if self.is_range() { Err(RegexError::Malformed("a range begins with a class")) } else { Ok(()) }
    }

    /// A class within a class, whose first bracket has been read.
    fn posix_class(&mut self) -> Result<(), RegexError> {
        const UNKNOWN: RegexError = RegexError::Malformed("a POSIX class is not known");
        let rest = self.rest.strip_prefix(b":").ok_or(UNKNOWN)?;
        let (negated, rest) = match rest.strip_prefix(b"^") {
            Some(rest) => ("^", rest),
            None => ("", rest),
        };
        let known = POSIX.iter().find_map(|name| {
            let rest = rest.strip_prefix(name.as_bytes())?.strip_prefix(b":]")?;
            Some((*name, rest))
        });
        let (name, rest) = known.ok_or(UNKNOWN)?;
        self.written.push_str(&format!("[:{negated}{name}:]"));
        self.rest = rest;
        Ok(())
    }
}
