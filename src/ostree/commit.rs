//! Commit objects `(a{sv}aya(say)sstayay)` (libostree `ostree-core.h`).

use std::fmt;

use super::metadata::read_checksum;
use super::variant::{self, Array, Tuple};
use super::variant_reader::{self, Member};
use super::{Checksum, Error};

/// The value of one metadata key of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Type `s`.
    String(String),
    /// Type `b`.
    Bool(bool),
    /// Type `ay`.
    Bytes(Vec<u8>),
    /// Any other type, kept as it was found.
    Other { type_string: String, serialised: Vec<u8> },
}

/// A commit. `metadata` is written in the order given: libostree does not sort it, ostree-ext writes in byte order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub metadata: Vec<(String, Value)>,
    pub parent: Option<Checksum>,
    pub subject: String,
    pub body: String,
    /// Seconds since 1970; before that the two's complement is stored.
    pub timestamp: i64,
    pub root_tree: Checksum,
    pub root_meta: Checksum,
}

impl Commit {
    /// The serialised object. There are never related objects.
    pub fn bytes(&self) -> Vec<u8> {
        let mut metadata = Array::new(8);
        for (key, value) in &self.metadata {
            metadata.push(&Tuple::new().string(key).variable(8, &value.variant()).finish());
        }
        Tuple::new()
            .variable(8, &metadata.finish())
            .variable(1, self.parent.as_ref().map_or(&[], |parent| &parent.0))
            .variable(1, &[])
            .string(&self.subject)
            .string(&self.body)
            .fixed(self.timestamp.to_be_bytes())
            .variable(1, &self.root_tree.0)
            .variable(1, &self.root_meta.0)
            .finish()
    }

    /// The commit id.
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.bytes())
    }

    /// The string under `key`, if there is one of that type.
    pub fn string(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find_map(|(name, value)| match value {
            Value::String(text) if name == key => Some(text.as_str()),
            _ => None,
        })
    }

    /// The texts under `key` (type `as`), if there are any of that type.
    pub fn strings(&self, key: &str) -> Option<Vec<&str>> {
        self.metadata.iter().find_map(|(name, value)| match value {
            Value::Other { type_string, serialised } if name == key && type_string == "as" => strings(serialised),
            _ => None,
        })
    }

    /// How much there is to fetch, where the commit says so (`ostree.sizes`, `aay`: a checksum, then two numbers a object).
    pub fn sizes(&self) -> Option<Sizes> {
        self.metadata.iter().find_map(|(name, value)| match value {
            Value::Other { type_string, serialised } if name == "ostree.sizes" && type_string == "aay" => {
                let mut sizes = Sizes::default();
                variant_reader::array(serialised, 1)?.into_iter().try_for_each(|entry| sizes.add(entry))?;
                Some(sizes)
            }
            _ => None,
        })
    }

    /// Reads a commit object; refuses related objects, and anything not in normal form.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |what| Error::Object { object: "commit", len: bytes.len(), what };
        let commit = Self::members(bytes).ok_or_else(|| broken("it is not a (a{sv}aya(say)sstayay)"))?;
        if commit.metadata.iter().any(|(key, _)| key.is_empty()) {
            return Err(broken("it has an empty metadata key"));
        }
        if commit.bytes() != bytes {
            return Err(broken("it is not in normal form, or lists related objects"));
        }
        Ok(commit)
    }

    fn members(bytes: &[u8]) -> Option<Self> {
        const VARIABLE: Member = Member::Variable(1);
        let shape = [Member::Variable(8), VARIABLE, VARIABLE, VARIABLE, VARIABLE, Member::Fixed(8), VARIABLE, VARIABLE];
        let [metadata, parent, _related, subject, body, timestamp, root_tree, root_meta] =
            variant_reader::tuple(bytes, shape)?;
        Some(Self {
            metadata: variant_reader::array(metadata, 8)?.into_iter().map(read_entry).collect::<Option<_>>()?,
            parent: if parent.is_empty() { None } else { Some(read_checksum(parent)?) },
            subject: variant_reader::string(subject)?.to_owned(),
            body: variant_reader::string(body)?.to_owned(),
            timestamp: i64::from_be_bytes(timestamp.try_into().ok()?),
            root_tree: read_checksum(root_tree)?,
            root_meta: read_checksum(root_meta)?,
        })
    }
}

