//! What an entry is, by its path.

use super::Error;
use crate::ostree::{Checksum, ObjectKind, ObjectName};

const REPOSITORY: [&[u8]; 3] = [b"sysroot", b"ostree", b"repo"];

/// An entry that says something of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    Object(ObjectName),
    /// A set of xattrs by its checksum: `objects/XX/….file-xattrs`, in format 0 `xattrs/…`.
    Xattrs(Checksum),
    /// The xattrs of the file of this checksum: `objects/XX/….file-xattrs-link`, in format 0 `objects/XX/….file.xattrs`.
    XattrsOf(Checksum),
}

/// Nothing where the path leads elsewhere: to a file's place in the tree, to the repository's configuration and refs.
pub fn member(path: &[u8]) -> Result<Option<Member>, Error> {
    let mut components = path.split(|&byte| byte == b'/').filter(|component| !matches!(*component, b"" | b"."));
    if !REPOSITORY.iter().all(|&name| components.next() == Some(name)) {
        return Ok(None);
    }
    let found = match components.collect::<Vec<_>>()[..] {
        [b"xattrs", digits] => checksum(b"", digits).map(Member::Xattrs),
        [b"objects", first, rest] => object(first, rest),
        [b"objects", ..] => None,
        _ => return Ok(None),
    };
    let wrong = || Error::Place { path: String::from_utf8_lossy(path).into_owned() };
    found.map(Some).ok_or_else(wrong)
}

/// The set that a hard link leads to.
pub fn linked_xattrs(target: &[u8]) -> Option<Checksum> {
    let mut components = target.rsplit(|&byte| byte == b'/');
    let name = components.next()?;
    match name.strip_suffix(b".file-xattrs") {
        Some(rest) => checksum(components.next()?, rest),
        None => checksum(b"", name),
    }
}

fn object(first: &[u8], rest: &[u8]) -> Option<Member> {
    let dot = rest.iter().position(|&byte| byte == b'.')?;
    let checksum = checksum(first, &rest[..dot]).filter(|_| first.len() == 2)?;
    let object = |kind| Member::Object(ObjectName { checksum, kind });
    Some(match &rest[dot + 1..] {
        b"commit" => object(ObjectKind::Commit),
        b"commitmeta" => object(ObjectKind::CommitMeta),
        b"dirtree" => object(ObjectKind::DirTree),
        b"dirmeta" => object(ObjectKind::DirMeta),
        b"file" => object(ObjectKind::File),
        b"file-xattrs" => Member::Xattrs(checksum),
        b"file-xattrs-link" | b"file.xattrs" => Member::XattrsOf(checksum),
        _ => return None,
    })
}

fn checksum(first: &[u8], rest: &[u8]) -> Option<Checksum> {
    std::str::from_utf8(&[first, rest].concat()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "6e";
    const REST: &str = "340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";

    fn of(path: &str) -> Result<Option<Member>, String> {
        member(path.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn objects_are_told_by_their_suffix_whatever_stands_before_the_repository() {
        let checksum = Checksum::of(&[0]);
        let object = |kind| Ok(Some(Member::Object(ObjectName { checksum, kind })));
        for before in ["", "./", "/"] {
            let at = |suffix: &str| of(&format!("{before}sysroot/ostree/repo/objects/{FIRST}/{REST}.{suffix}"));
            assert_eq!(at("commit"), object(ObjectKind::Commit));
            assert_eq!(at("dirtree"), object(ObjectKind::DirTree));
            assert_eq!(at("file"), object(ObjectKind::File));
            assert_eq!(at("file-xattrs"), Ok(Some(Member::Xattrs(checksum))));
            assert_eq!(at("file-xattrs-link"), Ok(Some(Member::XattrsOf(checksum))));
            assert_eq!(at("file.xattrs"), Ok(Some(Member::XattrsOf(checksum))));
        }
        assert_eq!(of(&format!("sysroot/ostree/repo/xattrs/{FIRST}{REST}")), Ok(Some(Member::Xattrs(checksum))));
    }

    #[test]
    fn what_else_is_in_the_layer_is_passed_over() {
        for path in [
            "usr/bin/sh",
            "sysroot",
            "sysroot/ostree/repo",
            "sysroot/ostree/repo/config",
            "sysroot/ostree/repo/refs/heads/ostree/encapsulated",
            "etc/sysroot/ostree/repo/objects/x",
        ] {
            assert_eq!(of(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn places_where_no_object_can_be_are_refused() {
        let upper = REST.to_uppercase();
        for below in [
            "objects/x".to_owned(),
            format!("objects/{FIRST}/{REST}"),
            format!("objects/{FIRST}/{REST}.filez"),
            format!("objects/{FIRST}/{upper}.file"),
            format!("objects/{}/{}.file", &FIRST[..1], REST),
            format!("objects/6/e{REST}.file"),
            format!("objects/{FIRST}/../{REST}.file"),
            "xattrs/1234".to_owned(),
        ] {
            let path = format!("sysroot/ostree/repo/{below}");
            assert_eq!(of(&path), Err(format!("`{path}` is no place for an ostree object")));
        }
    }

    #[test]
    fn links_to_xattrs_are_relative_or_lead_through_the_whole_path() {
        let checksum = Some(Checksum::of(&[0]));
        let to = |target: &str| linked_xattrs(target.as_bytes());
        assert_eq!(to(&format!("../{FIRST}/{REST}.file-xattrs")), checksum);
        assert_eq!(to(&format!("sysroot/ostree/repo/objects/{FIRST}/{REST}.file-xattrs")), checksum);
        assert_eq!(to(&format!("sysroot/ostree/repo/xattrs/{FIRST}{REST}")), checksum);
        for target in ["", "x", &format!("{REST}.file-xattrs"), &format!("../{FIRST}/{REST}.file")] {
            assert_eq!(to(target), None, "{target}");
        }
    }
}
