//! syslinux (extlinux) for BIOS on a filesystem that has been laid out: its loader knows by sector numbers where it lies.
//!
//! Written after the format of syslinux 6 (`doc/`, `libinstaller/syslxint.h`), and nothing of syslinux runs here. The loader
//! itself exists in distributions only inside of the installer's ELF file, and is cut out of there.

mod boot_sector;
mod carve;
mod ldlinux_sys;

pub use boot_sector::{MBR_CODE, Partition, Volume, boot_sector, mbr_code};
pub use carve::Loader;
pub use ldlinux_sys::{file_bytes, patch};

/// Bytes of a sector; syslinux knows no others.
pub const SECTOR: usize = 512;

/// Where the parts of the loader name each other.
const MAGIC: u32 = 0x3eb2_02fe;

/// Why these files make no syslinux.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the installer is no ELF file")]
    NotElf,

    #[error("the installer has no {0} in it")]
    NotThere(&'static str),

    #[error("ldlinux.sys is not what syslinux 6 has: {0}")]
    Malformed(&'static str),

    #[error("ldlinux.sys lies in {pieces} pieces, and its list holds {limit}")]
    TooManyPieces { pieces: usize, limit: usize },

    #[error("the directory `{directory}` is longer than the {limit} bytes that ldlinux.sys keeps")]
    DirectoryTooLong { directory: String, limit: usize },

    #[error("{given} sectors were found for the {need} of ldlinux.sys")]
    WrongMap { need: usize, given: usize },

    #[error("`{file}` has {bytes} bytes, and the first sector has room for {limit}", limit = MBR_CODE)]
    MbrTooLong { file: String, bytes: usize },
}

/// Two or four bytes at an offset, little-endian; nothing beyond the end.
fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    word(bytes, at).map(|bytes| usize::from(u16::from_le_bytes(bytes)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    word(bytes, at).map(u32::from_le_bytes)
}
