//! The inode, 256 bytes. ext4 docs, "Index Nodes".

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::checksum::Seed;
use super::extent;
use super::group_descriptor::halves;
use super::tree::{Inode, Kind, Timestamp};
use super::xattr::INLINE_BYTES;

const EXTENTS_FL: u32 = 0x80000;
const INDEX_FL: u32 = 0x1000;
const IMMUTABLE_FL: u32 = 0x10;
/// Symlink targets up to here are kept in `i_block`, with a NUL after them.
pub const INLINE_TARGET: usize = 59;
/// `i_blocks` counts 512-byte sectors.
const SECTORS_PER_BLOCK: u64 = 8;
/// Bytes of the fields after the first 128 that are in use.
const EXTRA_ISIZE: u16 = 32;

#[derive(Clone, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct RawInode {
    pub i_mode: U16,
    pub i_uid: U16,
    pub i_size_lo: U32,
    pub i_atime: U32,
    pub i_ctime: U32,
    pub i_mtime: U32,
    pub i_dtime: U32,
    pub i_gid: U16,
    pub i_links_count: U16,
    pub i_blocks_lo: U32,
    pub i_flags: U32,
    pub i_version: U32,
    pub i_block: [u8; 60],
    pub i_generation: U32,
    pub i_file_acl_lo: U32,
    pub i_size_high: U32,
    pub i_obso_faddr: U32,
    pub i_blocks_high: U16,
    pub i_file_acl_high: U16,
    pub i_uid_high: U16,
    pub i_gid_high: U16,
    pub i_checksum_lo: U16,
    pub i_reserved: U16,
    pub i_extra_isize: U16,
    pub i_checksum_hi: U16,
    pub i_ctime_extra: U32,
    pub i_mtime_extra: U32,
    pub i_atime_extra: U32,
    pub i_crtime: U32,
    pub i_crtime_extra: U32,
    pub i_version_hi: U32,
    pub i_projid: U32,
    pub xattrs: [u8; INLINE_BYTES],
}

const _: () = assert!(size_of::<RawInode>() == 256);
const _: () = assert!(std::mem::offset_of!(RawInode, i_block) == 0x28);
const _: () = assert!(std::mem::offset_of!(RawInode, i_extra_isize) == 0x80);

impl RawInode {
    /// All but what depends on places: `i_block` of what has blocks, `i_blocks`, xattrs, checksum.
    pub fn new(inode: &Inode, links: u16) -> RawInode {
        let mut raw = RawInode::special(inode.kind.mode() | inode.permissions, links);
        [raw.i_uid, raw.i_uid_high] = halves(inode.uid).into();
        [raw.i_gid, raw.i_gid_high] = halves(inode.gid).into();
        (raw.i_atime, raw.i_atime_extra) = time(inode.accessed);
        (raw.i_ctime, raw.i_ctime_extra) = time(inode.changed);
        (raw.i_mtime, raw.i_mtime_extra) = time(inode.modified);
        (raw.i_crtime, raw.i_crtime_extra) = time(inode.created);
        if inode.immutable {
            raw.i_flags |= IMMUTABLE_FL;
        }
        raw.set_kind(&inode.kind);
        raw
    }

