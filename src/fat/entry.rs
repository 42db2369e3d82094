//! The 32-byte slots of a directory: the entry proper and the pieces of a long name before it.
//!
//! Spec: "FAT Directory Structure", "Long File Name Implementation".

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Cluster;
use super::time::Stamp;

/// Bytes of a slot.
pub const SLOT: usize = 32;
/// UTF-16 units in one long-name slot.
pub const UNITS: usize = 13;
pub const ATTR_VOLUME_ID: u8 = 0x08;
pub const ATTR_DIRECTORY: u8 = 0x10;
pub const ATTR_ARCHIVE: u8 = 0x20;
pub const ATTR_LONG_NAME: u8 = 0x0f;
/// The defined bits, by which a long-name slot is told from others.
pub const ATTR_MASK: u8 = 0x3f;
/// Marks the last piece of a long name, which comes first on disk.
pub const LAST_LONG_ENTRY: u8 = 0x40;

/// Directory entry with the short name.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Entry {
    pub name: [u8; 11],
    pub attr: u8,
    pub nt_res: u8,
    pub crt_time_tenth: u8,
    pub crt_time: U16,
    pub crt_date: U16,
    pub lst_acc_date: U16,
    pub fst_clus_hi: U16,
    pub wrt_time: U16,
    pub wrt_date: U16,
    pub fst_clus_lo: U16,
    pub file_size: U32,
}
const _: () = assert!(size_of::<Entry>() == SLOT);

/// One piece of a long name.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct LongEntry {
    pub ord: u8,
    pub name1: [U16; 5],
    pub attr: u8,
    pub kind: u8,
    pub chksum: u8,
    pub name2: [U16; 6],
    pub fst_clus_lo: U16,
    pub name3: [U16; 2],
}
const _: () = assert!(size_of::<LongEntry>() == SLOT);

impl Entry {
    /// An entry whose three times are all `stamp`.
    pub fn new(name: [u8; 11], attr: u8, stamp: Stamp, first: Cluster, file_size: u32) -> Self {
        let [lo0, lo1, hi0, hi1] = first.0.to_le_bytes();
        Self {
            name,
            attr,
            nt_res: 0,
            crt_time_tenth: stamp.tenth,
            crt_time: stamp.time.into(),
            crt_date: stamp.date.into(),
            lst_acc_date: stamp.date.into(),
            fst_clus_hi: U16::from_bytes([hi0, hi1]),
            wrt_time: stamp.time.into(),
            wrt_date: stamp.date.into(),
            fst_clus_lo: U16::from_bytes([lo0, lo1]),
            file_size: file_size.into(),
        }
    }
}

impl LongEntry {
    /// The slots of a long name of at most 255 units, in disk order: last piece first.
    pub fn of_name(name: &str, short: &[u8; 11]) -> Vec<Self> {
        let units: Vec<u16> = name.encode_utf16().collect();
        let pieces = units.chunks(UNITS).zip(1u8..).map(|(piece, ord)| {
            let last = usize::from(ord) * UNITS >= units.len();
            let ord = if last { ord | LAST_LONG_ENTRY } else { ord };
            Self::piece(piece, ord, checksum(short))
        });
        let mut slots: Vec<Self> = pieces.collect();
        slots.reverse();
        slots
    }

    /// A piece that is not full ends with a zero unit and is filled up with ones.
    fn piece(units: &[u16], ord: u8, chksum: u8) -> Self {
        let unit = |index: usize| match index.cmp(&units.len()) {
            std::cmp::Ordering::Less => U16::new(units[index]),
            std::cmp::Ordering::Equal => U16::ZERO,
            std::cmp::Ordering::Greater => U16::MAX_VALUE,
        };
        Self {
            ord,
            name1: std::array::from_fn(unit),
            attr: ATTR_LONG_NAME,
            kind: 0,
            chksum,
            name2: std::array::from_fn(|index| unit(5 + index)),
            fst_clus_lo: U16::ZERO,
            name3: std::array::from_fn(|index| unit(11 + index)),
        }
    }

    /// The 13 units of this piece.
    pub fn units(&self) -> impl Iterator<Item = u16> {
        let all = self.name1.iter().chain(&self.name2).chain(&self.name3);
        all.map(|unit| unit.get())
    }
}

/// `ChkSum()` of the spec: ties the long name to the short one.
pub fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_13_units_fills_one_slot_and_has_no_end_mark() {
        let slots = LongEntry::of_name("thirteen-unit", b"THIRTE~1   ");
        assert_eq!(slots.len(), 1);
        assert_eq!(slots[0].ord, 0x41);
        assert!(slots[0].units().all(|unit| unit != 0 && unit != 0xffff));
    }

    #[test]
    fn a_name_of_14_units_ends_with_zero_then_ones_in_the_first_slot() {
        let slots = LongEntry::of_name("fourteen-units", b"FOURTE~1   ");
        assert_eq!([slots[0].ord, slots[1].ord], [0x42, 1]);
        assert!(slots[0].units().eq([0x73, 0].into_iter().chain([0xffff; 11])));
    }
}
