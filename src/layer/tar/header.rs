//! One header block (POSIX.1-2001 pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format").

/// Headers, and the room of every file's data, are multiples of this.
pub const BLOCK: usize = 512;

/// A header block as it stands in the stream.
#[derive(Clone)]
pub struct Header(pub [u8; BLOCK]);

/// Which dialect the magic announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No magic.
    V7,
    /// `ustar`: has a name prefix.
    Ustar,
    /// `ustar  `: has times and a sparse map where the prefix is.
    Gnu,
}

/// Why a numeric field has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANumber {
    Malformed,
    OutOfRange,
}

impl Header {
    /// A block of zeros ends the archive.
    pub fn is_end(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    /// Old Sun tars summed signed bytes; every reader accepts both.
    pub fn checksum_is_right(&self) -> bool {
        let counted = |at: usize| if (148..156).contains(&at) { b' ' } else { self.0[at] };
        let unsigned: i64 = (0..BLOCK).map(|at| i64::from(counted(at))).sum();
        let signed: i64 = (0..BLOCK).map(|at| i64::from(counted(at).cast_signed())).sum();
        let stored = number(&self.0[148..156]).ok().and_then(|sum| i64::try_from(sum).ok());
        stored == Some(unsigned) || stored == Some(signed)
    }

    pub fn format(&self) -> Format {
        match &self.0[257..265] {
            b"ustar  \0" => Format::Gnu,
            magic if magic.starts_with(b"ustar") => Format::Ustar,
            _ => Format::V7,
        }
    }

    pub fn typeflag(&self) -> u8 {
        self.0[156]
    }

    /// With the prefix in front, if the format has one.
    pub fn name(&self) -> Vec<u8> {
        let name = until_nul(&self.0[..100]);
        let prefix = until_nul(&self.0[345..500]);
        if self.format() == Format::Ustar && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
    }

    pub fn linkname(&self) -> Vec<u8> {
        until_nul(&self.0[157..257]).to_vec()
    }

    pub fn mode(&self) -> &[u8] {
        &self.0[100..108]
    }

    pub fn uid(&self) -> &[u8] {
        &self.0[108..116]
    }

    pub fn gid(&self) -> &[u8] {
        &self.0[116..124]
    }

    pub fn size(&self) -> &[u8] {
        &self.0[124..136]
    }

    pub fn mtime(&self) -> &[u8] {
        &self.0[136..148]
    }
}

/// The bytes before the first NUL, or all.
pub fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal digits ended by a space, a NUL or the field; or base-256 when the first bit is set (GNU tar, star). Empty is zero.
pub fn number(field: &[u8]) -> Result<u64, NotANumber> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => base_256(first & 0x7f, rest),
        _ => octal(field),
    }
}

fn base_256(first: u8, rest: &[u8]) -> Result<u64, NotANumber> {
    if first & 0x40 != 0 {
        return Err(NotANumber::OutOfRange); // two's complement, negative
    }
    let shift_in = |value: u64, &byte: &u8| Some(value.checked_mul(256)? + u64::from(byte));
    rest.iter().try_fold(u64::from(first), shift_in).ok_or(NotANumber::OutOfRange)
}

fn octal(field: &[u8]) -> Result<u64, NotANumber> {
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|&byte| byte == 0 || byte == b' ').unwrap_or(digits.len());
    digits[..end].iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'7' => Ok(value.checked_mul(8).ok_or(NotANumber::OutOfRange)? + u64::from(digit - b'0')),
        _ => Err(NotANumber::Malformed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_fields_may_be_padded_on_both_sides() {
        for (field, value) in
            [(&b"0000644\0"[..], 0o644), (b"   644 \0", 0o644), (b"77777777", 0o77_777_777), (b"\0\0\0", 0)]
        {
            assert_eq!(number(field), Ok(value));
        }
        assert_eq!(number(b"12z\0"), Err(NotANumber::Malformed));
        assert_eq!(number(b"-1\0"), Err(NotANumber::Malformed));
    }

    #[test]
    fn base_256_carries_large_ids_and_refuses_negative_and_huge_ones() {
        assert_eq!(number(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe]), Ok(0xffff_fffe));
        assert_eq!(number(&[0xff; 8]), Err(NotANumber::OutOfRange));
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(NotANumber::OutOfRange));
        assert_eq!(number(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(u64::MAX));
    }
}
