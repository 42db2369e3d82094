//! Takes GVariant containers apart: bounded by the bytes given, never panics ("GVariant Specification").
//!
//! Lenient about padding and order: whoever parses an object serialises it again and compares, which leaves only normal
//! form.

use super::variant::offset_width;

/// How the serialised form of one member of a tuple is found.
#[derive(Clone, Copy, Debug)]
pub enum Member {
    /// A number of this many bytes, aligned to its size.
    Fixed(usize),
    /// Anything of variable size, with its alignment.
    Variable(usize),
}

/// The bytes of every member of a tuple, or `None` when its framing offsets lead outside or backwards.
pub fn tuple<const N: usize>(bytes: &[u8], shape: [Member; N]) -> Option<[&[u8]; N]> {
    let width = offset_width(bytes.len());
    let before_last = &shape[..N.saturating_sub(1)];
    let offsets = before_last.iter().filter(|member| matches!(member, Member::Variable(_))).count();
    let body_end = bytes.len().checked_sub(offsets * width)?;
    let mut next_offset = bytes.len();
    let mut start = 0_usize;
    let mut members = [&bytes[..0]; N];
    for (index, member) in shape.into_iter().enumerate() {
        let (alignment, end) = match member {
            Member::Fixed(size) => (size, start.checked_next_multiple_of(size)?.checked_add(size)?),
            Member::Variable(alignment) if index + 1 == N => (alignment, body_end),
            Member::Variable(alignment) => {
                next_offset -= width; // As many as body_end already made room for.
                (alignment, offset(bytes, next_offset, width)?)
            }
        };
        start = start.checked_next_multiple_of(alignment)?;
        members[index] = bytes.get(start..end).filter(|_| end <= body_end)?;
        start = end;
    }
    Some(members)
}

/// The bytes of every element of an array of elements of variable size.
pub fn array(bytes: &[u8], alignment: usize) -> Option<Vec<&[u8]>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let width = offset_width(bytes.len());
    let body_end = offset(bytes, bytes.len().checked_sub(width)?, width)?;
    let frame = bytes.get(body_end..)?;
    if frame.len() % width != 0 {
        return None;
    }
    let mut start = 0_usize;
    let mut elements = Vec::with_capacity(frame.len() / width);
    for at in (0..frame.len()).step_by(width) {
        let end = offset(frame, at, width)?;
        start = start.checked_next_multiple_of(alignment)?;
        elements.push(bytes.get(start..end)?);
        start = end;
    }
    Some(elements)
}

/// The text of a serialised `s`.
pub fn string(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes.strip_suffix(b"\0")?).ok()?;
    (!text.contains('\0')).then_some(text)
}

/// Type string and child of a serialised `v`.
pub fn variant(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let nul = bytes.iter().rposition(|&byte| byte == 0)?;
    Some((std::str::from_utf8(&bytes[nul + 1..]).ok()?, &bytes[..nul]))
}

/// Takes a number off the front of `bytes`, seven bits a byte, the lowest first (libostree `ostree-varint.c`).
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits.checked_shl(shift)? >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn offset(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let mut number = [0; 8];
    number[..width].copy_from_slice(bytes.get(at..at.checked_add(width)?)?);
    usize::try_from(u64::from_le_bytes(number)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::variant::{Array, Tuple};
    use super::*;

    const STRING_NUMBER_STRING: [Member; 3] = [Member::Variable(1), Member::Fixed(4), Member::Variable(1)];

    #[test]
    fn what_was_written_is_read() {
        let bytes = Tuple::new().string("key").fixed([1, 2, 3, 4]).string("value").finish();
        let [key, number, value] = tuple(&bytes, STRING_NUMBER_STRING).unwrap();
        assert_eq!((string(key), number, string(value)), (Some("key"), &[1, 2, 3, 4][..], Some("value")));
    }

    #[test]
    fn an_array_of_300_bytes_is_read_with_two_byte_offsets() {
        let mut strings = Array::new(1);
        let texts = ["x".repeat(290), String::new(), "y".to_owned()];
        texts.iter().for_each(|text| strings.push(text.as_bytes()));
        assert_eq!(array(&strings.finish(), 1).unwrap(), texts.each_ref().map(|text| text.as_bytes()));
    }

    #[test]
    fn varints_of_more_than_64_bits_are_refused() {
        let read = |bytes: &[u8]| varint(&mut &bytes[..]);
        assert_eq!((read(&[0x7f]), read(&[0xac, 0x02])), (Some(127), Some(300)));
        let most = [&[0xff; 9][..], &[1]].concat();
        assert_eq!((read(&most), read(&[&[0xff; 9][..], &[2]].concat()), read(&[0x80])), (Some(u64::MAX), None, None));
    }

    #[test]
    fn offsets_that_lead_outside_or_backwards_are_refused() {
        assert!(array(&[0xff], 1).is_none());
        assert!(array(&[7, 7, 2, 1, 2], 1).is_none());
        assert!(tuple(&[0xff], STRING_NUMBER_STRING).is_none());
        assert!(tuple(&[], STRING_NUMBER_STRING).is_none());
    }
}
