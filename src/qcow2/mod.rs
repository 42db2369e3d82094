//! qcow2 images (QEMU `docs/interop/qcow2.rst`): a one-pass writer of version 3, a reader of versions 2 and 3.
//!
//! The writer takes clusters in guest order, already compressed, so that any number of [`Encoder`]s can work ahead of it
//! and the bytes still come out the same. Backing files, snapshots, encryption, external data files and extended L2
//! entries are not here: the writer never makes them and the reader refuses them. Knows nothing of partitions.

mod decode;
mod encode;
mod entry;
mod header;
mod read;
mod refcount;
mod write;

pub use encode::Encoder;
pub use read::Reader;
pub use write::Writer;

/// Bytes of one cluster of the images that [`Writer`] makes; QEMU's own default.
pub const CLUSTER: usize = 1 << CLUSTER_BITS;

const CLUSTER_BITS: u32 = 16;

/// The unit of a disk's size and of the length of a compressed cluster, in bytes.
const SECTOR: u64 = 512;

/// How an image stores the clusters that are worth compressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Every cluster as it is.
    None,
    /// Raw deflate; every QEMU reads it.
    Zlib,
    /// Zstandard frames; QEMU 5.1 and later read them, most cloud importers do not.
    Zstd,
}

/// One guest cluster, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Nothing but zeros; takes no room.
    Zero,
    /// [`CLUSTER`] bytes as the guest sees them.
    Plain(Vec<u8>),
    /// Fewer than [`CLUSTER`] bytes in the image's compression.
    Compressed(Vec<u8>),
}

/// Why an image cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Not transparent: what asks for the cause of a failed write has to find it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("a disk of {size} bytes is not a whole number of {SECTOR}-byte sectors")]
    SizeNotInSectors { size: u64 },
    #[error("a disk of {size} bytes needs an L1 table of {need} entries, QEMU reads at most {most}")]
    DiskTooLarge { size: u64, need: u64, most: u64 },
    #[error("guest cluster {given} came after {previous}; clusters have to come in increasing order")]
    OutOfOrder { given: u64, previous: u64 },
    #[error("guest cluster {given} is beyond the end of the disk, which has {clusters} clusters")]
    BeyondDisk { given: u64, clusters: u64 },
    #[error("guest cluster {guest} has {length} bytes, where {wanted} were expected")]
    ClusterLength { guest: u64, length: usize, wanted: &'static str },
    #[error("guest cluster {guest} is compressed, but the image was started without compression")]
    NotCompressed { guest: u64 },
    #[error("a cluster of {length} bytes cannot be encoded; a cluster has at most {CLUSTER}")]
    InputLength { length: usize },
    #[error("compression failed: {0}")]
    Compress(String),
    #[error("host cluster {host} is shared by more than 65535 compressed clusters")]
    RefcountOverflow { host: u64 },
    #[error("not a qcow2 image: it starts with {magic:#010x} instead of 0x514649fb")]
    NotQcow2 { magic: u32 },
    #[error("this qcow2 image {what}, which is not supported")]
    Unsupported { what: String },
    #[error("invalid qcow2 image: {what}")]
    Invalid { what: String },
    #[error("{length} bytes at {offset} are not within the disk of {size} bytes")]
    OutsideDisk { offset: u64, length: usize, size: u64 },
}

impl Error {
    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }
}
