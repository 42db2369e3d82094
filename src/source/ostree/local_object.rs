//! How each mode of a repository keeps owner, mode and xattrs of a file object, and how its content (libostree `ostree-repo.c`,
//! `load_file` and `_ostree_repo_bare_content`).

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{lgetxattr, llistxattr};
use rustix::io::Errno;

use super::fetch::archived;
use super::{Error, FileObject, Result};
use crate::ostree::object::{S_IFLNK, S_IFREG};
use crate::ostree::{Checksum, FileMeta, ObjectKind, ObjectName, Xattrs, repo};

/// What Linux allows for all names, and for one value.
const XATTR_LIMIT: usize = 64 << 10;
/// Linux PATH_MAX, less the NUL.
const TARGET_LIMIT: u64 = 4095;
const OSTREE_META: &str = "user.ostreemeta";

/// How files lie in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As themselves.
    Bare,
    /// With their owner, mode and xattrs in an xattr, symbolic links as files.
    BareUser,
    /// As themselves, all of them root's and without xattrs.
    BareUserOnly,
    /// Deflated, behind a header.
    Archive,
}

impl Mode {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "bare" => Self::Bare,
            "bare-user" => Self::BareUser,
            "bare-user-only" => Self::BareUserOnly,
            "archive" | "archive-z2" => Self::Archive,
            _ => return None,
        })
    }
}

/// Opens a file object below `repository`; `None` when it is not there.
pub fn open(repository: &Path, mode: Mode, checksum: Checksum) -> Result<Option<FileObject<'static>>> {
    let object = ObjectName { checksum, kind: ObjectKind::File };
    let mut path = repository.join(repo::object_path(object)).into_os_string();
    if mode == Mode::Archive {
        path.push("z");
    }
    let path = Path::new(&path);
    let stat = match fs::symlink_metadata(path) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { path: path.to_owned(), source }),
    };
    let read = match mode {
        Mode::Archive => return archived(object, content(path)?).map(Some),
        Mode::Bare => bare(path, &stat, stat.uid(), stat.gid(), xattrs(path)?),
        Mode::BareUserOnly => bare(path, &stat, 0, 0, Xattrs::default()),
        Mode::BareUser => bare_user(path, object, &stat),
    };
    read.map(Some)
}

fn bare(path: &Path, stat: &fs::Metadata, uid: u32, gid: u32, xattrs: Xattrs) -> Result<FileObject<'static>> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    if stat.is_symlink() {
        let target = fs::read_link(path).map_err(failed)?;
        let target = String::from_utf8(target.as_os_str().as_bytes().to_vec())
            .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "its target is not UTF-8")))?;
        let meta = FileMeta { uid, gid, mode: S_IFLNK | 0o777, target, xattrs };
        return Ok(FileObject { meta, size: 0, content: Box::new(io::empty()) });
    }
    let meta = FileMeta { uid, gid, mode: S_IFREG | stat.mode() & 0o7777, target: String::new(), xattrs };
    Ok(FileObject { meta, size: stat.len(), content: Box::new(content(path)?) })
}

/// A symbolic link is a regular file with the target as its content.
fn bare_user(path: &Path, object: ObjectName, stat: &fs::Metadata) -> Result<FileObject<'static>> {
    let bytes = xattr(path, OSTREE_META)?.ok_or_else(|| Error::NoOstreeMeta { path: path.to_owned() })?;
    let mut meta = FileMeta::from_bare_user(&bytes).map_err(|source| Error::Object { object, source })?;
    if !meta.is_symlink() {
        return Ok(FileObject { meta, size: stat.len(), content: Box::new(content(path)?) });
    }
    if stat.len() > TARGET_LIMIT {
        return Err(Error::TooLarge { what: path.display().to_string(), limit: TARGET_LIMIT });
    }
    let target = fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    // libostree writes the C string, NUL included.
    meta.target = target.strip_suffix('\0').unwrap_or(&target).to_owned();
    Ok(FileObject { meta, size: 0, content: Box::new(io::empty()) })
}

fn content(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => Error::Unreadable { path: path.to_owned() },
        _ => Error::Io { path: path.to_owned(), source },
    })
}

fn xattrs(path: &Path) -> Result<Xattrs> {
    let names = sized(path, |buffer| llistxattr(path, buffer))?.unwrap_or_default();
    let mut pairs = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        let value = xattr(path, &name)?.unwrap_or_default();
        pairs.push((name, value));
    }
    Xattrs::new(pairs).map_err(|source| Error::Xattrs { path: path.to_owned(), source })
}

fn xattr(path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    sized(path, |buffer| lgetxattr(path, name, buffer))
}

/// What a call puts into a buffer that has to be large enough; most need little. `None`: there are no xattrs here.
fn sized(path: &Path, call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> Result<Option<Vec<u8>>> {
    let mut small = [0; 512];
    let filled = call(&mut small).map(|len| small[..len].to_vec());
    let filled = filled.or_else(|error| match error {
        Errno::RANGE => {
            let mut large = vec![0; XATTR_LIMIT];
            call(&mut large).map(|len| large[..len].to_vec())
        }
        error => Err(error),
    });
    match filled {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(Error::Io { path: path.to_owned(), source: error.into() }),
    }
}
