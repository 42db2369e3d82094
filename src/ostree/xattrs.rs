//! Extended attributes as objects hold them: `a(ayay)`, sorted, each name once, no empty value.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Error;
use super::variant::{Array, Tuple};
use super::variant_reader::{self, Member};

/// A normalised set of extended attributes; cloning it is cheap. Names are without the trailing NUL that objects store.
///
/// Values are raw. That of `security.selinux` needs its own trailing NUL, which the caller provides: libostree stores the
/// context as a C string, and on a kernel without SELinux `fsck` sees just the bytes on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Xattrs(Arc<BTreeMap<Bytes, Bytes>>);

type Bytes = Box<[u8]>;

/// Roughly what a name and a value take in memory beside their bytes.
const PAIR: u64 = 128;

impl Xattrs {
    /// Normalises: of two values for one name the last wins; an empty value drops the name, because libostree skips such
    /// attributes when it reads a file back and would then call the object corrupt.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, Error> {
        let mut xattrs = BTreeMap::new();
        for (name, value) in pairs {
            let name = name.as_ref();
            if name.is_empty() || name.contains(&0) {
                return Err(Error::XattrName { name: String::from_utf8_lossy(name).into_owned() });
            }
            xattrs.insert(name.into(), value.as_ref().into());
        }
        xattrs.retain(|_, value: &mut Bytes| !value.is_empty());
        Ok(Self(Arc::new(xattrs)))
    }

    /// The same set with `name` set to `value` whatever it was before: how a policy's label replaces the layer's.
    pub fn with(&self, name: &str, value: &[u8]) -> Result<Self, Error> {
        Self::new(self.iter().chain([(name.as_bytes(), value)]))
    }

    /// Name and value, by name in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of `name`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(|value| &**value)
    }

    /// Roughly the bytes that they take in memory, each time they are written out.
    pub fn weight(&self) -> u64 {
        self.iter().map(|(name, value)| PAIR + (name.len() + value.len()) as u64).sum() // usize has at most 64 bits
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `a(ayay)`: names with a trailing NUL, values raw.
    pub fn bytes(&self) -> Vec<u8> {
        let mut pairs = Array::new(1);
        for (name, value) in self.iter() {
            pairs.push(&Tuple::new().variable(1, &[name, b"\0"].concat()).variable(1, value).finish());
        }
        pairs.finish()
    }

    /// Reads a `.file-xattrs` object, which is `a(ayay)`; refuses what is not in normal form.
    pub fn parse_object(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |what| Error::Object { object: "file-xattrs", len: bytes.len(), what };
        let xattrs = Self::parse(bytes).ok_or_else(|| broken("it is not an a(ayay)"))?;
        if xattrs.bytes() != bytes {
            return Err(broken("it is not in normal form, or its xattrs are unsorted, repeated or empty"));
        }
        Ok(xattrs)
    }

    /// Reads `a(ayay)`; order, duplicates and empty values are left to the comparison with `bytes()`.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut pairs = Vec::new();
        for pair in variant_reader::array(bytes, 1)? {
            let [name, value] = variant_reader::tuple(pair, [Member::Variable(1), Member::Variable(1)])?;
            pairs.push((name.strip_suffix(b"\0")?, value));
        }
        Self::new(pairs).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xattrs_are_sorted_by_bytes_whatever_order_they_come_in() {
        let xattrs = Xattrs::new([("user.b", "2"), ("user.a", "1"), ("user.Z", "0")]).unwrap();
        let names: Vec<_> = xattrs.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"user.Z", b"user.a", b"user.b"]);
    }

    #[test]
    fn empty_xattr_values_are_dropped_before_hashing() {
        assert_eq!(Xattrs::new([("user.empty", "")]), Ok(Xattrs::default()));
        assert!(Xattrs::default().bytes().is_empty());
    }

    #[test]
    fn of_duplicate_xattr_names_the_last_is_kept() {
        let xattrs = Xattrs::new([("security.selinux", "from the layer\0")]).unwrap();
        let labelled = xattrs.with("security.selinux", b"from the policy\0").unwrap();
        assert_eq!(labelled.iter().collect::<Vec<_>>(), [(&b"security.selinux"[..], &b"from the policy\0"[..])]);
    }

    #[test]
    fn names_that_libostree_cannot_store_are_refused() {
        assert!(Xattrs::new([("", "1")]).is_err());
        assert!(Xattrs::new([("user.a\0b", "1")]).is_err());
    }

    #[test]
    fn a_newline_in_a_value_stays() {
        let xattrs = Xattrs::new([("user.a", "1\n2")]).unwrap();
        assert_eq!(Xattrs::parse(&xattrs.bytes()), Some(xattrs));
    }
}
