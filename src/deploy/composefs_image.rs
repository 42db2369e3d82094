//! The deployment's `.ostree.cfs` from the merged tree (libostree `ostree-repo-composefs.c`).

use super::DeployError;
use crate::composefs::{self, Kind, Node};
use crate::image::{Contents, Object, Payload};
use crate::ostree::{Checksum, Directory, Xattrs};

/// The EROFS image that libostree would write when it deploys this commit.
pub fn composefs_image(contents: &Contents, root: &Directory) -> Result<Vec<u8>, DeployError> {
    let root = composefs::with_required_directories(directory(contents, root)?);
    Ok(composefs::image(root)?)
}

fn directory(contents: &Contents, from: &Directory) -> Result<Node, DeployError> {
    let mut children = Vec::with_capacity(from.files.len() + from.dirs.len());
    for (name, checksum) in &from.files {
        let object = contents.objects.get(checksum).ok_or(DeployError::MissingObject(*checksum))?;
        children.push((name.as_bytes().to_vec(), file(object, checksum)));
    }
    for (name, below) in &from.dirs {
        children.push((name.as_bytes().to_vec(), directory(contents, below)?));
    }
    let meta = &from.meta;
    let kind = Kind::Directory(children);
    Ok(Node { mode: meta.mode, uid: meta.uid, gid: meta.gid, xattrs: pairs(&meta.xattrs), kind })
}

fn file(object: &Object, checksum: &Checksum) -> Node {
    let kind = match &object.payload {
        Payload::Regular(content) if content.len == 0 => Kind::EmptyFile,
        Payload::Regular(content) => Kind::File { size: content.len, object: checksum.0, digest: None },
        Payload::Symlink(target) => Kind::Symlink(target.to_vec()),
    };
    Node { mode: object.mode, uid: object.uid, gid: object.gid, xattrs: pairs(&object.xattrs), kind }
}

fn pairs(xattrs: &Xattrs) -> Vec<(Vec<u8>, Vec<u8>)> {
    xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}
