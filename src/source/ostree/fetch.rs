//! One object from a repository into memory or the spool, compared with its name on the way.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

use super::{Error, FileObject, Repository, Result};
use crate::image::{Object, Payload};
use crate::ostree::{Checksum, FileHasher, FileMeta, ObjectKind, ObjectName, filez, link_target};
use crate::spool::{Content, SpoolWriter};

/// Contents up to this size are hashed before they are written.
const SMALL: u64 = 1 << 20;
const PIECE: usize = 128 << 10;

/// The object of an archive: a header, then the content as a raw deflate stream (ostree-format: `.filez`).
pub fn archived<'a>(object: ObjectName, mut bytes: impl Read + Send + 'a) -> Result<FileObject<'a>> {
    let header = filez::read(&mut bytes).map_err(|error| Error::broken_stream(object, error))?;
    let content: Box<dyn Read + Send + 'a> =
        if header.meta.is_symlink() { Box::new(io::empty()) } else { Box::new(DeflateDecoder::new(bytes)) };
    Ok(FileObject { meta: header.meta, size: header.size, content })
}

/// Reads an object other than a file and compares its checksum. `None`: it is not there.
pub fn metadata(repository: &dyn Repository, object: ObjectName) -> Result<Option<Vec<u8>>> {
    let Some(bytes) = repository.metadata(object)? else { return Ok(None) };
    let found = Checksum::of(&bytes);
    if found == object.checksum { Ok(Some(bytes)) } else { Err(Error::Checksum { object, found }) }
}

/// As [`metadata`], for an object that has to be there.
pub fn required(repository: &dyn Repository, object: ObjectName) -> Result<Vec<u8>> {
    metadata(repository, object)?.ok_or_else(|| Error::MissingObject { object, location: repository.describe() })
}

/// What a thread needs to fetch files.
pub struct Fetcher<'a> {
    repository: &'a dyn Repository,
    writer: SpoolWriter<'a>,
    /// Contents before they are written.
    buffer: Vec<u8>,
}

impl<'a> Fetcher<'a> {
    pub fn new(repository: &'a dyn Repository, writer: SpoolWriter<'a>) -> Self {
        Self { repository, writer, buffer: Vec::new() }
    }

    /// Fetches one file object; a content of more than `limit` bytes is refused.
    pub fn file(&mut self, checksum: Checksum, limit: u64) -> Result<Object> {
        let name = ObjectName { checksum, kind: ObjectKind::File };
        let FileObject { meta, size, mut content } = self.repository.file(checksum)?;
        if size > limit {
            return Err(Error::TooLarge { what: name.to_string(), limit });
        }
        let hasher = FileHasher::new(&meta.header());
        let (found, payload) = if meta.is_symlink() {
            (hasher.finish(), symlink(name, &meta)?)
        } else {
            let (found, content) = self.content(name, hasher, size, &mut *content)?;
            (found, Payload::Regular(content))
        };
        if found != checksum {
            return Err(Error::Checksum { object: name, found });
        }
        let FileMeta { uid, gid, mode, xattrs, .. } = meta;
        Ok(Object { uid, gid, mode, xattrs, payload })
    }

    /// Brings what was collected to the spool.
    pub fn finish(mut self) -> Result<()> {
        Ok(self.writer.flush()?)
    }

    fn content(
        &mut self,
        name: ObjectName,
        hasher: FileHasher,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(Checksum, Content)> {
        if size <= SMALL { self.small(name, hasher, size, content) } else { self.large(name, hasher, size, content) }
    }

    fn small(
        &mut self,
        name: ObjectName,
        mut hasher: FileHasher,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(Checksum, Content)> {
        self.buffer.clear();
        // One more, to see whether there is more.
        content.take(size + 1).read_to_end(&mut self.buffer).map_err(|error| Error::broken_stream(name, error))?;
        if self.buffer.len() as u64 != size {
            return Err(Error::Size { object: name, announced: size });
        }
        hasher.update(&self.buffer);
        Ok((hasher.finish(), self.writer.append(&self.buffer)?))
    }

    fn large(
        &mut self,
        name: ObjectName,
        mut hasher: FileHasher,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(Checksum, Content)> {
        self.buffer.resize(PIECE, 0);
        let mut stream = self.writer.stream(size)?;
        let mut left = size;
        loop {
            let read = content.read(&mut self.buffer).map_err(|error| Error::broken_stream(name, error));
            match read {
                Ok(0) if left == 0 => return Ok((hasher.finish(), stream.finish()?)),
                Ok(len) if len > 0 && len as u64 <= left => {
                    hasher.update(&self.buffer[..len]);
                    stream.write(&self.buffer[..len])?;
                    left -= len as u64; // usize has at most 64 bits
                }
                wrong => {
                    stream.abandon()?;
                    return Err(wrong.err().unwrap_or(Error::Size { object: name, announced: size }));
                }
            }
        }
    }
}

/// A target that Linux can hold.
pub fn symlink(object: ObjectName, meta: &FileMeta) -> Result<Payload> {
    link_target::readable(meta.target.as_bytes()).map_err(|source| Error::Object { object, source })?;
    Ok(Payload::Symlink(meta.target.as_bytes().into()))
}
