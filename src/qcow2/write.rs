//! Writes qcow2 version 3 images in one pass: data from the second cluster on, then L2 tables, L1 table, refcount blocks
//! and refcount table, the header last, so that a half-written file is no qcow2 image.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};

use zerocopy::IntoBytes;

use super::entry::{Piece, standard};
use super::header::{Header, MAX_L1_ENTRIES};
use super::refcount::Refcounts;
use super::{CLUSTER, CLUSTER_BITS, Cluster, Compression, Error, SECTOR};

const CLUSTER_U64: u64 = CLUSTER as u64;
const L2_ENTRIES: usize = CLUSTER / size_of::<u64>();
/// Bytes collected before they go to the file: larger writes gain nothing, smaller ones cost system calls.
const BUFFER: usize = 1 << 20;
/// Plain clusters that wait while compressed ones fill host clusters to the last byte. Each batch costs half a cluster of
/// padding on average; without waiting, every plain cluster among compressed ones (packed modules, firmware) would.
const WAITING: usize = 16;

/// Appends clusters to an image. Holds 8 bytes per guest cluster that is not zero (rounded up to whole L2 tables),
/// 2 bytes per host cluster and about 2 MiB of data.
pub struct Writer<F> {
    out: Appender<F>,
    header: Header,
    compression: Compression,
    next_guest: u64,
    l2_tables: BTreeMap<u64, Box<[u64]>>,
    refcounts: Refcounts,
    waiting: Vec<(u64, Vec<u8>)>,
}

impl<F: Write + Seek> Writer<F> {
    /// Starts an image of a disk of `virtual_size` bytes in `file`, which has to be empty.
    ///
    /// # Errors
    /// A size that is not in whole sectors or that QEMU would not open; an I/O error.
    pub fn new(mut file: F, virtual_size: u64, compression: Compression) -> Result<Self, Error> {
        if !virtual_size.is_multiple_of(SECTOR) {
            return Err(Error::SizeNotInSectors { size: virtual_size });
        }
        let header = Header::new(virtual_size, compression);
        if header.l1_entries() > MAX_L1_ENTRIES {
            return Err(Error::DiskTooLarge { size: virtual_size, need: header.l1_entries(), most: MAX_L1_ENTRIES });
        }
        file.seek(SeekFrom::Start(0))?;
        let mut out = Appender { file, buffer: Vec::with_capacity(BUFFER + 2 * CLUSTER), position: 0 };
        let mut refcounts = Refcounts::default();
        out.append(&[0; CLUSTER])?;
        refcounts.add(0, CLUSTER_U64)?;
        Ok(Self { out, header, compression, next_guest: 0, l2_tables: BTreeMap::new(), refcounts, waiting: Vec::new() })
    }

    /// Stores the guest cluster with index `guest_cluster`. Clusters that are left out read as zeros.
    ///
    /// # Errors
    /// An index that does not increase or lies beyond the disk, a cluster of the wrong length, an I/O error.
    pub fn append(&mut self, guest_cluster: u64, cluster: Cluster) -> Result<(), Error> {
        self.check_index(guest_cluster)?;
        match cluster {
            Cluster::Zero => {}
            Cluster::Plain(bytes) => self.plain(guest_cluster, bytes)?,
            Cluster::Compressed(bytes) => self.compressed(guest_cluster, &bytes)?,
        }
        self.next_guest = guest_cluster + 1;
        Ok(())
    }

    /// Writes the tables and the header and gives the file back. It is a whole number of clusters long.
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish(mut self) -> Result<F, Error> {
        self.write_waiting()?;
        self.out.align()?;
        let l1 = self.write_l2_tables()?;
        self.write_l1_table(&l1)?;
        let refcounts = self.refcounts.close(self.out.position)?;
        self.out.append(&refcounts.bytes)?;
        self.header.refcount_table_offset = refcounts.table_offset.into();
        self.header.refcount_table_clusters = table_length(refcounts.table_clusters)?.into();
        self.out.finish(&self.header)
    }

    fn check_index(&self, given: u64) -> Result<(), Error> {
        let clusters = self.header.size.get().div_ceil(CLUSTER_U64);
        if given >= clusters {
            return Err(Error::BeyondDisk { given, clusters });
        }
        if given < self.next_guest {
            return Err(Error::OutOfOrder { given, previous: self.next_guest - 1 });
        }
        Ok(())
    }

