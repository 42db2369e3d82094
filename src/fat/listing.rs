//! What the slots of a foreign directory say. Pure: bytes in, names out.

use zerocopy::FromBytes;

use super::Cluster;
use super::entry::{
    ATTR_DIRECTORY, ATTR_LONG_NAME, ATTR_MASK, ATTR_VOLUME_ID, Entry, LAST_LONG_ENTRY, LongEntry, SLOT, UNITS, checksum,
};

/// First byte of a slot that ends the directory, and of one that is free.
const END: u8 = 0;
const FREE: u8 = 0xe5;
/// Bits of `nt_res`: main part or extension are shown in lower case.
const LOWER_MAIN: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;

/// A file or directory other than `.` and `..`.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// The long name if there is one; never with a slash or a control character, those become U+FFFD.
    pub name: String,
    pub short: String,
    pub kind: Kind,
    pub first: Cluster,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File { size: u32 },
    Directory,
}

/// The files and directories of a directory's bytes.
pub fn entries(directory: &[u8]) -> impl Iterator<Item = Listed> {
    let mut long = LongName::default();
    used_slots(directory).filter_map(move |slot| {
        let attr = slot[11] & ATTR_MASK;
        // OK to unwrap, twice: a slot is 32 bytes, as both structures.
        if attr == ATTR_LONG_NAME {
            long.add(&LongEntry::read_from_bytes(slot).unwrap());
            return None;
        }
        let long = std::mem::take(&mut long);
        let is_file_or_directory = attr & ATTR_VOLUME_ID == 0 && slot[0] != FREE && slot[0] != b'.';
        is_file_or_directory.then(|| listed(&Entry::read_from_bytes(slot).unwrap(), &long))
    })
}

/// The label entry of a root directory.
pub fn volume_label(directory: &[u8]) -> Option<[u8; 11]> {
    let is_label = |slot: &&[u8]| slot[0] != FREE && slot[11] & ATTR_MASK & !0x20 == ATTR_VOLUME_ID;
    let slot = used_slots(directory).find(is_label)?;
    slot[..11].try_into().ok()
}

fn used_slots(directory: &[u8]) -> impl Iterator<Item = &[u8]> {
    directory.chunks_exact(SLOT).take_while(|slot| slot[0] != END)
}

fn listed(entry: &Entry, long: &LongName) -> Listed {
    let short = short_name(entry);
    let [lo0, lo1] = entry.fst_clus_lo.to_bytes();
    let [hi0, hi1] = entry.fst_clus_hi.to_bytes();
    Listed {
        name: long.of(&entry.name).unwrap_or_else(|| short.clone()),
        short,
        kind: match entry.attr & ATTR_DIRECTORY {
            0 => Kind::File { size: entry.file_size.get() },
            _ => Kind::Directory,
        },
        first: Cluster(u32::from_le_bytes([lo0, lo1, hi0, hi1])),
    }
}

fn short_name(entry: &Entry) -> String {
    let (main, extension) = entry.name.split_at(8);
    let part = |bytes: &[u8], lower: u8| {
        let shown: String =
            bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect();
        let shown = if entry.nt_res & lower == 0 { shown } else { shown.to_ascii_lowercase() };
        printable(shown.trim_end_matches(' ').chars())
    };
    match (part(main, LOWER_MAIN), part(extension, LOWER_EXTENSION)) {
        (main, extension) if extension.is_empty() => main,
        (main, extension) => format!("{main}.{extension}"),
    }
}

fn printable(characters: impl Iterator<Item = char>) -> String {
    characters.map(|c| if c == '/' || c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The pieces of a long name met so far; empty when they do not follow one another as they should.
#[derive(Default)]
struct LongName {
    /// Pieces as on disk, the last one first.
    pieces: Vec<[u16; UNITS]>,
    /// `ord` of the piece met last, without its flag.
    ord: u8,
    chksum: u8,
}

impl LongName {
    fn add(&mut self, entry: &LongEntry) {
        let ord = entry.ord & !LAST_LONG_ENTRY;
        let first = entry.ord & LAST_LONG_ENTRY != 0 && ord <= 20;
        let next = ord > 0 && ord + 1 == self.ord && entry.chksum == self.chksum;
        if first || !next {
            self.pieces.clear();
        }
        self.ord = if first || next { ord } else { 0 };
        self.chksum = entry.chksum;
        if first || next {
            let mut units = entry.units();
            self.pieces.push(std::array::from_fn(|_| units.next().unwrap_or(0)));
        }
    }

    /// The name, if it is complete and belongs to this short one.
    fn of(&self, short: &[u8; 11]) -> Option<String> {
        if self.ord != 1 || self.chksum != checksum(short) {
            return None;
        }
        let units = self.pieces.iter().rev().flatten().copied().take_while(|unit| *unit != 0);
        let name = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        Some(printable(name)).filter(|name| !name.is_empty())
    }
}
