//! Reads the disk within a qcow2 image of version 2 or 3 that stands alone. Every byte of it is taken for foreign.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use super::decode::Decode;
use super::entry::{Mapping, Piece, l2_table_offset};
use super::header::{HEADER_LENGTH, Header};
use super::{Error, SECTOR};

/// A qcow2 image as the disk that it holds. Keeps the L1 table, one L2 table and one decompressed cluster in memory.
pub struct Reader {
    file: File,
    file_length: u64,
    cluster_bits: u32,
    size: u64,
    l1: Vec<u64>,
    l2: Option<L2Table>,
    cached: Option<CachedCluster>,
    decode: Decode,
    position: u64,
}

struct L2Table {
    offset: u64,
    entries: Vec<u64>,
}

struct CachedCluster {
    guest: u64,
    bytes: Vec<u8>,
}

impl Reader {
    /// Reads the header and the L1 table.
    ///
    /// # Errors
    /// Not a qcow2 image; one with backing file, encryption, external data file, extended L2 entries or unknown
    /// incompatible features; tables that lie outside the file; an I/O error.
    pub fn open(file: File) -> Result<Self, Error> {
        let file_length = file.metadata()?.len();
        let header = Header::parse(&read_up_to(&file, 0, HEADER_LENGTH as usize)?)?;
        let l1 = read_table(&file, file_length, header.l1_table_offset.get(), header.l1_entries())?;
        Ok(Self {
            decode: Decode::new(header.compression()?)?,
            cluster_bits: header.cluster_bits.get(),
            // QEMU rounds an odd size down as well.
            size: header.size.get() / SECTOR * SECTOR,
            file,
            file_length,
            l1,
            l2: None,
            cached: None,
            position: 0,
        })
    }

    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buf` from the disk's bytes at `offset`.
    ///
    /// # Errors
    /// A range that is not within the disk, an image that contradicts itself, an I/O error.
    pub fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let outside = Error::OutsideDisk { offset, length: buf.len(), size: self.size };
        match offset.checked_add(buf.len() as u64) {
            Some(end) if end <= self.size => self.read_within(offset, buf),
            _ => Err(outside),
        }
    }

    fn read_within(&mut self, mut offset: u64, mut buf: &mut [u8]) -> Result<(), Error> {
        while !buf.is_empty() {
            let within = self.within_cluster(offset);
            let (part, rest) = buf.split_at_mut(buf.len().min(self.cluster_size() - within));
            self.read_cluster(offset >> self.cluster_bits, within, part)?;
            offset += part.len() as u64;
            buf = rest;
        }
        Ok(())
    }

    fn cluster_size(&self) -> usize {
        1 << self.cluster_bits
    }

    fn within_cluster(&self, offset: u64) -> usize {
        offset as usize & (self.cluster_size() - 1) // the low bits are all that is wanted
    }

    fn read_cluster(&mut self, guest: u64, within: usize, part: &mut [u8]) -> Result<(), Error> {
        match self.mapping(guest)? {
            Mapping::Zero => part.fill(0),
            Mapping::Standard { offset } => self.read_standard(guest, offset, within, part)?,
            Mapping::Compressed(piece) => {
                let cluster = self.decompressed(guest, piece)?;
                part.copy_from_slice(&cluster[within..within + part.len()]);
            }
        }
        Ok(())
    }

    fn mapping(&mut self, guest: u64) -> Result<Mapping, Error> {
        let l2_bits = self.cluster_bits - 3;
        // OK to unwrap: the L1 table was read for the whole size and has at most 4 Mi entries.
        let l1_index = usize::try_from(guest >> l2_bits).unwrap();
        let cluster_bits = self.cluster_bits;
        match l2_table_offset(self.l1[l1_index]) {
            0 => Ok(Mapping::Zero),
            offset => {
                let entries = self.l2_table(offset)?;
                let l2_index = guest as usize & (entries.len() - 1); // the low bits, a table is a power of two long
                Ok(Mapping::parse(entries[l2_index], cluster_bits))
            }
        }
    }

    fn l2_table(&mut self, offset: u64) -> Result<&[u64], Error> {
        let table = match self.l2.take() {
            Some(table) if table.offset == offset => table,
            _ => {
                self.check_alignment("an L2 table", offset)?;
                L2Table {
                    offset,
                    entries: read_table(&self.file, self.file_length, offset, 1 << (self.cluster_bits - 3))?,
                }
            }
        };
        Ok(&self.l2.insert(table).entries)
    }

    fn check_alignment(&self, what: &str, offset: u64) -> Result<(), Error> {
        match offset % (1 << self.cluster_bits) {
            0 => Ok(()),
            _ => Err(Error::invalid(format!("{what} lies at {offset}, not at the start of a cluster"))),
        }
    }

    /// The last cluster of a file may be cut short where the disk ends; QEMU reads zeros there.
    fn read_standard(&self, guest: u64, offset: u64, within: usize, part: &mut [u8]) -> Result<(), Error> {
        self.check_alignment(&format!("guest cluster {guest}"), offset)?;
        self.check_start(guest, offset)?;
        let length = read_to_end_of_file(&self.file, offset + within as u64, part)?;
        part[length..].fill(0);
        Ok(())
    }

    fn check_start(&self, guest: u64, offset: u64) -> Result<(), Error> {
        if offset < self.file_length {
            return Ok(());
        }
        Err(Error::invalid(format!("guest cluster {guest} lies at {offset}, the file ends at {}", self.file_length)))
    }

    fn decompressed(&mut self, guest: u64, piece: Piece) -> Result<&[u8], Error> {
        let mut bytes = match self.cached.take() {
            Some(cached) if cached.guest == guest => return Ok(&self.cached.insert(cached).bytes),
            Some(other) => other.bytes,
            None => vec![0; self.cluster_size()],
        };
        self.check_start(guest, piece.offset)?;
        // At most 4 MiB by the width of the sector count, with clusters of 2 MiB.
        let input = read_up_to(&self.file, piece.offset, piece.length as usize)?;
        self.decode.cluster(guest, &input, &mut bytes)?;
        Ok(&self.cached.insert(CachedCluster { guest, bytes }).bytes)
    }
}

/// `entries` big-endian numbers at `offset`; the file's own length bounds what is allocated.
fn read_table(file: &File, file_length: u64, offset: u64, entries: u64) -> Result<Vec<u64>, Error> {
    let length = entries * 8;
    if offset.checked_add(length).is_none_or(|end| end > file_length) {
        return Err(Error::invalid(format!(
            "a table of {length} bytes at {offset} ends beyond the file of {file_length} bytes"
        )));
    }
    // The length is below the file's and the callers' limits of 32 MiB and one cluster.
    let bytes = read_up_to(file, offset, length as usize)?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Ok(numbers.iter().map(|number| u64::from_be_bytes(*number)).collect())
}

/// Up to `length` bytes at `offset`, fewer where the file ends.
fn read_up_to(file: &File, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; length];
    let length = read_to_end_of_file(file, offset, &mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn read_to_end_of_file(file: &File, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(length) => done += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let length = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.read_at(self.position, &mut buf[..length]).map_err(into_io)?;
        self.position += length as u64;
        Ok(length)
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position =
            position.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start of the disk"))?;
        Ok(self.position)
    }
}
