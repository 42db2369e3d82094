//! The regular expressions of a policy, from PCRE's spelling (pcre2pattern(3)) to that of the `regex` family.
//!
//! Both spell most things alike, and some alike that mean something else: so every construct is read here and written
//! anew, and one that is not known is refused. What decides is only whether an expression matches, not how, which is why
//! groups catch nothing and lazy quantifiers are plain ones.

mod class;

/// Why an expression is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    #[error("`{0}` is not supported")]
    Unsupported(String),
    #[error("{0}")]
    Malformed(&'static str),
}

/// The most that PCRE repeats.
const REPEAT_LIMIT: u32 = 65535;

/// What matches a whole path exactly when `^regex$` is found in it, which is what libselinux asks PCRE for.
///
/// The two differ where alternatives are not in a group: `^` then belongs to the first and `$` to the last alone.
pub fn translate(regex: &str) -> Result<String, RegexError> {
    let mut translator = Translator {
        rest: regex.as_bytes(),
        written: String::with_capacity(2 * regex.len()),
        depth: 0,
        repeatable: false,
    };
    while let Some(byte) = translator.next() {
        translator.item(byte)?;
    }
    if translator.depth > 0 {
        return Err(RegexError::Malformed("a group does not end"));
    }
    Ok(translator.written)
}

struct Translator<'a> {
    rest: &'a [u8],
    written: String,
    /// Groups that are open.
    depth: usize,
    /// Whether a quantifier may follow.
    repeatable: bool,
}

/// What a backslash and the character behind it mean.
enum Escaped {
    Byte(u8),
    /// A class of characters that both spell alike.
    Class(char),
}