    fn plain(&mut self, guest: u64, bytes: Vec<u8>) -> Result<(), Error> {
        if bytes.len() != CLUSTER {
            return Err(Error::ClusterLength { guest, length: bytes.len(), wanted: "65536" });
        }
        if self.out.is_aligned() {
            return self.write_plain(guest, &bytes);
        }
        self.waiting.push((guest, bytes));
        if self.waiting.len() == WAITING { self.write_waiting() } else { Ok(()) }
    }

    fn compressed(&mut self, guest: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.compression == Compression::None {
            return Err(Error::NotCompressed { guest });
        }
        if bytes.is_empty() || bytes.len() >= CLUSTER {
            return Err(Error::ClusterLength { guest, length: bytes.len(), wanted: "1 to 65535" });
        }
        let piece = Piece { offset: self.out.position, length: bytes.len() as u64 };
        self.out.append(bytes)?;
        self.refcounts.add(piece.offset, piece.length)?;
        self.map(guest, piece.entry(CLUSTER_BITS));
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.out.align()?;
        for (guest, bytes) in std::mem::take(&mut self.waiting) {
            self.write_plain(guest, &bytes)?;
        }
        Ok(())
    }

    fn write_plain(&mut self, guest: u64, bytes: &[u8]) -> Result<(), Error> {
        let offset = self.write_clusters(bytes)?;
        self.map(guest, standard(offset));
        Ok(())
    }

    /// Appends whole clusters that have one user each; their host offset.
    fn write_clusters(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let offset = self.out.position;
        self.out.append(bytes)?;
        self.refcounts.add(offset, bytes.len() as u64)?;
        Ok(offset)
    }

    fn map(&mut self, guest: u64, entry: u64) {
        let table = self.l2_tables.entry(guest / L2_ENTRIES as u64).or_insert_with(|| vec![0; L2_ENTRIES].into());
        table[(guest % L2_ENTRIES as u64) as usize] = entry; // below L2_ENTRIES
    }

    /// Appends the L2 tables that exist; the L1 entries that point at them, without those after the last.
    fn write_l2_tables(&mut self) -> Result<Vec<u64>, Error> {
        let mut l1 = Vec::new();
        for (index, table) in std::mem::take(&mut self.l2_tables) {
            let offset = self.write_clusters(&big_endian(&table))?;
            // OK to unwrap: at most MAX_L1_ENTRIES.
            l1.resize(usize::try_from(index).unwrap(), 0);
            l1.push(standard(offset));
        }
        Ok(l1)
    }

    fn write_l1_table(&mut self, l1: &[u64]) -> Result<(), Error> {
        // A disk of 0 bytes gets an entry too, so that its table has a cluster like any other.
        // OK to unwrap: at most MAX_L1_ENTRIES.
        let entries = usize::try_from(self.header.l1_entries().max(1)).unwrap();
        let mut bytes = big_endian(l1);
        bytes.resize((entries * size_of::<u64>()).next_multiple_of(CLUSTER), 0);
        self.header.l1_table_offset = self.write_clusters(&bytes)?.into();
        self.header.l1_size = table_length(entries)?.into();
        Ok(())
    }
}

fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_be_bytes()).collect()
}

/// A table's length as the header stores it.
fn table_length(length: usize) -> Result<u32, Error> {
    u32::try_from(length)
        .map_err(|_| Error::invalid(format!("a table of {length} clusters or entries does not fit its header")))
}

/// The file's end: where the next byte goes, and what is not yet written.
struct Appender<F> {
    file: F,
    buffer: Vec<u8>,
    /// Host offset of the next byte appended, the buffer included.
    position: u64,
}

impl<F: Write + Seek> Appender<F> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn is_aligned(&self) -> bool {
        self.position.is_multiple_of(CLUSTER_U64)
    }

    fn align(&mut self) -> Result<(), Error> {
        let padding = self.position.next_multiple_of(CLUSTER_U64) - self.position;
        self.append(&vec![0; padding as usize]) // below CLUSTER
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self, header: &Header) -> Result<F, Error> {
        self.flush()?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(header.as_bytes())?;
        self.file.flush()?;
        Ok(self.file)
    }
}
