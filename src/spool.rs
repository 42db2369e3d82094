//! The one place where file contents wait between the layer and the disk: an unnamed file that only grows.
//!
//! Every content begins at a multiple of 4096 and the rest of its last block is zero, so that a filesystem with blocks of
//! 4096 bytes can take it over as it is. What the contents are is not known here. The file is gone with the process.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Contents begin at multiples of this.
pub const BLOCK: u64 = 4096;
/// A writer takes this much at a time, so that what it writes lies together although others write beside it.
const SEGMENT: u64 = 4 << 20;
/// Small contents are collected to writes of this size: below 64 KiB a write costs several times as much per byte.
const STAGE: usize = 1 << 20;
/// Pieces of at least this size go to the file without being collected.
const DIRECT: usize = 128 << 10;

/// Where a content lies in the spool. `at` depends on which thread was faster: nothing may be ordered by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub len: u64,
    pub at: u64,
}

/// What the file system refused.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot create a temporary file in {dir}: {source}", dir = dir.display())]
    Create { dir: PathBuf, source: io::Error },

    #[error("cannot write {len} bytes after {at} to the temporary file in {dir}: {source}", dir = dir.display())]
    Write { dir: PathBuf, at: u64, len: u64, source: io::Error },

    #[error("cannot read {len} bytes at {at} of the temporary file in {dir}: {source}", dir = dir.display())]
    Read { dir: PathBuf, at: u64, len: u64, source: io::Error },
}

/// The file. Shared by threads, each with a writer of its own.
#[derive(Debug)]
pub struct Spool {
    file: File,
    dir: PathBuf,
    next: AtomicU64,
}

impl Spool {
    /// An empty spool; its file has no name in `dir`.
    pub fn new_in(dir: &Path) -> Result<Self, SpoolError> {
        let dir = dir.to_owned();
        match tempfile::tempfile_in(&dir) {
            Ok(file) => Ok(Self { file, dir, next: AtomicU64::new(0) }),
            Err(source) => Err(SpoolError::Create { dir, source }),
        }
    }

    /// A writer for one thread.
    pub fn writer(&self) -> SpoolWriter<'_> {
        SpoolWriter { spool: self, staged: Vec::new(), at: 0, end: 0 }
    }

    /// Fills `buf` with what stands at `at`. All writers must be finished, and `buf` must end inside a content's last block.
    pub fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<(), SpoolError> {
        let len = buf.len() as u64; // usize has at most 64 bits
        self.file.read_exact_at(buf, at).map_err(|source| SpoolError::Read { dir: self.dir.clone(), at, len, source })
    }

    /// One content as a whole.
    pub fn read(&self, content: Content) -> Result<Vec<u8>, SpoolError> {
        let mut bytes = vec![0; usize::try_from(content.len).unwrap_or(usize::MAX)];
        self.read_at(content.at, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads one content from its beginning.
    pub fn reader(&self, content: Content) -> Reader<'_> {
        Reader { spool: self, at: content.at, end: content.at + content.len }
    }

    /// How far the file reaches, holes included.
    pub fn len(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the file as long as what was given out: a content may end in a hole. Called after the last writer.
    pub fn seal(&self) -> Result<(), SpoolError> {
        self.file.set_len(self.len()).map_err(|source| self.refused(self.len(), 0, source))
    }

    /// The only place where room is given out.
    fn take(&self, len: u64) -> Result<u64, SpoolError> {
        let grown = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| next.checked_add(len));
        grown.map_err(|at| self.refused(at, len, io::ErrorKind::FileTooLarge.into()))
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), SpoolError> {
        self.file.write_all_at(bytes, at).map_err(|source| self.refused(at, bytes.len() as u64, source))
    }

    fn refused(&self, at: u64, len: u64, source: io::Error) -> SpoolError {
        SpoolError::Write { dir: self.dir.clone(), at, len, source }
    }
}

/// Writes contents one after the other. Must be finished by `flush`.
#[derive(Debug)]
pub struct SpoolWriter<'a> {
    spool: &'a Spool,
    /// Bytes that belong directly before `at`.
    staged: Vec<u8>,
    at: u64,
    /// End of the segment that `at` is in.
    end: u64,
}

