//! Directories as objects: dirmeta `(uuua(ayay))` and dirtree `(a(say)a(sayay))` (libostree `ostree-core.h`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::object::S_IFDIR;
use super::variant::{Array, Tuple};
use super::variant_reader::{self, Member};
use super::{Checksum, Error, Name, Xattrs};

/// Owner, mode and xattrs of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirMeta {
    pub uid: u32,
    pub gid: u32,
    /// With `S_IFDIR`.
    pub mode: u32,
    pub xattrs: Xattrs,
}

impl DirMeta {
    /// `permissions` are the lower twelve bits of the mode; bits above them are ignored, as tar headers may carry any.
    pub fn new(uid: u32, gid: u32, permissions: u32, xattrs: Xattrs) -> Self {
        Self { uid, gid, mode: S_IFDIR | permissions & 0o7777, xattrs }
    }

    /// The serialised object; 12 bytes when there are no xattrs.
    pub fn bytes(&self) -> Vec<u8> {
        Tuple::new()
            .fixed(self.uid.to_be_bytes())
            .fixed(self.gid.to_be_bytes())
            .fixed(self.mode.to_be_bytes())
            .variable(1, &self.xattrs.bytes())
            .finish()
    }

    /// The object's name.
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.bytes())
    }

    /// Reads a dirmeta object; refuses what is not in normal form and what `ostree fsck` refuses.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |what| Error::Object { object: "dirmeta", len: bytes.len(), what };
        let meta = Self::members(bytes).ok_or_else(|| broken("it is not a (uuua(ayay))"))?;
        if meta.mode & !0o7777 != S_IFDIR {
            return Err(broken("its mode is not that of a directory"));
        }
        if meta.bytes() != bytes {
            return Err(broken("it is not in normal form, or its xattrs are unsorted, repeated or empty"));
        }
        Ok(meta)
    }

    fn members(bytes: &[u8]) -> Option<Self> {
        let shape = [Member::Fixed(4), Member::Fixed(4), Member::Fixed(4), Member::Variable(1)];
        let [uid, gid, mode, xattrs] = variant_reader::tuple(bytes, shape)?;
        let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
        Some(Self { uid: number(uid)?, gid: number(gid)?, mode: number(mode)?, xattrs: Xattrs::parse(xattrs)? })
    }
}

/// The names in a directory, each with the objects it stands for. A symbolic link is a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirTree {
    pub files: BTreeMap<Name, Checksum>,
    /// Checksums of the subdirectory's dirtree and dirmeta.
    pub dirs: BTreeMap<Name, (Checksum, Checksum)>,
}

impl DirTree {
    /// The serialised object; one zero byte when empty.
    pub fn bytes(&self) -> Vec<u8> {
        let dirs = self.dirs.iter().map(|(name, &(tree, meta))| (name, tree, meta));
        dirtree(self.files.iter().map(|(name, &checksum)| (name, checksum)), dirs)
    }

    /// The object's name.
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.bytes())
    }

    /// Reads a dirtree object; refuses what is not in normal form and what `ostree fsck` refuses.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |what| Error::Object { object: "dirtree", len: bytes.len(), what };
        let tree = Self::members(bytes).ok_or_else(|| broken("it is not a (a(say)a(sayay)) of valid names"))?;
        if tree.bytes() != bytes {
            return Err(broken("it is not in normal form, or its names are unsorted or repeated"));
        }
        Ok(tree)
    }

    fn members(bytes: &[u8]) -> Option<Self> {
        const VARIABLE: Member = Member::Variable(1);
        let [files, dirs] = variant_reader::tuple(bytes, [VARIABLE; 2])?;
        let mut tree = Self::default();
        for file in variant_reader::array(files, 1)? {
            let [name, checksum] = variant_reader::tuple(file, [VARIABLE; 2])?;
            tree.files.insert(read_name(name)?, read_checksum(checksum)?);
        }
        for dir in variant_reader::array(dirs, 1)? {
            let [name, contents, meta] = variant_reader::tuple(dir, [VARIABLE; 3])?;
            tree.dirs.insert(read_name(name)?, (read_checksum(contents)?, read_checksum(meta)?));
        }
        Some(tree)
    }
}

/// Serialises a dirtree from files (name, object) and directories (name, dirtree, dirmeta), both sorted by name.
pub fn dirtree<'a>(
    files: impl Iterator<Item = (&'a Name, Checksum)>,
    dirs: impl Iterator<Item = (&'a Name, Checksum, Checksum)>,
) -> Vec<u8> {
    let mut file_array = Array::new(1);
    for (name, checksum) in files {
        file_array.push(&Tuple::new().string(name).variable(1, &checksum.0).finish());
    }
    let mut dir_array = Array::new(1);
    for (name, tree, meta) in dirs {
        dir_array.push(&Tuple::new().string(name).variable(1, &tree.0).variable(1, &meta.0).finish());
    }
    Tuple::new().variable(1, &file_array.finish()).variable(1, &dir_array.finish()).finish()
}

fn read_name(bytes: &[u8]) -> Option<Name> {
    Name::new(variant_reader::string(bytes)?).ok()
}

pub(super) fn read_checksum(bytes: &[u8]) -> Option<Checksum> {
    Some(Checksum(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_dirtree_is_one_zero_byte() {
        assert_eq!(DirTree::default().bytes(), [0]);
        assert_eq!(DirTree::parse(&[0]), Ok(DirTree::default()));
    }

    #[test]
    fn a_dirtree_with_unsorted_names_is_refused() {
        let names = [Name::new("b").unwrap(), Name::new("a").unwrap()];
        let bytes = dirtree(names.iter().map(|name| (name, Checksum([1; 32]))), [].into_iter());
        assert!(matches!(DirTree::parse(&bytes), Err(Error::Object { object: "dirtree", len: 73, .. })));
    }

    #[test]
    fn a_dirmeta_of_a_regular_file_is_refused() {
        let mut meta = DirMeta::new(0, 0, 0o755, Xattrs::default());
        meta.mode = 0o100_755;
        assert!(DirMeta::parse(&meta.bytes()).is_err());
        assert!(DirMeta::parse(&[]).is_err());
    }
}
