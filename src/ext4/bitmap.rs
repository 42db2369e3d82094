//! One block of a block or inode bitmap. ext4 docs, "Block and inode Bitmaps".

use super::BLOCK_BYTES;

/// Bits in a bitmap block.
pub const BITS: u32 = 32768;

/// A bit per block or inode of a group, lowest bit of the first byte first; 1 is in use.
pub struct Bitmap(pub [u8; BLOCK_BYTES]);

impl Bitmap {
    pub fn new() -> Bitmap {
        Bitmap([0; BLOCK_BYTES])
    }

    /// Marks the bits `start..end` used.
    pub fn set(&mut self, start: u32, end: u32) {
        let (mut bit, end) = (start as usize, end as usize);
        while bit < end && !bit.is_multiple_of(8) {
            self.0[bit / 8] |= 1 << (bit % 8);
            bit += 1;
        }
        if bit < end {
            self.0[bit / 8..end / 8].fill(0xff);
            self.set_low_bits(end);
        }
    }

    fn set_low_bits(&mut self, end: usize) {
        if !end.is_multiple_of(8) {
            self.0[end / 8] |= (1u8 << (end % 8)) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_marks_just_the_bits_asked_for() {
        for (start, end) in [(0, 0), (0, 1), (3, 5), (3, 8), (8, 16), (7, 17), (5, 32768), (32760, 32767), (9, 15)] {
            let mut bitmap = Bitmap::new();
            bitmap.set(start, end);
            for bit in 0..BITS {
                let marked = bitmap.0[bit as usize / 8] >> (bit % 8) & 1 == 1;
                assert_eq!(marked, (start..end).contains(&bit), "bit {bit} of {start}..{end}");
            }
        }
    }
}
