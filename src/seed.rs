//! The one door through which chance comes in: every UUID, hash seed, volume id and salt of a disk is drawn from its `Seed`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// 32 bytes that stand for one disk. The same request for the same image gives the same seed, and so the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed of a list of named facts. Names and values are length-prefixed, so no two lists collide by joining.
    pub fn of(facts: &[(&str, &[u8])]) -> Seed {
        let mut hash = Sha256::new();
        hash.update(b"bootwright seed 1\0");
        for part in facts.iter().flat_map(|(name, value)| [name.as_bytes(), value]) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        Seed(hash.finalize().into())
    }

    /// 32 bytes for one purpose; different labels are independent.
    pub fn bytes(&self, label: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(label.as_bytes());
        hash.finalize().into()
    }

    /// A version 8 UUID (RFC 9562 §5.8: custom, here from a hash) for one purpose.
    pub fn uuid(&self, label: &str) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.bytes(label)[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// A 32-bit number for one purpose, as FAT's volume id.
    pub fn number(&self, label: &str) -> u32 {
        let [a, b, c, d, ..] = self.bytes(label);
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a seed: 64 hexadecimal digits are")]
pub struct SeedError(String);

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Seed, SeedError> {
        let wrong = || SeedError(text.to_owned());
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut seed = [0; 32];
        for (byte, digits) in seed.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Seed(seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_independent_and_facts_do_not_run_together() {
        let seed = Seed::of(&[("layout", b"x86_64")]);
        assert_ne!(seed.uuid("filesystem/root"), seed.uuid("filesystem/boot"));
        assert_ne!(Seed::of(&[("a", b"bc")]), Seed::of(&[("ab", b"c")]));
        assert_eq!(seed.uuid("disk").get_version_num(), 8);
    }

    #[test]
    fn a_printed_seed_reads_back() {
        let seed = Seed::of(&[]);
        assert_eq!(seed.to_string().parse(), Ok(seed));
        assert!("12".parse::<Seed>().is_err());
        assert!("zz".repeat(32).parse::<Seed>().is_err());
    }
}
