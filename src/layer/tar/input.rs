//! Bytes as the reader takes them: in order, with its own count, or passing over some.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use super::Error;

/// A stream that may have a faster way over bytes nobody wants than reading them.
pub trait Input: BufRead {
    /// Passes over up to `len` bytes; answers how many. Fewer means that the stream has ended, more is never answered.
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        let mut left = len;
        while left > 0 {
            let here = self.fill_buf()?.len();
            if here == 0 {
                break;
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(here);
            self.consume(step);
            left -= step as u64; // usize has at most 64 bits
        }
        Ok(len - left)
    }
}

impl Input for &[u8] {}

impl Input for BufReader<File> {
    /// Seeks. Beyond the end of the file nothing is noticed: the one who knows the file's length compares.
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        self.seek_relative(i64::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?)?;
        Ok(len)
    }
}

/// An input and how far it is read.
pub struct Counted<I> {
    inner: I,
    pub at: u64,
}

impl<I: Input> Counted<I> {
    pub fn new(inner: I) -> Self {
        Self { inner, at: 0 }
    }

    /// Passes over `len` bytes of `what`.
    pub fn skip(&mut self, len: u64, what: &'static str) -> Result<(), Error> {
        let skipped = self.inner.skip(len).map_err(|source| Error::Io { at: self.at, source })?;
        self.at += skipped;
        if skipped < len { Err(Error::Truncated { at: self.at, what }) } else { Ok(()) }
    }

    /// Fills `buf`, or answers false when the stream ends before its first byte.
    pub fn fill(&mut self, buf: &mut [u8], what: &'static str) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < buf.len() {
            let wanted = (buf.len() - filled) as u64; // usize has at most 64 bits
            let bytes = self.some(wanted)?;
            let len = bytes.len();
            buf[filled..filled + len].copy_from_slice(bytes);
            self.consume(len);
            match (len, filled) {
                (0, 0) => return Ok(false),
                (0, _) => return Err(Error::Truncated { at: self.at, what }),
                _ => filled += len,
            }
        }
        Ok(true)
    }

    /// The next bytes, at most `limit`; none at the end of the stream.
    pub fn some(&mut self, limit: u64) -> Result<&[u8], Error> {
        let at = self.at;
        let bytes = self.inner.fill_buf().map_err(|source| Error::Io { at, source })?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
        Ok(&bytes[..limit])
    }

    pub fn consume(&mut self, len: usize) {
        self.inner.consume(len);
        self.at += len as u64; // usize has at most 64 bits
    }
}

impl<I: Input + ?Sized> Input for &mut I {
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        (**self).skip(len)
    }
}