/// Of all objects of a commit together, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// As they lie in an archive.
    pub archived: u64,
    pub unpacked: u64,
}

impl Sizes {
    fn add(&mut self, entry: &[u8]) -> Option<()> {
        let mut numbers = entry.get(32..)?;
        self.archived = self.archived.checked_add(variant_reader::varint(&mut numbers)?)?;
        self.unpacked = self.unpacked.checked_add(variant_reader::varint(&mut numbers)?)?;
        Some(())
    }
}

impl fmt::Display for Value {
    /// For people: texts and numbers as they are, of anything else how much there is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Bool(value) => value.fmt(f),
            Self::Bytes(bytes) => write!(f, "<{} bytes>", bytes.len()),
            Self::Other { type_string, serialised } => match (type_string.as_str(), strings(serialised)) {
                ("as", Some(texts)) => f.write_str(&texts.join(", ")),
                _ => write!(f, "<{} bytes of the type {type_string}>", serialised.len()),
            },
        }
    }
}

/// The texts of a serialised `as`.
fn strings(bytes: &[u8]) -> Option<Vec<&str>> {
    variant_reader::array(bytes, 1)?.into_iter().map(variant_reader::string).collect()
}

impl Value {
    fn variant(&self) -> Vec<u8> {
        match self {
            Self::String(text) => variant::variant("s", &variant::string(text)),
            Self::Bool(value) => variant::variant("b", &[u8::from(*value)]),
            Self::Bytes(bytes) => variant::variant("ay", bytes),
            Self::Other { type_string, serialised } => variant::variant(type_string, serialised),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(match variant_reader::variant(bytes)? {
            ("s", text) => Self::String(variant_reader::string(text)?.to_owned()),
            ("b", [byte @ (0 | 1)]) => Self::Bool(*byte == 1),
            ("b", _) => return None,
            ("ay", bytes) => Self::Bytes(bytes.to_owned()),
            (type_string, child) => Self::Other { type_string: type_string.to_owned(), serialised: child.to_owned() },
        })
    }
}

fn read_entry(bytes: &[u8]) -> Option<(String, Value)> {
    let [key, value] = variant_reader::tuple(bytes, [Member::Variable(1), Member::Variable(8)])?;
    Some((variant_reader::string(key)?.to_owned(), Value::read(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(timestamp: i64) -> Commit {
        let metadata = vec![
            ("z".to_owned(), Value::String("last key first".to_owned())),
            ("a".to_owned(), Value::Bytes(vec![0, 1, 2])),
            ("b".to_owned(), Value::Bool(false)),
            ("t".to_owned(), Value::Other { type_string: "t".to_owned(), serialised: vec![9; 8] }),
        ];
        let (subject, body) = ("subject".to_owned(), "body".to_owned());
        Commit {
            metadata,
            parent: Some(Checksum([3; 32])),
            subject,
            body,
            timestamp,
            root_tree: Checksum([1; 32]),
            root_meta: Checksum([2; 32]),
        }
    }

    #[test]
    fn timestamps_before_1970_are_stored_in_twos_complement() {
        let bytes = commit(-1).bytes();
        assert!(bytes.windows(8).any(|window| window == [0xff; 8]));
        assert_eq!(Commit::parse(&bytes).unwrap().timestamp, -1);
    }

    #[test]
    fn metadata_keeps_its_order() {
        let parsed = Commit::parse(&commit(0).bytes()).unwrap();
        assert_eq!(parsed, commit(0));
        assert_eq!(parsed.string("z"), Some("last key first"));
        assert_eq!(parsed.string("a"), None);
    }

    #[test]
    fn every_truncation_of_a_commit_is_refused() {
        let bytes = commit(5).bytes();
        for len in 0..bytes.len() {
            assert!(Commit::parse(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
