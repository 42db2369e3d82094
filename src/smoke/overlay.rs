//! The disk as the guest sees it: an empty qcow2 version 3 file in front of the real one (QEMU `docs/interop/qcow2.rst`).
//!
//! Every write of the guest lands in the overlay, so the disk stays as it is, and the overlay may be larger than the
//! disk. Only the few clusters of an empty image are written here; qcow2 with content is the room `qcow2/`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Error;

const MAGIC: [u8; 4] = *b"QFI\xfb";
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// One L1 entry stands for one L2 table of 8192 clusters.
const BYTES_PER_L1_ENTRY: u64 = CLUSTER / 8 * CLUSTER;
/// Where the L1 table starts: behind header, refcount table and refcount block, one cluster each.
const L1_OFFSET: u64 = 3 * CLUSTER;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const HEADER_LENGTH: u32 = 104;

/// How the bytes of a disk file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFormat {
    Raw,
    Qcow2,
}

impl DiskFormat {
    /// QEMU's name of the driver.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// The format of a disk file, by its first four bytes.
pub fn detect(path: &Path) -> Result<DiskFormat, Error> {
    let mut magic = Vec::new();
    let file = File::open(path).map_err(Error::io("opening", path))?;
    file.take(4).read_to_end(&mut magic).map_err(Error::io("reading", path))?;
    Ok(if magic == MAGIC { DiskFormat::Qcow2 } else { DiskFormat::Raw })
}

/// Bytes the guest would see of this disk.
fn virtual_size(path: &Path, format: DiskFormat) -> Result<u64, Error> {
    let mut file = File::open(path).map_err(Error::io("opening", path))?;
    match format {
        // Seeking, not metadata: a block device has no length of its own.
        DiskFormat::Raw => file.seek(SeekFrom::End(0)).map_err(Error::io("measuring", path)),
        DiskFormat::Qcow2 => {
            let mut header = [0; 32];
            let short = |_| Error::BadQcow2 { path: path.to_owned(), reason: "its header is cut off".into() };
            file.read_exact(&mut header).map_err(short)?;
            // OK to unwrap: eight bytes of 32.
            Ok(u64::from_be_bytes(header[24..32].try_into().unwrap()))
        }
    }
}

/// Writes the overlay for `disk` to `overlay`; `grow_to` in bytes, rounded up to a sector.
pub(super) fn create(overlay: &Path, disk: &Path, format: DiskFormat, grow_to: Option<u64>) -> Result<(), Error> {
    let disk = disk.canonicalize().map_err(Error::io("opening", disk))?;
    let has = virtual_size(&disk, format)?;
    let bytes = match grow_to {
        Some(asked) if asked < has => return Err(Error::Shrinks { has, asked }),
        Some(asked) => asked,
        None => has,
    };
    let size = bytes.checked_next_multiple_of(512).ok_or(Error::TooLarge { bytes })?;
    let name = disk.as_os_str();
    if name.len() > 1023 {
        return Err(Error::PathTooLong { path: disk.clone(), length: name.len() });
    }
    let image = image(size, name, format).ok_or(Error::TooLarge { bytes })?;
    let mut file = File::create_new(overlay).map_err(Error::io("creating", overlay))?;
    file.write_all(&image).map_err(Error::io("writing", overlay))
}

/// The whole empty image; `None` when its L1 table would pass 32 MiB, QEMU's limit.
fn image(size: u64, backing: &OsStr, format: DiskFormat) -> Option<Vec<u8>> {
    let l1_entries = u32::try_from(size.div_ceil(BYTES_PER_L1_ENTRY)).ok().filter(|n| *n <= 32 << 17)?;
    let clusters = 3 + (u64::from(l1_entries) * 8).div_ceil(CLUSTER);
    let mut image = header(size, l1_entries, backing, format)?;
    image.resize(usize::try_from(clusters * CLUSTER).ok()?, 0);

    let refcount_table = usize::try_from(CLUSTER).ok()?;
    image[refcount_table..][..8].copy_from_slice(&(2 * CLUSTER).to_be_bytes());
    let refcount_block = usize::try_from(2 * CLUSTER).ok()?;
    for cluster in 0..usize::try_from(clusters).ok()? {
        image[refcount_block + 2 * cluster..][..2].copy_from_slice(&1_u16.to_be_bytes());
    }
    Some(image)
}

/// Header, the extension that names the backing format, the end of the extensions, the backing file's name.
fn header(size: u64, l1_entries: u32, backing: &OsStr, format: DiskFormat) -> Option<Vec<u8>> {
    let driver = format.driver();
    let extensions = 8 + driver.len().next_multiple_of(8) + 8;
    let name_offset = u64::from(HEADER_LENGTH) + u64::try_from(extensions).ok()?;
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(3_u32.to_be_bytes()); // version
    out.extend(name_offset.to_be_bytes()); // backing_file_offset
    out.extend(u32::try_from(backing.len()).ok()?.to_be_bytes()); // backing_file_size
    out.extend(CLUSTER_BITS.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(0_u32.to_be_bytes()); // crypt_method
    out.extend(l1_entries.to_be_bytes()); // l1_size
    out.extend(L1_OFFSET.to_be_bytes()); // l1_table_offset
    out.extend(CLUSTER.to_be_bytes()); // refcount_table_offset
    out.extend(1_u32.to_be_bytes()); // refcount_table_clusters
    out.extend([0; 4 + 8]); // nb_snapshots, snapshots_offset
    out.extend([0; 3 * 8]); // incompatible, compatible and autoclear features
    out.extend(4_u32.to_be_bytes()); // refcount_order: 16 bits
    out.extend(HEADER_LENGTH.to_be_bytes());
    out.extend(BACKING_FORMAT.to_be_bytes());
    out.extend(u32::try_from(driver.len()).ok()?.to_be_bytes());
    out.extend(driver.bytes());
    out.resize(out.len().next_multiple_of(8), 0);
    out.extend([0; 8]); // end of extensions
    out.extend(backing.as_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backing_name_starts_where_the_header_says() {
        for format in [DiskFormat::Raw, DiskFormat::Qcow2] {
            let out = header(512, 1, OsStr::new("/disk"), format).unwrap();
            let offset = u64::from_be_bytes(out[8..16].try_into().unwrap());
            assert_eq!(&out[usize::try_from(offset).unwrap()..], b"/disk", "{format:?}");
        }
    }

    #[test]
    fn a_disk_of_eight_exbibytes_is_refused() {
        assert!(image(1 << 63, OsStr::new("/disk"), DiskFormat::Raw).is_none());
    }

    #[test]
    fn a_qcow2_file_cut_after_its_magic_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        std::fs::write(&disk, MAGIC).unwrap();
        let result = create(&dir.path().join("overlay"), &disk, DiskFormat::Qcow2, None);
        assert!(matches!(result, Err(Error::BadQcow2 { .. })));
    }
}
