//! CRC-64 with the polynomial of ISO 3309, as Go's `hash/crc64` and so tar-split compute it.

/// x^64 + x^4 + x^3 + x + 1, reflected.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;
/// `TABLES[n][byte]`: the checksum of `byte` and `n` zeros behind it.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64; // below 256
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[n - 1][byte];
            tables[n][byte] = tables[0][(crc & 0xff) as usize] ^ crc >> 8;
            byte += 1;
        }
        n += 1;
    }
    tables
}

/// A checksum of what has been added so far.
#[derive(Clone, Copy, Debug)]
pub struct Crc64(u64);

impl Crc64 {
    pub fn new() -> Self {
        Self(!0)
    }

    /// Eight bytes at once, because payloads are as long as the layer.
    pub fn add(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let crc = (self.0 ^ u64::from_le_bytes(*eight)).to_le_bytes();
            self.0 = crc.iter().zip(TABLES.iter().rev()).fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            self.0 = TABLES[0][usize::from(self.0.to_le_bytes()[0] ^ byte)] ^ self.0 >> 8;
        }
    }

    /// In the order in which tar-split keeps it.
    pub fn bytes(self) -> [u8; 8] {
        (!self.0).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut crc = Crc64::new();
        crc.add(bytes);
        u64::from_be_bytes(crc.bytes())
    }

    /// Known to several libraries as the values of CRC-64/GO-ISO.
    #[test]
    fn checksums_are_those_of_go() {
        assert_eq!(of(b""), 0);
        assert_eq!(of(b"123456789"), 0xb909_56c7_75a4_1001);
        assert_eq!(of(b"12345678901234567890"), 0x8db9_3749_fb37_b446);
        assert_eq!(of(b"Introduction on CRC calculations"), 0xbaa8_1a1e_d1a9_209b);
    }

    #[test]
    fn pieces_do_not_show() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for at in 0..20 {
            let mut crc = Crc64::new();
            crc.add(&bytes[..at]);
            crc.add(&bytes[at..]);
            assert_eq!(u64::from_be_bytes(crc.bytes()), of(&bytes));
        }
    }
}