impl Translator<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn takes(&mut self, word: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn item(&mut self, byte: u8) -> Result<(), RegexError> {
        match byte {
            b'\\' => {
                let escaped = self.escaped()?;
                self.write_escaped(&escaped);
                self.repeatable = true;
            }
            b'[' => self.class()?,
            b'(' => self.open_group()?,
            b')' => self.close_group()?,
            b'|' => self.alternative(),
            b'*' | b'+' | b'?' => self.quantifier(char::from(byte).to_string())?,
            b'{' => self.brace()?,
            b'^' | b'$' => {
                self.written.push(char::from(byte));
                self.repeatable = false;
            }
            b'.' => {
                self.written.push('.');
                self.repeatable = true;
            }
            byte => self.itself(byte),
        }
        Ok(())
    }

    fn itself(&mut self, byte: u8) {
        self.write_byte(byte);
        self.repeatable = true;
    }

    fn write_byte(&mut self, byte: u8) {
        match byte {
            b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => self.written.push(char::from(byte)),
            byte => self.written.push_str(&format!("\\x{byte:02X}")),
        }
    }

    fn write_escaped(&mut self, escaped: &Escaped) {
        match escaped {
            Escaped::Byte(byte) => self.write_byte(*byte),
            Escaped::Class(letter) => self.written.extend(['\\', *letter]),
        }
    }

    /// What follows a backslash: before what is no letter and no digit it only takes its meaning away.
    fn escaped(&mut self) -> Result<Escaped, RegexError> {
        let byte = self.next().ok_or(RegexError::Malformed("nothing follows the last backslash"))?;
        Ok(match byte {
            b'd' | b'D' | b's' | b'S' | b'w' | b'W' => Escaped::Class(char::from(byte)),
            b'a' => Escaped::Byte(0x07),
            b'e' => Escaped::Byte(0x1b),
            b'f' => Escaped::Byte(0x0c),
            b'n' => Escaped::Byte(b'\n'),
            b'r' => Escaped::Byte(b'\r'),
            b't' => Escaped::Byte(b'\t'),
            byte if byte.is_ascii_alphanumeric() => {
                return Err(RegexError::Unsupported(format!("\\{}", char::from(byte))));
            }
            byte => Escaped::Byte(byte),
        })
    }

    fn open_group(&mut self) -> Result<(), RegexError> {
        if !self.takes(b"?:") && matches!(self.rest.first(), Some(b'?' | b'*')) {
            let shown: String = self.rest.iter().take(3).copied().map(char::from).collect();
            return Err(RegexError::Unsupported(format!("({shown}")));
        }
        self.written.push_str("(?:");
        self.depth += 1;
        self.repeatable = false;
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        self.depth = self.depth.checked_sub(1).ok_or(RegexError::Malformed("a group ends that did not begin"))?;
        self.written.push(')');
        self.repeatable = true;
        Ok(())
    }

    fn alternative(&mut self) {
        self.written.push_str(if self.depth == 0 { ".*|.*" } else { "|" });
        self.repeatable = false;
    }

    fn quantifier(&mut self, quantifier: String) -> Result<(), RegexError> {
        if !self.repeatable {
            return Err(RegexError::Malformed("a quantifier has nothing to repeat"));
        }
        if self.rest.starts_with(b"+") {
            return Err(RegexError::Unsupported(format!("{quantifier}+")));
        }
        self.takes(b"?");
        self.written.push_str(&quantifier);
        self.repeatable = false;
        Ok(())
    }

    /// `{n}`, `{n,}` and `{n,m}` repeat, any other brace is itself.
    fn brace(&mut self) -> Result<(), RegexError> {
        let Some(inside) = self.rest.iter().position(|byte| *byte == b'}').map(|end| &self.rest[..end]) else {
            self.itself(b'{');
            return Ok(());
        };
        let inside = String::from_utf8_lossy(inside).into_owned();
        let (least, most) = inside.split_once(',').map_or((&*inside, None), |(least, most)| (least, Some(most)));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(least) || !most.is_none_or(digits) || (least.is_empty() && most.is_none_or(str::is_empty)) {
            self.itself(b'{');
            return Ok(());
        }
        if least.is_empty() {
            // Itself for PCRE2 before 10.43, a quantifier since.
            return Err(RegexError::Unsupported(format!("{{{inside}}}")));
        }
        let count = |text: &str| {
            let count = text.parse::<u32>().ok().filter(|count| *count <= REPEAT_LIMIT);
            count.ok_or(RegexError::Malformed("a quantifier is too large"))
        };
        let least = count(least)?;
        if let Some(most) = most.filter(|most| !most.is_empty())
            && count(most)? < least
        {
            return Err(RegexError::Malformed("the numbers of a quantifier are out of order"));
        }
        self.rest = &self.rest[inside.len() + 1..];
        self.quantifier(format!("{{{inside}}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsupported(regex: &str, shown: &str) {
        assert_eq!(translate(regex), Err(RegexError::Unsupported(shown.to_owned())), "{regex}");
    }

    #[test]
    fn what_both_spell_alike_stays() {
        assert_eq!(translate("/usr/(.*/)?lib(64)?/[^/]+").unwrap(), r"/usr/(?:.*/)?lib(?:64)?/[^\x2F]+");
        assert_eq!(translate(r"/a\.so(\d{2,3})*").unwrap(), r"/a\x2Eso(?:\d{2,3})*");
        assert_eq!(translate("a*?b??").unwrap(), "a*b?");
    }

    #[test]
    fn what_one_of_them_takes_for_more_is_itself() {
        assert_eq!(translate(r"\<\-\/\@\_").unwrap(), r"\x3C\x2D/\x40\x5F");
        assert_eq!(translate("a{x}{,}{").unwrap(), r"a\x7Bx\x7D\x7B\x2C\x7D\x7B");
        assert_eq!(translate("[]a&&b-]").unwrap(), r"[\x5D\x61\x26\x26\x62\x2D]");
    }

    #[test]
    fn alternatives_outside_of_groups_are_anchored_at_one_end() {
        assert_eq!(translate("/a|/b|(c|d)").unwrap(), "/a.*|.*/b.*|.*(?:c|d)");
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        unsupported("/a(?=b)", "(?=b");
        unsupported("/a(?i)b", "(?i)");
        unsupported("(*UTF)a", "(*UT");
        unsupported(r"(a)\1", r"\1");
        unsupported(r"\bfoo", r"\b");
        unsupported("a++", "++");
        unsupported("a{,3}", "{,3}");
    }

    #[test]
    fn what_pcre_refuses_is_refused() {
        for regex in
            ["(a", "a)", "[a", "*a", "a**", "(|?)", "a\\", "a{3,2}", "a{65536}", "[b-a]", "[[:word]", "[[:no:]]"]
        {
            assert!(matches!(translate(regex), Err(RegexError::Malformed(_))), "{regex}: {:?}", translate(regex));
        }
    }
}