impl<'a> SpoolWriter<'a> {
    /// Writes a whole content. An empty one takes no room.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Content, SpoolError> {
        let mut stream = self.stream(bytes.len() as u64)?; // usize has at most 64 bits
        stream.write(bytes)?;
        stream.finish()
    }

    /// Begins a content of `len` bytes.
    pub fn stream(&mut self, len: u64) -> Result<Stream<'_, 'a>, SpoolError> {
        let room = len.checked_next_multiple_of(BLOCK);
        let room = room.ok_or_else(|| self.spool.refused(self.at, len, io::ErrorKind::FileTooLarge.into()))?;
        if room > self.end - self.at {
            self.flush()?;
            let taken = room.max(SEGMENT);
            self.at = self.spool.take(taken)?;
            self.end = self.at + taken;
        }
        let at = if len == 0 { 0 } else { self.at };
        Ok(Stream { writer: self, content: Content { len, at }, written: 0 })
    }

    /// Brings everything collected so far to the file.
    pub fn flush(&mut self) -> Result<(), SpoolError> {
        let begin = self.at - self.staged.len() as u64; // `staged` lies before `at`
        self.spool.write_at(begin, &self.staged)?;
        self.staged.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        if bytes.len() >= DIRECT {
            self.flush()?;
            self.spool.write_at(self.at, bytes)?;
        } else {
            if self.staged.len() + bytes.len() > STAGE {
                self.flush()?;
            }
            self.staged.extend_from_slice(bytes);
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn hole(&mut self, len: u64) -> Result<(), SpoolError> {
        self.flush()?;
        self.at += len;
        Ok(())
    }
}

/// A content that comes in pieces.
#[derive(Debug)]
pub struct Stream<'w, 'a> {
    writer: &'w mut SpoolWriter<'a>,
    content: Content,
    written: u64,
}

impl Stream<'_, '_> {
    /// The next bytes. Panics when there are more than announced.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.count(bytes.len() as u64); // usize has at most 64 bits
        self.writer.write(bytes)
    }

    /// The next `len` bytes are zero; they take no room on the disk.
    pub fn hole(&mut self, len: u64) -> Result<(), SpoolError> {
        self.count(len);
        self.writer.hole(len)
    }

    /// Where the content lies. Panics when bytes are missing.
    pub fn finish(self) -> Result<Content, SpoolError> {
        assert_eq!(self.written, self.content.len, "a content as long as announced");
        let padding = self.written.next_multiple_of(BLOCK) - self.written;
        // OK to cast: less than a block.
        self.writer.write(&[0; BLOCK as usize][..padding as usize])?;
        Ok(self.content)
    }

    fn count(&mut self, len: u64) {
        self.written += len;
        assert!(self.written <= self.content.len, "no more bytes than announced");
    }
}

/// Reads one content.
#[derive(Debug)]
pub struct Reader<'a> {
    spool: &'a Spool,
    at: u64,
    end: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = left.min(buf.len());
        let read = self.spool.file.read_at(&mut buf[..len], self.at)?;
        self.at += read as u64; // usize has at most 64 bits
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spool: &Spool, content: Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        spool.reader(content).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn contents_of_many_threads_come_back_aligned_and_padded() {
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let sizes = [1, 4095, 4096, 4097, 200_000, 1 << 20, 5 << 20, 3, 0, 70_000];
        let written: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0_u8..4)
                .map(|thread| {
                    let mut writer = spool.writer();
                    scope.spawn(move || {
                        let contents: Vec<_> =
                            sizes.iter().map(|&len| writer.append(&vec![thread + 1; len]).unwrap()).collect();
                        writer.flush().unwrap();
                        contents
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        spool.seal().unwrap();
        for (thread, contents) in (0_u8..).zip(&written) {
            for (content, len) in contents.iter().zip(sizes) {
                assert_eq!((content.at % BLOCK, read(&spool, *content)), (0, vec![thread + 1; len]));
                let mut padded = vec![9; len.next_multiple_of(4096)];
                spool.read_at(content.at, &mut padded).unwrap();
                assert!(padded[len..].iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn a_hole_reads_as_zeros_even_at_the_end_of_the_spool() {
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let mut writer = spool.writer();
        let mut stream = writer.stream(9 << 20).unwrap();
        stream.write(b"begin").unwrap();
        stream.hole((9 << 20) - 5).unwrap();
        let content = stream.finish().unwrap();
        writer.flush().unwrap();
        spool.seal().unwrap();
        let bytes = read(&spool, content);
        assert_eq!((bytes.len(), &bytes[..6]), (9 << 20, &b"begin\0"[..]));
        assert!(bytes[5..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Spool::new_in(Path::new("/nonexistent/dir")).unwrap_err().to_string();
        assert!(error.starts_with("cannot create a temporary file in /nonexistent/dir: "), "{error}");
    }
}
