//! Extended headers: records `LENGTH KEY=VALUE\n` (POSIX.1-2001 pax, "pax Extended Header").
//!
//! The length delimits a record, not the newline: values of xattrs hold any byte.

use std::collections::BTreeMap;

use super::sparse::Segment;

/// The records of the extended headers that apply to a file, in their order.
#[derive(Clone, Debug, Default)]
pub struct Records(Vec<(Key, Value)>);

type Key = Box<[u8]>;
type Value = Box<[u8]>;

/// Name and value.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// The kernel's XATTR_SIZE_MAX and XATTR_NAME_MAX.
const XATTR_VALUE: usize = 65_536;
const XATTR_NAME: usize = 255;

/// Each takes more memory than it has bytes. Sparse files of the format 0.0 have two for each piece.
const MOST: usize = 1 << 17;

impl Records {
    /// Reads all records of one extended header. The error says what is wrong.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (record, rest) = split_record(bytes)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or("a record has no `=`")?;
            if records.len() == MOST {
                return Err("it has more than 131072 records");
            }
            records.push((record[..equals].into(), record[equals + 1..].into()));
            bytes = rest;
        }
        Ok(Self(records))
    }

    /// These records, then `later` ones, which win.
    pub fn followed_by(&self, later: Self) -> Self {
        if self.0.is_empty() {
            return later;
        }
        Self(self.0.iter().cloned().chain(later.0).collect())
    }

    /// As [`Self::followed_by`], with one record for each key: nobody asks for those before.
    pub fn replaced_by(self, later: Self) -> Self {
        let newest: BTreeMap<Key, Value> = self.0.into_iter().chain(later.0).collect();
        Self(newest.into_iter().collect())
    }

    /// Bytes of all keys and values.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum() // usize has at most 64 bits
    }

    /// The last value of `key`; an empty one means that the key is not set.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().rev().find(|(name, _)| **name == *key.as_bytes())?;
        (!value.is_empty()).then_some(value)
    }

    /// The last value of `key` as decimal number.
    pub fn number(&self, key: &str) -> Result<Option<u64>, &'static str> {
        self.get(key).map(decimal).transpose()
    }

    /// `SCHILY.xattr.NAME`; when there is none of them, `LIBARCHIVE.xattr.NAME` (name with `%XX`, value in base64).
    pub fn xattrs(&self) -> Result<Vec<Xattr>, &'static str> {
        let schily: Vec<_> = self.with_prefix(b"SCHILY.xattr.").map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        let xattrs = if schily.is_empty() { self.libarchive_xattrs()? } else { schily };
        for (name, value) in &xattrs {
            if name.is_empty() || name.len() > XATTR_NAME || name.contains(&0) {
                return Err("the name of an xattr is empty, longer than 255 bytes or contains a NUL byte");
            }
            if value.len() > XATTR_VALUE {
                return Err("the value of an xattr is longer than 65536 bytes");
            }
        }
        Ok(xattrs)
    }

    fn libarchive_xattrs(&self) -> Result<Vec<Xattr>, &'static str> {
        let decode = |(name, value)| Some((percent_decode(name)?, base64_decode(value)?));
        let xattrs = self.with_prefix(b"LIBARCHIVE.xattr.").map(decode).collect::<Option<_>>();
        xattrs.ok_or("an xattr in libarchive's form is not encoded as it should")
    }

    fn with_prefix<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, &**value)))
    }

    /// The pairs of `GNU.sparse.offset` and `GNU.sparse.numbytes` of the sparse format 0.0.
    pub fn sparse_pairs(&self) -> Result<Vec<Segment>, &'static str> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut offset = None;
        for (key, value) in &self.0 {
            match &**key {
                b"GNU.sparse.offset" => offset = Some(decimal(value)?),
                b"GNU.sparse.numbytes" => {
                    let offset = offset.take().ok_or("a GNU.sparse.numbytes has no GNU.sparse.offset")?;
                    segments.push(Segment { offset, len: decimal(value)? });
                }
                _ => {}
            }
        }
        Ok(segments)
    }
}

/// The first record without length and newline, and what follows it.
fn split_record(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let space = bytes.iter().take(21).position(|&byte| byte == b' ').ok_or("a record has no length")?;
    let length = usize::try_from(decimal(&bytes[..space])?).map_err(|_| "a record is longer than memory")?;
    let record = bytes.get(space + 1..length).ok_or("a record is longer than its header")?;
    let record = record.strip_suffix(b"\n").ok_or("a record does not end with a newline")?;
    Ok((record, &bytes[length..]))
}

/// Decimal digits and nothing else.
pub fn decimal(digits: &[u8]) -> Result<u64, &'static str> {
    const WRONG: &str = "a value is not a decimal number below 2^64";
    if digits.is_empty() {
        return Err(WRONG);
    }
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0'))).ok_or(WRONG),
        _ => Err(WRONG),
    })
}

fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    Some(bytes)
}

/// libarchive writes no `=` at the end.
fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let digits: Vec<u32> = text.iter().take_while(|&&c| c != b'=').map(|&c| base64_digit(c)).collect::<Option<_>>()?;
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend_from_slice(bits.to_be_bytes()[1..].get(..group.len() - 1)?);
    }
    Some(bytes)
}

fn base64_digit(c: u8) -> Option<u32> {
    let digit = match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_newlines_nuls_and_equals_signs() {
        let records = Records::parse(b"28 SCHILY.xattr.user.a=\n=\0b\n11 path=ab\n").unwrap();
        assert_eq!(records.xattrs().unwrap(), [(b"user.a".to_vec(), b"\n=\0b".to_vec())]);
        assert_eq!(records.get("path"), Some(&b"ab"[..]));
    }

    #[test]
    fn a_later_record_wins_and_an_empty_one_unsets() {
        let global = Records::parse(b"11 path=ab\n9 size=1\n").unwrap();
        let all = global.followed_by(Records::parse(b"8 path=\n9 size=2\n").unwrap());
        assert_eq!((all.get("path"), all.number("size")), (None, Ok(Some(2))));
    }

    #[test]
    fn xattrs_in_libarchives_form_count_only_without_the_other_form() {
        let libarchive = "33 LIBARCHIVE.xattr.user.%c3=AAE\n";
        let both = [libarchive, "25 SCHILY.xattr.user.b=1\n"].concat();
        let xattrs = |text: &str| Records::parse(text.as_bytes()).unwrap().xattrs().unwrap();
        assert_eq!(xattrs(libarchive), [(b"user.\xc3".to_vec(), vec![0, 1])]);
        assert_eq!(xattrs(&both), [(b"user.b".to_vec(), b"1".to_vec())]);
    }

    #[test]
    fn records_that_lie_about_their_length_are_refused() {
        for text in
            ["5 a=1\n", "99 a=1\n", "6 a=1", "0 \n", " a=1\n", "18446744073709551615 a=\n", "2 ", "4 a\n", "-6 a=1\n"]
        {
            assert!(Records::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Records::parse(b"6 a=1\n").is_ok());
    }
}
