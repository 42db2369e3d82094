//! The disk within an image file, raw or qcow2, and stretches of it that the readers of filesystems take for a device.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::rc::Rc;

use ext4_view::Ext4Read;

use super::{Error, Format};
use crate::qcow2;

const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";
/// Unit of `st_blocks`, whatever the filesystem's block size is.
const STAT_BLOCK: u64 = 512;

/// An opened image. Clones share the file.
#[derive(Clone)]
pub struct Image {
    source: Rc<RefCell<Source>>,
    pub format: Format,
    /// Bytes of the disk.
    pub size: u64,
    /// Bytes that the file takes on the host.
    pub allocated: u64,
}

enum Source {
    Raw(File),
    Qcow2(Box<qcow2::Reader>),
}

impl Image {
    pub fn open(path: &Path) -> Result<Image, Error> {
        let failed = |source| Error::Open { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let allocated = metadata.blocks().saturating_mul(STAT_BLOCK);
        // The length in the metadata of a block device is 0.
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut magic = [0; 4];
        if length >= 4 {
            file.read_exact_at(&mut magic, 0).map_err(failed)?;
        }
        if magic != QCOW2_MAGIC {
            return Ok(Image::new(Source::Raw(file), Format::Raw, length, allocated));
        }
        let reader = qcow2::Reader::open(file).map_err(|source| Error::Qcow2 { path: path.to_owned(), source })?;
        let size = reader.size();
        Ok(Image::new(Source::Qcow2(Box::new(reader)), Format::Qcow2, size, allocated))
    }

    fn new(source: Source, format: Format, size: u64, allocated: u64) -> Image {
        Image { source: Rc::new(RefCell::new(source)), format, size, allocated }
    }

    /// `length` bytes from `start` on, fewer where the disk ends.
    pub fn slice(&self, start: u64, length: u64) -> Slice {
        let length = length.min(self.size.saturating_sub(start));
        Slice { image: self.clone(), start, length, position: 0 }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match &mut *self.source.borrow_mut() {
            Source::Raw(file) => file.read_exact_at(buf, offset),
            Source::Qcow2(reader) => reader.read_at(offset, buf).map_err(|error| match error {
                qcow2::Error::Io(error) => error,
                other => io::Error::new(io::ErrorKind::InvalidData, other),
            }),
        }
    }
}

/// A stretch of the disk as a device of its own: a partition, or all of it.
#[derive(Clone)]
pub struct Slice {
    image: Image,
    start: u64,
    length: u64,
    position: u64,
}

impl Slice {
    /// Bytes that can be read.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// `N` bytes at `offset`; `None` where the slice is shorter, or cannot be read there.
    pub fn bytes<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(offset, &mut bytes).ok()?;
        Some(bytes)
    }

    fn fill(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match offset.checked_add(buf.len() as u64) {
            Some(end) if end <= self.length => self.image.read_at(self.start + offset, buf),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} bytes at {offset} are beyond its end at {}", buf.len(), self.length),
            )),
        }
    }
}

impl Read for Slice {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let count = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.fill(self.position.min(self.length), &mut buf[..count])?;
        self.position += count as u64; // usize is at most 64 bits
        Ok(count)
    }
}

impl Seek for Slice {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// The `gpt` crate asks for a device that it could write to, also when it only reads.
impl Write for Slice {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {}", self.length, self.start)
    }
}

impl Ext4Read for Slice {
    fn read(&mut self, start_byte: u64, dst: &mut [u8]) -> Result<(), Box<dyn StdError + Send + Sync + 'static>> {
        Ok(self.fill(start_byte, dst)?)
    }
}
