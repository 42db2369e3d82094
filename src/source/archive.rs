//! A tar archive of a directory in OCI image layout, or of `docker save`. Its members are found once; blobs are read where they lie.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::oci_layout::Files;
use super::{Error, Result};
use crate::container_trust::Identity;
use crate::layer::tar::{Kind, Reader};

/// The files of a layout that lies in an archive.
#[derive(Debug)]
pub struct Archive {
    file: Arc<File>,
    path: PathBuf,
    members: BTreeMap<String, Member>,
    /// Symbolic links and what they lead to, which is looked up as it is: `docker save` writes layers that come twice as links.
    links: BTreeMap<String, String>,
}

/// Where a member's data is.
#[derive(Clone, Copy, Debug)]
struct Member {
    at: u64,
    len: u64,
}

impl Archive {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finds all members. Compressed archives would have to be unpacked first: the index may come last.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |source| Error::Io { path: name.clone(), source };
        if path.is_dir() {
            return Err(Error::DirectoryForArchive { path: name });
        }
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        if let Some(compression) = compression(&file).map_err(failed)? {
            return Err(Error::CompressedArchive { path: name, compression });
        }
        let mut archive =
            Self { file: Arc::new(file), path: path.to_owned(), members: BTreeMap::new(), links: BTreeMap::new() };
        archive.find_members(len)?;
        Ok(archive)
    }

    fn find_members(&mut self, file_len: u64) -> Result<()> {
        let location = self.location();
        let path = || location.clone();
        let file = self.file.try_clone().map_err(|source| Error::Io { path: path(), source })?;
        let mut reader = Reader::new(BufReader::new(file));
        while let Some(entry) = reader.next_entry().map_err(|source| Error::Archive { path: path(), source })? {
            let member = Member { at: reader.position(), len: entry.size };
            let name = plain(&entry.path);
            match entry.kind {
                Kind::Regular if member.at.checked_add(member.len).is_none_or(|end| end > file_len) => {
                    return Err(Error::CutOff { path: path(), found: file_len, member: member.len });
                }
                Kind::Regular => drop(self.members.insert(name, member)),
                Kind::Symlink => {
                    let target = plain(&[&entry.path[..], b"/../", &entry.link].concat());
                    self.links.insert(name, target);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn member(&self, name: &str) -> Option<Member> {
        let linked = || self.links.get(name).and_then(|target| self.members.get(target));
        self.members.get(name).or_else(linked).copied()
    }
}

/// `./index.json` and `index.json` are one, and `a/../b` is `b`.
pub fn plain(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn compression(file: &File) -> io::Result<Option<&'static str>> {
    let mut magic = [0; 6];
    let read = file.read_at(&mut magic, 0)?;
    Ok(match &magic[..read] {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("xz"),
        _ => None,
    })
}

impl Files for Archive {
    fn open(&self, name: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>> {
        let Some(Member { at, len }) = self.member(name) else { return Ok(None) };
        Ok(Some((Box::new(Range { file: Arc::clone(&self.file), at, end: at + len }), len)))
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn identity(&self) -> io::Result<Identity> {
        Identity::oci_archive(&self.path)
    }
}

/// A part of the archive. Several may be read at once.
struct Range {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Range {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = left.min(buf.len());
        let read = self.file.read_at(&mut buf[..len], self.at)?;
        self.at += read as u64; // usize has at most 64 bits
        Ok(read)
    }
}
