//! Writes GVariant in normal form ("GVariant Specification", little-endian containers), only the shapes ostree has.
//!
//! Every container here is of variable size, so none is padded at its end. Reading is `variant_reader`.

/// A tuple or a dict entry under construction: `(…)`, `{…}`.
#[derive(Default)]
pub struct Tuple {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    ends_variable: bool,
}

impl Tuple {
    /// A tuple without members yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a number; its alignment is its size. The caller chooses the byte order: ostree's own numbers are big-endian.
    pub fn fixed<const SIZE: usize>(mut self, number: [u8; SIZE]) -> Self {
        pad(&mut self.bytes, SIZE);
        self.bytes.extend(number);
        self.ends_variable = false;
        self
    }

    /// Adds a serialised member of variable size.
    pub fn variable(mut self, alignment: usize, member: &[u8]) -> Self {
        pad(&mut self.bytes, alignment);
        self.bytes.extend(member);
        self.ends.push(self.bytes.len());
        self.ends_variable = true;
        self
    }

    /// Adds a string: its bytes and a NUL.
    pub fn string(self, text: &str) -> Self {
        self.variable(1, &string(text))
    }

    /// Appends the framing offsets, the last member's end first; a variable member in last place needs none.
    pub fn finish(mut self) -> Vec<u8> {
        if self.ends_variable {
            self.ends.pop();
        }
        self.ends.reverse();
        frame(self.bytes, &self.ends)
    }
}

/// An array of elements of variable size under construction.
pub struct Array {
    alignment: usize,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Array {
    /// An empty array whose elements have this alignment.
    pub fn new(alignment: usize) -> Self {
        Self { alignment, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Adds one serialised element.
    pub fn push(&mut self, element: &[u8]) {
        pad(&mut self.bytes, self.alignment);
        self.bytes.extend(element);
        self.ends.push(self.bytes.len());
    }

    /// Appends the framing offsets; an empty array is zero bytes.
    pub fn finish(self) -> Vec<u8> {
        frame(self.bytes, &self.ends)
    }
}

/// A serialised `s`.
pub fn string(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// A serialised `v`: the child, a NUL, the child's type.
pub fn variant(type_string: &str, child: &[u8]) -> Vec<u8> {
    [child, b"\0", type_string.as_bytes()].concat()
}

/// Width of the framing offsets in a container of `len` bytes in all.
pub fn offset_width(len: usize) -> usize {
    match len {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn frame(mut bytes: Vec<u8>, ends: &[usize]) -> Vec<u8> {
    let fits = |width: &usize| offset_width(bytes.len() + ends.len() * width) <= *width;
    let width = [1, 2, 4].into_iter().find(fits).unwrap_or(8);
    for end in ends {
        bytes.extend(&end.to_le_bytes()[..width]);
    }
    bytes
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_that_its_offsets_push_over_255_bytes_has_two_byte_offsets() {
        let array = |element: usize| {
            let mut array = Array::new(1);
            array.push(&vec![7; element]);
            array.finish()
        };
        assert_eq!(array(254).len(), 255);
        assert_eq!(array(255).len(), 257);
        assert_eq!(array(255)[255..], [255, 0]);
        assert_eq!(array(65_533).len(), 65_535);
        assert_eq!(array(65_534).len(), 65_538);
    }

    #[test]
    fn offsets_of_a_tuple_come_in_reverse_and_skip_the_last_member() {
        let tuple = Tuple::new().string("ab").string("c").string("d").finish();
        assert_eq!(tuple, b"ab\0c\0d\0\x05\x03");
        let fixed_last = Tuple::new().string("ab").fixed([1, 2]).finish();
        assert_eq!(fixed_last, b"ab\0\0\x01\x02\x03");
    }
}
