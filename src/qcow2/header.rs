//! The header of a qcow2 image (QEMU `docs/interop/qcow2.rst`, "Header"): one declaration to write and to read it.

use std::mem::{offset_of, size_of};

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{CLUSTER_BITS, Compression, Error};

/// "QFI\xfb".
const MAGIC: u32 = 0x5146_49fb;
/// QEMU's limit on the bytes of an L1 table (`QCOW_MAX_L1_SIZE`); the largest disk follows from it.
const MAX_L1_BYTES: u64 = 32 << 20;
/// Most entries of an L1 table that QEMU reads.
pub const MAX_L1_ENTRIES: u64 = MAX_L1_BYTES / 8;

const INCOMPATIBLE_DIRTY: u64 = 1 << 0;
const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;

const COMPRESSION_TYPE_ZLIB: u8 = 0;
const COMPRESSION_TYPE_ZSTD: u8 = 1;

/// Header of version 3 with the compression type; version 2 ends before `incompatible_features`.
#[derive(Clone, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    pub magic: U32,
    pub version: U32,
    pub backing_file_offset: U64,
    pub backing_file_size: U32,
    pub cluster_bits: U32,
    pub size: U64,
    pub crypt_method: U32,
    pub l1_size: U32,
    pub l1_table_offset: U64,
    pub refcount_table_offset: U64,
    pub refcount_table_clusters: U32,
    pub nb_snapshots: U32,
    pub snapshots_offset: U64,
    pub incompatible_features: U64,
    pub compatible_features: U64,
    pub autoclear_features: U64,
    pub refcount_order: U32,
    pub header_length: U32,
    pub compression_type: u8,
    pub padding: [u8; 7],
}

/// Bytes of the header.
pub const HEADER_LENGTH: u32 = 112;
const _: () = assert!(size_of::<Header>() == HEADER_LENGTH as usize && offset_of!(Header, snapshots_offset) == 64);
const _: () =
    assert!(offset_of!(Header, incompatible_features) == V2_LENGTH && offset_of!(Header, compression_type) == 104);

const V2_LENGTH: usize = 72;
/// `header_length` of an image from before there was a compression type.
const V3_SHORTEST: u32 = 104;

impl Header {
    /// Header of an image that [`super::Writer`] makes; where its tables lie is still to be filled in.
    pub fn new(size: u64, compression: Compression) -> Self {
        let (incompatible_features, compression_type) = match compression {
            Compression::None | Compression::Zlib => (0, COMPRESSION_TYPE_ZLIB),
            Compression::Zstd => (INCOMPATIBLE_COMPRESSION, COMPRESSION_TYPE_ZSTD),
        };
        Self {
            magic: MAGIC.into(),
            version: 3.into(),
            cluster_bits: CLUSTER_BITS.into(),
            size: size.into(),
            incompatible_features: incompatible_features.into(),
            refcount_order: super::refcount::ORDER.into(),
            header_length: HEADER_LENGTH.into(),
            compression_type,
            ..Self::default()
        }
    }

    /// Takes the first bytes of a file, which may be fewer than a header has.
    ///
    /// # Errors
    /// Not qcow2, or a kind of qcow2 that [`super::Reader`] does not read.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut padded = [0; HEADER_LENGTH as usize];
        let length = bytes.len().min(padded.len());
        padded[..length].copy_from_slice(&bytes[..length]);
        let mut header: Self = zerocopy::transmute!(padded);
        if header.magic != MAGIC {
            return Err(Error::NotQcow2 { magic: header.magic.get() });
        }
        header.clear_fields_of_later_versions(length)?;
        header.refuse_unsupported()?;
        header.check_geometry()?;
        Ok(header)
    }

    fn clear_fields_of_later_versions(&mut self, length: usize) -> Result<(), Error> {
        match self.version.get() {
            2 => {
                (self.incompatible_features, self.header_length, self.compression_type) =
                    (0.into(), 72.into(), COMPRESSION_TYPE_ZLIB);
            }
            3 if self.header_length.get() < V3_SHORTEST => {
                return Err(Error::invalid(format!(
                    "its header says it has {} bytes, version 3 has at least 104",
                    self.header_length
                )));
            }
            3 if self.header_length.get() == V3_SHORTEST => self.compression_type = COMPRESSION_TYPE_ZLIB,
            3 => {}
            version => return Err(Error::unsupported(format!("has version {version}"))),
        }
        // A version 3 header may lawfully end at 104, and the file never does: its tables follow.
        if length < self.header_length.get().min(HEADER_LENGTH) as usize {
            return Err(Error::invalid(format!("the file ends after {length} bytes, within the header")));
        }
        Ok(())
    }

    fn refuse_unsupported(&self) -> Result<(), Error> {
        let features = self.incompatible_features.get();
        let known = INCOMPATIBLE_DIRTY | INCOMPATIBLE_COMPRESSION;
        for (is_so, what) in [
            (self.backing_file_offset != 0, "has a backing file"),
            (self.crypt_method != 0, "is encrypted"),
            (features & INCOMPATIBLE_CORRUPT != 0, "is marked as corrupt"),
            (features & INCOMPATIBLE_DATA_FILE != 0, "keeps its data in an external file"),
            (features & INCOMPATIBLE_EXTENDED_L2 != 0, "has extended L2 entries"),
        ] {
            if is_so {
                return Err(Error::unsupported(what));
            }
        }
        match features & !known {
            0 => self.compression().map(|_| ()),
            unknown => Err(Error::unsupported(format!("has the unknown incompatible features {unknown:#x}"))),
        }
    }

    fn check_geometry(&self) -> Result<(), Error> {
        if !(9..=21).contains(&self.cluster_bits.get()) {
            return Err(Error::invalid(format!("cluster_bits is {}, it has to be 9 to 21", self.cluster_bits)));
        }
        let (need, have) = (self.l1_entries(), u64::from(self.l1_size.get()));
        if need > MAX_L1_ENTRIES {
            return Err(Error::DiskTooLarge { size: self.size.get(), need, most: MAX_L1_ENTRIES });
        }
        if have < need {
            return Err(Error::invalid(format!(
                "its L1 table has {have} entries, a disk of {} bytes needs {need}",
                self.size
            )));
        }
        if !self.l1_table_offset.get().is_multiple_of(1 << self.cluster_bits.get()) {
            return Err(Error::invalid(format!(
                "its L1 table lies at {}, not at the start of a cluster",
                self.l1_table_offset
            )));
        }
        Ok(())
    }

    /// How compressed clusters are to be read; images without any say zlib.
    pub fn compression(&self) -> Result<Compression, Error> {
        match self.compression_type {
            COMPRESSION_TYPE_ZLIB => Ok(Compression::Zlib),
            COMPRESSION_TYPE_ZSTD => Ok(Compression::Zstd),
            other => Err(Error::unsupported(format!("has the unknown compression type {other}"))),
        }
    }

    /// L1 entries that the disk's size asks for: one L2 table, of one cluster, maps as many clusters as it has entries.
    pub fn l1_entries(&self) -> u64 {
        let cluster_bits = self.cluster_bits.get();
        self.size.get().div_ceil(1 << (cluster_bits + cluster_bits - 3))
    }
}
