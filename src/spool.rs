//! The one place where file contents wait between the layer and the disk: unnamed files, one behind the other.
//!
//! Every content begins at a multiple of 4096 and the rest of its last block is zero, so that a filesystem with blocks of
//! 4096 bytes can take it over as it is. What the contents are is not known here. The files are gone with the process; one
//! that nobody reads any more can go before. Files of a spool that has names can be lent to another one.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

/// Contents begin at multiples of this.
pub const BLOCK: u64 = 4096;
/// Offsets from one multiple of this to the next are in one file. Cutting a file short costs nothing, whereas making a hole
/// in it would first write out what is dirty (ext4 before Linux 6.14, XFS and btrfs still).
const FILE: u64 = 256 << 20;
/// A writer takes this much at a time, so that what it writes lies together although others write beside it.
const SEGMENT: u64 = 4 << 20;
/// Small contents are collected to writes of this size: below 64 KiB a write costs several times as much per byte.
const STAGE: usize = 1 << 20;
/// Pieces of at least this size go to the file without being collected.
const DIRECT: usize = 128 << 10;

/// Where a content lies in the spool. `at` depends on which thread was faster: nothing may be ordered by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The files. Shared by threads, each with a writer of its own.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    /// Files are named by their numbers, and stay.
    named: bool,
    room: RwLock<Room>,
}

/// A file of length [`FILE`], holes included.
#[derive(Debug)]
struct Part {
    file: File,
    /// Belongs to somebody else, and is never changed here.
    lent: bool,
}

#[derive(Debug)]
struct Room {
    files: Vec<Part>,
    /// Everything before it is given out.
    next: u64,
}

impl Spool {
    /// An empty spool; its files have no names in `dir`.
    pub fn new_in(dir: &Path) -> Result<Self, SpoolError> {
        Ok(Self {
            dir: dir.to_owned(),
            named: false,
            room: RwLock::new(Room { files: vec![own(unnamed(dir)?)], next: 0 }),
        })
    }

    /// An empty spool whose files are `0`, `1`, … in `dir`, and stay there.
    pub fn named_in(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), named: true, room: RwLock::new(Room { files: Vec::new(), next: 0 }) }
    }

    /// Takes in all files of a named spool, to be read alone. What was at `at` there is here at the answer plus `at`.
    pub fn lend(&self, files: Vec<File>) -> u64 {
        let mut room = self.room.write().unwrap_or_else(PoisonError::into_inner);
        let base = room.files.len() as u64 * FILE;
        room.files.extend(files.into_iter().map(|file| Part { file, lent: true }));
        room.next = room.files.len() as u64 * FILE;
        base
    }

    /// How many bytes of each file were given out.
    pub fn lengths(&self) -> Vec<u64> {
        let room = self.room.read().unwrap_or_else(PoisonError::into_inner);
        parts(0, room.next).map(|(_, range)| range.end).collect()
    }

    /// A writer for one thread.
    pub fn writer(&self) -> SpoolWriter<'_> {
        SpoolWriter { spool: self, staged: Vec::new(), at: 0, end: 0 }
    }

    /// Fills `buf` with what stands at `at`. All writers must be finished, and `buf` must end inside a content's last block.
    pub fn read_at(&self, at: u64, mut buf: &mut [u8]) -> Result<(), SpoolError> {
        let len = buf.len() as u64; // usize has at most 64 bits
        let room = self.room.read().unwrap_or_else(PoisonError::into_inner);
        for (file, range) in parts(at, len) {
            let (here, rest) = buf.split_at_mut((range.end - range.start) as usize); // at most `len`
            let read = room.files[file].file.read_exact_at(here, range.start);
            read.map_err(|source| SpoolError::Read { dir: self.dir.clone(), at, len, source })?;
            buf = rest;
        }
        Ok(())
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

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.room.read().unwrap_or_else(PoisonError::into_inner).files.len()
    }

    /// In which files `len` bytes from `at` on are.
    pub fn files_of(at: u64, len: u64) -> impl Iterator<Item = usize> {
        parts(at, len).map(|(file, _)| file)
    }

    /// Gives back the room of a file that nobody will read again: reading from it is an error from now on.
    pub fn release(&self, file: usize) -> Result<(), SpoolError> {
        let room = self.room.read().unwrap_or_else(PoisonError::into_inner);
        let Part { file, lent } = &room.files[file];
        if *lent { Ok(()) } else { file.set_len(0).map_err(|source| self.refused(0, 0, source)) }
    }

    /// The only place where room is given out.
    fn take(&self, len: u64) -> Result<u64, SpoolError> {
        let mut room = self.room.write().unwrap_or_else(PoisonError::into_inner);
        let at = room.next;
        let end = at.checked_add(len).filter(|end| *end <= i64::MAX.unsigned_abs());
        room.next = end.ok_or_else(|| self.refused(at, len, io::ErrorKind::FileTooLarge.into()))?;
        while (room.files.len() as u64) * FILE < room.next {
            let file = if self.named { named(&self.dir, room.files.len())? } else { unnamed(&self.dir)? };
            room.files.push(own(file));
        }
        Ok(at)
    }

    fn write_at(&self, at: u64, mut bytes: &[u8]) -> Result<(), SpoolError> {
        let len = bytes.len() as u64; // usize has at most 64 bits
        let room = self.room.read().unwrap_or_else(PoisonError::into_inner);
        for (file, range) in parts(at, len) {
            let (here, rest) = bytes.split_at((range.end - range.start) as usize); // at most `len`
            room.files[file].file.write_all_at(here, range.start).map_err(|source| self.refused(at, len, source))?;
            bytes = rest;
        }
        Ok(())
    }

    fn refused(&self, at: u64, len: u64, source: io::Error) -> SpoolError {
        SpoolError::Write { dir: self.dir.clone(), at, len, source }
    }
}