    fn set_kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Directory(_) => self.set_extents(extent::EMPTY_ROOT),
            Kind::Regular(data) => {
                self.set_size(data.len);
                self.set_extents(extent::EMPTY_ROOT);
            }
            Kind::Symlink(target) => self.set_target(target),
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => self.set_device(*major, *minor),
            Kind::Fifo | Kind::Socket => {}
        }
    }

    /// An inode without times and owner.
    pub fn special(mode: u16, links: u16) -> RawInode {
        RawInode {
            i_mode: mode.into(),
            i_links_count: links.into(),
            i_extra_isize: EXTRA_ISIZE.into(),
            ..RawInode::new_zeroed()
        }
    }

    /// One time for everything, of inodes that no caller described.
    pub fn with_time(mut self, seconds: i64) -> RawInode {
        let (low, extra) = time(Timestamp { seconds, nanoseconds: 0 });
        (self.i_atime, self.i_ctime, self.i_mtime, self.i_crtime) = (low, low, low, low);
        (self.i_atime_extra, self.i_ctime_extra, self.i_mtime_extra, self.i_crtime_extra) =
            (extra, extra, extra, extra);
        self
    }

    pub fn set_size(&mut self, bytes: u64) {
        let [low, high] = words(bytes);
        (self.i_size_lo, self.i_size_high) = (low, high);
    }

    /// Makes `i_block` the root of an extent tree.
    pub fn set_extents(&mut self, root: [u8; 60]) {
        self.i_block = root;
        self.i_flags |= EXTENTS_FL;
    }

    pub fn set_indexed(&mut self) {
        self.i_flags |= INDEX_FL;
    }

    fn set_target(&mut self, target: &[u8]) {
        self.set_size(target.len() as u64); // at most 4095
        match self.i_block.get_mut(..target.len()) {
            Some(place) if target.len() <= INLINE_TARGET => place.copy_from_slice(target),
            _ => self.set_extents(extent::EMPTY_ROOT),
        }
    }

    /// The old encoding where both numbers are below 256, else the new one in the second word.
    fn set_device(&mut self, major: u32, minor: u32) {
        if major < 256 && minor < 256 {
            self.i_block[..4].copy_from_slice(&(major << 8 | minor).to_le_bytes());
        } else {
            let number = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
            self.i_block[4..8].copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Counts blocks of content, of the extent tree or of attributes.
    pub fn add_blocks(&mut self, blocks: u64) {
        let sectors = u64::from(self.i_blocks_lo.get()) + (u64::from(self.i_blocks_high.get()) << 32);
        let [low, high] = words(sectors + blocks * SECTORS_PER_BLOCK);
        self.i_blocks_lo = low;
        self.i_blocks_high = halves(high.get()).0; // 2^32 blocks are 2^35 sectors
    }

    pub fn set_xattr_block(&mut self, block: u32) {
        self.i_file_acl_lo = block.into();
        self.add_blocks(1);
    }

    /// To be called last.
    pub fn seal(&mut self, number: u32, seed: Seed) {
        let checksum = seed.of_inode(number).checksum(self.as_bytes());
        (self.i_checksum_lo, self.i_checksum_hi) = halves(checksum);
    }
}

/// Low and high 32 bits.
pub fn words(value: u64) -> [U32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [U32::from_bytes([a, b, c, d]), U32::from_bytes([e, f, g, h])]
}

/// Signed 32 bits of seconds; beside the nanoseconds two more bits, in units of 2^32 seconds.
fn time(time: Timestamp) -> (U32, U32) {
    const FIRST: i64 = -(1 << 31);
    const LAST: i64 = FIRST + (1 << 34) - 1;
    let seconds = time.seconds.clamp(FIRST, LAST);
    let [low, _] = words(seconds.cast_unsigned());
    // `low` is read back with its sign, so the epoch counts from the middle of 32 bits.
    let [epoch, _] = words(((seconds - FIRST) >> 32).cast_unsigned()); // 0 to 3
    (low, (time.nanoseconds << 2 | epoch.get()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_two_epoch_bits_as_the_kernel_documents() {
        // ext4 docs, "Inode Timestamps": the table of epochs.
        for (seconds, low, epoch) in [
            (-1, 0xffff_ffff, 0),
            (0x7fff_ffff, 0x7fff_ffff, 0),
            (0x8000_0000, 0x8000_0000, 1),
            (0x1_0000_0000, 0, 1),
            (0x3_7fff_ffff, 0x7fff_ffff, 3),
            (i64::MAX, 0x7fff_ffff, 3),
            (i64::MIN, 0x8000_0000, 0),
        ] {
            let (got, extra) = time(Timestamp { seconds, nanoseconds: 7 });
            assert_eq!((got.get(), extra.get()), (low, 7 << 2 | epoch), "{seconds}");
        }
    }

    #[test]
    fn blocks_are_counted_in_sectors_beyond_32_bits() {
        let mut raw = RawInode::special(0, 1);
        raw.add_blocks(1 << 29);
        raw.add_blocks(1);
        assert_eq!((raw.i_blocks_lo.get(), raw.i_blocks_high.get()), (8, 1));
    }
}
