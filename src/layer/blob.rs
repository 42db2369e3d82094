//! A blob on its way in: counted, hashed, never read further than one byte behind its announced end.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::error::BlobError;
use crate::digest::Digest;

/// What the descriptor of a blob announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    pub digest: Digest,
    pub size: u64,
}

/// A reader that knows in the end whether the blob was the right one.
pub struct Blob<R> {
    inner: R,
    announced: Announced,
    hasher: Sha256,
    read: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Blob<R> {
    pub fn new(inner: R, announced: Announced) -> Self {
        Self { inner, announced, hasher: Sha256::new(), read: 0, failed: None }
    }

    /// Bytes read so far.
    pub fn count(&self) -> u64 {
        self.read
    }

    /// Reads what is left, then compares.
    pub fn finish(mut self) -> Result<(), BlobError> {
        // A failure is kept in `failed`, which is looked at next.
        let _ = io::copy(&mut self, &mut io::sink());
        if let Some(source) = self.failed {
            return Err(BlobError::Read { at: self.read, source });
        }
        let Announced { digest: expected, size } = self.announced;
        if self.read < size {
            return Err(BlobError::TooShort { expected: size, found: self.read });
        }
        if self.read > size {
            return Err(BlobError::TooLong { expected: size });
        }
        let found = Digest(self.hasher.finalize().into());
        if found == expected { Ok(()) } else { Err(BlobError::Digest { expected, found }) }
    }
}

impl<R: Read> Read for Blob<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.announced.size.saturating_add(1) - self.read;
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if self.failed.is_some() {
            return Ok(0);
        }
        match self.inner.read(&mut buf[..len]) {
            Ok(read) => {
                self.hasher.update(&buf[..read]);
                self.read += read as u64; // usize has at most 64 bits
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(error);
                Ok(0)
            }
        }
    }
}

/// A whole small blob in memory. The caller has refused announced sizes that are too large.
pub fn read_whole(inner: impl Read, announced: Announced) -> Result<Vec<u8>, BlobError> {
    let mut blob = Blob::new(inner, announced);
    let mut bytes = Vec::new();
    // `read` above never fails but by interruption, which `read_to_end` repeats.
    let _ = blob.read_to_end(&mut bytes);
    blob.finish().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(bytes: &[u8], size: u64) -> Result<Vec<u8>, BlobError> {
        read_whole(bytes, Announced { digest: Digest::of(b"hello"), size })
    }

    #[test]
    fn only_the_announced_bytes_are_accepted() {
        assert_eq!(verdict(b"hello", 5).unwrap(), b"hello");
        assert!(matches!(verdict(b"hell", 5), Err(BlobError::TooShort { expected: 5, found: 4 })));
        assert!(matches!(verdict(b"hello!", 5), Err(BlobError::TooLong { expected: 5 })));
        assert!(matches!(verdict(b"hallo", 5), Err(BlobError::Digest { .. })));
    }

    #[test]
    fn an_endless_blob_is_read_to_one_byte_behind_its_end() {
        let mut blob = Blob::new(io::repeat(1), Announced { digest: Digest::of(b""), size: 1000 });
        assert_eq!(io::copy(&mut blob, &mut io::sink()).unwrap(), 1001);
    }
}
