//! Which filesystem a stretch of the disk holds, by its superblock. As `blkid`, for the kinds that meet on such disks.

use super::Filesystem;
use super::image::Slice;
use crate::fat;

type Probe = fn(&Slice) -> Option<Filesystem>;

/// LUKS and LVM first: what they hold does not show, what was there before them may.
const PROBES: [Probe; 9] = [luks, lvm, ext, xfs, btrfs, swap, erofs, squashfs, vfat];

pub fn probe(slice: &Slice) -> Option<Filesystem> {
    PROBES.iter().find_map(|probe| probe(slice))
}

fn named(kind: &'static str, label: &[u8], uuid: Option<[u8; 16]>) -> Filesystem {
    let label = label.split(|&byte| byte == 0).next().unwrap_or_default();
    let label = Some(String::from_utf8_lossy(label).into_owned()).filter(|label| !label.is_empty());
    let uuid = uuid.map(|bytes| uuid_text(&bytes));
    Filesystem { kind, label, uuid, size: None, used: None, free: None }
}

impl Filesystem {
    fn with_room(self, size: Option<u64>, free: Option<u64>) -> Filesystem {
        let used = size.zip(free).and_then(|(size, free)| size.checked_sub(free));
        Filesystem { size, used, free: used.and(free), ..self }
    }
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        text += &format!("{dash}{byte:02x}");
    }
    text
}

/// ext4 docs, "Super Block".
fn ext(slice: &Slice) -> Option<Filesystem> {
    let superblock: [u8; 1024] = slice.bytes(1024)?;
    let word = |at: usize| u64::from(u32::from_le_bytes([0, 1, 2, 3].map(|byte| superblock[at + byte])));
    if superblock[0x38..0x3a] != [0x53, 0xef] {
        return None;
    }
    let (compatible, incompatible, read_only) = (word(0x5c), word(0x60), word(0x64));
    // What ext3 does not know makes it ext4, the rule of libblkid.
    let kind = match (incompatible & !0x16 != 0 || read_only & !0x7 != 0, compatible & 0x4 != 0) {
        (true, _) => "ext4",
        (false, true) => "ext3",
        (false, false) => "ext2",
    };
    let high = |at: usize| if incompatible & 0x80 != 0 { word(at) << 32 } else { 0 };
    let block = 1024_u64.checked_shl(u32::try_from(word(0x18)).ok().filter(|&log| log <= 6)?)?;
    let size = (word(0x4) | high(0x150)).checked_mul(block);
    let free = (word(0xc) | high(0x158)).checked_mul(block);
    let uuid = superblock[0x68..0x78].try_into().ok();
    Some(named(kind, &superblock[0x78..0x88], uuid).with_room(size, free))
}

/// `xfs_format.h`, `struct xfs_dsb`.
fn xfs(slice: &Slice) -> Option<Filesystem> {
    slice.bytes(0).filter(|magic| magic == b"XFSB")?;
    let block = u64::from(u32::from_be_bytes(slice.bytes(4)?));
    let blocks = |at| Some(u64::from_be_bytes(slice.bytes(at)?)).and_then(|count| count.checked_mul(block));
    Some(named("xfs", &slice.bytes::<12>(108)?, slice.bytes(32)).with_room(blocks(8), blocks(144)))
}

/// btrfs on-disk format, "Superblock", the first copy at 64 KiB.
fn btrfs(slice: &Slice) -> Option<Filesystem> {
    const SUPERBLOCK: u64 = 64 << 10;
    slice.bytes(SUPERBLOCK + 0x40).filter(|magic| magic == b"_BHRfS_M")?;
    let size = u64::from_le_bytes(slice.bytes(SUPERBLOCK + 0x70)?);
    let used = u64::from_le_bytes(slice.bytes(SUPERBLOCK + 0x78)?);
    let label: [u8; 256] = slice.bytes(SUPERBLOCK + 0x12b)?;
    Some(named("btrfs", &label, slice.bytes(SUPERBLOCK + 0x20)).with_room(Some(size), size.checked_sub(used)))
}

/// `include/linux/swap.h`, with pages of 4096 bytes.
fn swap(slice: &Slice) -> Option<Filesystem> {
    slice.bytes(4086).filter(|magic| magic == b"SWAPSPACE2")?;
    Some(named("swap", &slice.bytes::<16>(1052)?, slice.bytes(1036)))
}

fn erofs(slice: &Slice) -> Option<Filesystem> {
    slice.bytes(1024).filter(|magic| *magic == 0xe0f5_e1e2_u32.to_le_bytes())?;
    Some(named("erofs", &slice.bytes::<16>(1088)?, slice.bytes(1072)))
}

fn squashfs(slice: &Slice) -> Option<Filesystem> {
    slice.bytes(0).filter(|magic| magic == b"hsqs")?;
    Some(named("squashfs", b"", None))
}

/// LUKS 1 and 2 have their UUID as text at the same place.
fn luks(slice: &Slice) -> Option<Filesystem> {
    slice.bytes(0).filter(|magic| magic == b"LUKS\xba\xbe")?;
    let uuid: [u8; 40] = slice.bytes(168)?;
    let text = uuid.split(|&byte| byte == 0).next().and_then(|text| std::str::from_utf8(text).ok());
    Some(Filesystem { uuid: text.map(str::to_owned), ..named("crypto_LUKS", b"", None) })
}

fn lvm(slice: &Slice) -> Option<Filesystem> {
    slice.bytes(512).filter(|label| label == b"LABELONE")?;
    slice.bytes(536).filter(|kind| kind == b"LVM2 001")?;
    Some(named("LVM2_member", b"", None))
}

/// The boot sector's own words come from the `fat` room; the room left, where FAT32 keeps count of it, from FSInfo.
fn vfat(slice: &Slice) -> Option<Filesystem> {
    let identity = fat::label_and_id(slice.clone()).ok()?;
    let half = |at| Some(u64::from(u16::from_le_bytes(slice.bytes(at)?)));
    let sectors = match half(19)? {
        0 => u64::from(u32::from_le_bytes(slice.bytes(32)?)),
        few => few,
    };
    let sector = half(11)?;
    let [per_cluster] = slice.bytes(13)?;
    let free = fat32_free_clusters(slice, sector).map(|clusters| clusters * u64::from(per_cluster) * sector);
    let uuid = identity.volume_id.map(|id| format!("{:04X}-{:04X}", id >> 16, id & 0xffff));
    Some(
        Filesystem { label: identity.label, uuid, ..named("vfat", b"", None) }
            .with_room(sectors.checked_mul(sector), free),
    )
}

fn fat32_free_clusters(slice: &Slice, sector: u64) -> Option<u64> {
    // Only FAT32 has no 16-bit count of sectors per FAT.
    slice.bytes(22).filter(|count| *count == [0, 0])?;
    let info = u64::from(u16::from_le_bytes(slice.bytes(48)?)) * sector;
    slice.bytes(info).filter(|magic| magic == b"RRaA")?;
    slice.bytes(info + 484).filter(|magic| magic == b"rrAa")?;
    Some(u32::from_le_bytes(slice.bytes(info + 488)?)).filter(|&count| count != u32::MAX).map(u64::from)
}
