//! What overlayfs has to be told: where a file's bytes are, and which names of the object directory to hide.
//!
//! Words of the kernel's `Documentation/filesystems/overlayfs.rst`: metacopy, redirect, opaque, whiteout.

use super::node::{Kind, Node};

const PREFIX: &[u8] = b"trusted.overlay.";
/// Hides an xattr of the lower layer from overlayfs, which hands it on with one `overlay.` less.
const ESCAPED_PREFIX: &[u8] = b"trusted.overlay.overlay.";
const SELINUX: &[u8] = b"security.selinux";

const S_IFMT: u32 = 0o170000;
const S_IFCHR: u32 = 0o020000;

/// A character device 0:0, with which overlayfs hides a name of the layers below.
pub fn is_whiteout(node: &Node) -> bool {
    node.mode & S_IFMT == S_IFCHR && matches!(node.kind, Kind::Special { rdev: 0 })
}

/// `root` marked opaque, and with a whiteout for each of the names `00` to `ff` that is not taken.
pub fn whiteouts(mut root: Node) -> Node {
    let whiteout = Node {
        mode: S_IFCHR | 0o644,
        uid: root.uid,
        gid: root.gid,
        xattrs: root.xattrs.iter().filter(|(name, _)| name == SELINUX).cloned().collect(),
        kind: Kind::Special { rdev: 0 },
    };
    if let Kind::Directory(children) = &mut root.kind {
        for name in (0..=0xff).map(|byte| format!("{byte:02x}").into_bytes()) {
            if !children.iter().any(|(taken, _)| *taken == name) {
                children.push((name, whiteout.clone()));
            }
        }
    }
    root
}

/// The xattrs of a node as the image stores them, sorted by name.
pub fn xattrs(given: Vec<(Vec<u8>, Vec<u8>)>, kind: &Kind, is_root: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut xattrs: Vec<_> = given.into_iter().map(|(name, value)| (escaped(name), value)).collect();
    if let Kind::File { object, digest, .. } = kind {
        xattrs.push(overlay("metacopy", metacopy(digest)));
        xattrs.push(overlay("redirect", redirect(object)));
    }
    if is_root {
        xattrs.push(overlay("opaque", b"y".to_vec()));
    }
    xattrs.sort_unstable();
    xattrs
}

fn escaped(name: Vec<u8>) -> Vec<u8> {
    match name.strip_prefix(PREFIX) {
        Some(rest) => [ESCAPED_PREFIX, rest].concat(),
        None => name,
    }
}

fn overlay(name: &str, value: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    ([PREFIX, name.as_bytes()].concat(), value)
}

/// `struct ovl_metacopy`: version 0, its own length, no flags, `FS_VERITY_HASH_ALG_SHA256`, digest.
fn metacopy(digest: &Option<[u8; 32]>) -> Vec<u8> {
    match digest {
        Some(digest) => [&[0, 36, 0, 1], digest.as_slice()].concat(),
        None => Vec::new(),
    }
}

/// `/xx/yyyy.file`, seen from the directory `objects`.
fn redirect(object: &[u8; 32]) -> Vec<u8> {
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    let hex: Vec<u8> = object.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    [b"/", &hex[..2], b"/", &hex[2..], b".file"].concat()
}
