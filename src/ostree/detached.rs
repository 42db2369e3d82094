//! What is said of a commit or a summary afterwards, `a{sv}`: the signatures (libostree `ostree-sign-*.c`, `ostree-gpg-verifier.c`).

use super::Error;
use super::variant_reader::{self, Member};

const GPG: &str = "ostree.gpgsigs";
const ED25519: &str = "ostree.sign.ed25519";
const SPKI: &str = "ostree.sign.spki";

/// More signatures than anybody makes.
const MOST: usize = 256;

/// Signatures over the bytes of the object, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// Detached OpenPGP signatures, binary.
    pub gpg: Vec<Vec<u8>>,
    /// 64 bytes each.
    pub ed25519: Vec<Vec<u8>>,
    pub spki: Vec<Vec<u8>>,
}

impl Signatures {
    /// Reads a `.commitmeta` object or a `summary.sig`; other keys are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |what| Error::Object { object: "commitmeta", len: bytes.len(), what };
        let signatures = Self::members(bytes).ok_or_else(|| broken("it is not an a{sv} with lists of signatures"))?;
        let count = signatures.gpg.len() + signatures.ed25519.len() + signatures.spki.len();
        if count > MOST { Err(broken("it has more than 256 signatures")) } else { Ok(signatures) }
    }

    fn members(bytes: &[u8]) -> Option<Self> {
        let mut signatures = Self::default();
        for entry in variant_reader::array(bytes, 8)? {
            let [key, value] = variant_reader::tuple(entry, [Member::Variable(1), Member::Variable(8)])?;
            let list = match variant_reader::string(key)? {
                GPG => &mut signatures.gpg,
                ED25519 => &mut signatures.ed25519,
                SPKI => &mut signatures.spki,
                _ => continue,
            };
            let ("aay", value) = variant_reader::variant(value)? else { return None };
            list.extend(variant_reader::array(value, 1)?.into_iter().map(<[u8]>::to_vec));
        }
        Some(signatures)
    }
}

#[cfg(test)]
mod tests {
    use super::super::variant::{Array, Tuple, variant};
    use super::*;

    fn commitmeta(key: &str, type_string: &str, value: &[u8]) -> Vec<u8> {
        let mut map = Array::new(8);
        map.push(&Tuple::new().string("other").variable(8, &variant("b", &[1])).finish());
        map.push(&Tuple::new().string(key).variable(8, &variant(type_string, value)).finish());
        map.finish()
    }

    #[test]
    fn signatures_are_found_beside_other_keys() {
        let mut list = Array::new(1);
        list.push(&[1, 2, 3]);
        list.push(&[4]);
        let read = Signatures::parse(&commitmeta(ED25519, "aay", &list.finish())).unwrap();
        assert_eq!(read.ed25519, [vec![1, 2, 3], vec![4]]);
        assert_eq!(Signatures::parse(&[]), Ok(Signatures::default()));
    }

    #[test]
    fn signatures_of_another_type_and_in_endless_numbers_are_refused() {
        assert!(Signatures::parse(&commitmeta(GPG, "s", b"x\0")).is_err());
        let mut list = Array::new(1);
        (0..300).for_each(|_| list.push(&[1]));
        assert!(Signatures::parse(&commitmeta(GPG, "aay", &list.finish())).is_err());
        assert!(Signatures::parse(&[0xff; 9]).is_err());
    }
}