fn own(file: File) -> Part {
    Part { file, lent: false }
}

fn unnamed(dir: &Path) -> Result<File, SpoolError> {
    long(dir, tempfile::tempfile_in(dir))
}

fn named(dir: &Path, number: usize) -> Result<File, SpoolError> {
    long(dir, File::options().read(true).write(true).create_new(true).open(dir.join(number.to_string())))
}

/// A new file is as long as it may get: a content may end in a hole.
fn long(dir: &Path, made: io::Result<File>) -> Result<File, SpoolError> {
    let made = made.and_then(|file| file.set_len(FILE).map(|()| file));
    made.map_err(|source| SpoolError::Create { dir: dir.to_owned(), source })
}

/// `len` bytes from `at` on, cut at the ends of files: which file, and which of its bytes.
fn parts(at: u64, len: u64) -> impl Iterator<Item = (usize, Range<u64>)> {
    let (mut at, end) = (at, at + len);
    std::iter::from_fn(move || {
        let (file, begin) = (at / FILE, at % FILE);
        let len = (FILE - begin).min(end - at);
        at += len;
        // OK to cast: each file is open, there are not that many.
        (len > 0).then_some((file as usize, begin..begin + len))
    })
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

    /// Gives the content up; what was written of it is never read.
    pub fn abandon(self) -> Result<(), SpoolError> {
        // The next content begins at a block again.
        let padding = self.written.next_multiple_of(BLOCK) - self.written;
        // OK to cast: less than a block.
        self.writer.write(&[0; BLOCK as usize][..padding as usize])
    }

    /// Where the content lies. Panics when bytes are missing.
    pub fn finish(self) -> Result<Content, SpoolError> {
        assert_eq!(self.written, self.content.len, "a content as long as announced");
        let content = self.content;
        self.abandon().map(|()| content)
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
        self.spool.read_at(self.at, &mut buf[..len]).map_err(io::Error::other)?;
        self.at += len as u64; // usize has at most 64 bits
        Ok(len)
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
    fn a_content_larger_than_a_file_of_the_spool_comes_back_whole() {
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let mut writer = spool.writer();
        writer.append(b"before").unwrap();
        let mut stream = writer.stream(FILE + 10).unwrap();
        stream.hole(FILE - 10).unwrap();
        stream.write(b"twenty bytes at the cut"[..20].into()).unwrap();
        let content = stream.finish().unwrap();
        writer.flush().unwrap();
        let mut end = [0; 20];
        spool.read_at(content.at + FILE - 10, &mut end).unwrap();
        assert_eq!((&end, spool.files()), (b"twenty bytes at the ", 2));
        assert_eq!(Spool::files_of(content.at, content.len).collect::<Vec<_>>(), [0, 1]);
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
        let bytes = read(&spool, content);
        assert_eq!((bytes.len(), &bytes[..6]), (9 << 20, &b"begin\0"[..]));
        assert!(bytes[5..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_content_after_one_given_up_begins_at_a_block() {
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let mut writer = spool.writer();
        let mut stream = writer.stream(3 << 20).unwrap();
        stream.write(&[7; 5000]).unwrap();
        stream.abandon().unwrap();
        let content = writer.append(b"whole").unwrap();
        writer.flush().unwrap();
        assert_eq!((content.at % BLOCK, read(&spool, content)), (0, b"whole".to_vec()));
    }

    #[test]
    fn files_that_are_lent_are_read_behind_the_own_ones_and_never_cut() {
        let directory = tempfile::tempdir().unwrap();
        let named = Spool::named_in(directory.path());
        let mut writer = named.writer();
        let content = writer.append(b"lent").unwrap();
        writer.flush().unwrap();
        assert_eq!(named.lengths(), [SEGMENT]);
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let mut writer = spool.writer();
        let before = writer.append(b"before").unwrap();
        let base = spool.lend(vec![File::open(directory.path().join("0")).unwrap()]);
        let after = writer.append(&vec![7; 5 << 20]).unwrap();
        writer.flush().unwrap();
        let lent = Content { at: content.at + base, ..content };
        let files = |content: Content| Spool::files_of(content.at, content.len).collect::<Vec<_>>();
        assert_eq!((files(before), files(lent), files(after)), (vec![0], vec![1], vec![2]));
        spool.release(1).unwrap();
        assert_eq!((read(&spool, before), read(&spool, lent)), (b"before".to_vec(), b"lent".to_vec()));
        assert_eq!(read(&spool, after).len(), 5 << 20);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Spool::new_in(Path::new("/nonexistent/dir")).unwrap_err().to_string();
        assert!(error.starts_with("cannot create a temporary file in /nonexistent/dir: "), "{error}");
    }
}
