//! The content of a file on its way from the tar stream to the spool, hashed as it passes.

use super::Error;
use super::tar::{self, Input, Piece, Reader};
use crate::ostree::{Checksum, FileHasher};
use crate::spool::{Content, Spool, SpoolWriter};

/// Files up to this size are hashed before they are written, so that none is written that nobody keeps.
const SMALL: u64 = 1 << 20;
/// Holes are hashed in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Takes the contents of one layer, one after the other.
pub struct Contents<'a> {
    writer: SpoolWriter<'a>,
    small: Vec<u8>,
    total: u64,
    limit: u64,
}

/// A content that has been read.
pub struct Taken {
    pub checksum: Checksum,
    /// Where it is, if it was too large to wait in memory.
    large: Option<Content>,
}

impl<'a> Contents<'a> {
    /// All contents together may have `limit` bytes, holes counted.
    pub fn new(spool: &'a Spool, limit: u64) -> Self {
        Self { writer: spool.writer(), small: Vec::new(), total: 0, limit }
    }

    /// Reads the data of the current regular file, which has `size` bytes. `hasher` has seen the object's header.
    pub fn take(&mut self, size: u64, hasher: FileHasher, reader: &mut Reader<impl Input>) -> Result<Taken, Error> {
        self.total = self.total.saturating_add(size);
        if self.total > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        if size <= SMALL { self.take_small(hasher, reader) } else { self.take_large(size, hasher, reader) }
    }

    /// Puts into the spool what was taken last.
    pub fn keep(&mut self, taken: &Taken) -> Result<Content, Error> {
        match taken.large {
            Some(content) => Ok(content),
            None => Ok(self.writer.append(&self.small)?),
        }
    }

    /// Brings everything kept to the spool's file.
    pub fn finish(mut self) -> Result<(), Error> {
        Ok(self.writer.flush()?)
    }

    fn take_small(&mut self, mut hasher: FileHasher, reader: &mut Reader<impl Input>) -> Result<Taken, Error> {
        self.small.clear();
        reader.data::<tar::Error>(|piece| {
            match piece {
                Piece::Bytes(bytes) => self.small.extend_from_slice(bytes),
                // OK to cast: not more than SMALL.
                Piece::Zeros(len) => self.small.resize(self.small.len() + len as usize, 0),
            }
            Ok(())
        })?;
        hasher.update(&self.small);
        Ok(Taken { checksum: hasher.finish(), large: None })
    }

    fn take_large(
        &mut self,
        size: u64,
        mut hasher: FileHasher,
        reader: &mut Reader<impl Input>,
    ) -> Result<Taken, Error> {
        let mut stream = self.writer.stream(size)?;
        reader.data::<Error>(|piece| match piece {
            Piece::Bytes(bytes) => {
                hasher.update(bytes);
                Ok(stream.write(bytes)?)
            }
            Piece::Zeros(len) => {
                hash_zeros(&mut hasher, len);
                Ok(stream.hole(len)?)
            }
        })?;
        Ok(Taken { checksum: hasher.finish(), large: Some(stream.finish()?) })
    }
}

fn hash_zeros(hasher: &mut FileHasher, mut len: u64) {
    while len > 0 {
        let step = usize::try_from(len).unwrap_or(usize::MAX).min(ZEROS.len());
        hasher.update(&ZEROS[..step]);
        len -= step as u64; // usize has at most 64 bits
    }
}
