//! `ldlinux.sys` as it lies on the disk: the loader with the numbers of its own sectors in it, and two sectors of settings
//! (the "auxiliary data vector", ADV).
//!
//! The patch area begins at the magic number: {magic u32, instance u32, data sectors u16, ADV sectors u16, dwords u32,
//! checksum u32, sectors per transfer u16, offset of the extended area u16}. The extended area is ten u16, offsets into the
//! file but for the lengths: {ADV pointers, directory, its length, subvolume, its length, extents, their number, low and high
//! word of the first sector in the boot sector, RAID}.

use super::{Error, MAGIC, SECTOR, u16_at, u32_at};

const ADV_SECTORS: usize = 2;
const ADV_MAGIC: [u32; 3] = [0x5a2d_2fa5, 0xa304_1767, 0xdd28_bf64];

const DATA_SECTORS: usize = 8;
const DWORDS: usize = 12;
const CHECKSUM: usize = 16;
const EXTENDED: usize = 22;

/// An extent is {first sector u64, sectors u16}.
const EXTENT: usize = 10;
/// Bytes of a segment; an extent has fewer.
const SEGMENT: usize = 0x1_0000;

/// Bytes of the file on the disk.
pub fn file_bytes(ldlinux_sys: &[u8]) -> usize {
    ldlinux_sys.len().next_multiple_of(SECTOR) + ADV_SECTORS * SECTOR
}

/// The offsets in the boot sector where the first sector's number goes, low and high half.
pub(super) fn first_sector_at(ldlinux_sys: &[u8]) -> Result<[usize; 2], Error> {
    let area = Extended::read(ldlinux_sys)?;
    Ok([area.0[7], area.0[8]])
}

/// The file for a place: `sectors` are those of the file, in order, counted from the start of the partition; `directory` is
/// the one it lies in, from the root of its filesystem.
pub fn patch(ldlinux_sys: &[u8], sectors: &[u64], directory: &str) -> Result<Vec<u8>, Error> {
    let need = file_bytes(ldlinux_sys) / SECTOR;
    if sectors.len() != need {
        return Err(Error::WrongMap { need, given: sectors.len() });
    }
    let area = Extended::read(ldlinux_sys)?;
    let (data, adv) = sectors.split_at(need - ADV_SECTORS);
    let mut image = Image { bytes: ldlinux_sys.to_vec(), magic: magic_at(ldlinux_sys)? };
    image.put(image.magic + DATA_SECTORS, &short(data.len())?)?;
    image.put(image.magic + DATA_SECTORS + 2, &short(ADV_SECTORS)?)?;
    let dwords = u32::try_from(ldlinux_sys.len() / 4).map_err(|_| Error::Malformed("it is too long"))?;
    image.put(image.magic + DWORDS, &dwords.to_le_bytes())?;
    image.put_extents(&area, data.get(1..).unwrap_or_default())?;
    for (index, sector) in adv.iter().enumerate() {
        image.put(area.0[0] + 8 * index, &sector.to_le_bytes())?;
    }
    image.put_directory(&area, directory)?;
    image.put_checksum()?;
    image.bytes.resize(ldlinux_sys.len().next_multiple_of(SECTOR), 0);
    for _ in 0..ADV_SECTORS {
        image.bytes.extend(empty_adv());
    }
    Ok(image.bytes)
}

struct Extended([usize; 10]);

impl Extended {
    fn read(bytes: &[u8]) -> Result<Extended, Error> {
        let cut = || Error::Malformed("it ends before its own tables");
        let at = u16_at(bytes, magic_at(bytes)? + EXTENDED).ok_or_else(cut)?;
        let mut values = [0; 10];
        for (index, value) in values.iter_mut().enumerate() {
            *value = u16_at(bytes, at + 2 * index).ok_or_else(cut)?;
        }
        Ok(Extended(values))
    }
}

fn magic_at(bytes: &[u8]) -> Result<usize, Error> {
    let words = (0..bytes.len()).step_by(4);
    words.into_iter().find(|&at| u32_at(bytes, at) == Some(MAGIC)).ok_or(Error::Malformed("it has no magic number"))
}

fn short(number: usize) -> Result<[u8; 2], Error> {
    u16::try_from(number).map(u16::to_le_bytes).map_err(|_| Error::Malformed("it has too many sectors"))
}

struct Image {
    bytes: Vec<u8>,
    magic: usize,
}

impl Image {
    fn put(&mut self, at: usize, value: &[u8]) -> Result<(), Error> {
        let place = at.checked_add(value.len()).and_then(|end| self.bytes.get_mut(at..end));
        place.ok_or(Error::Malformed("it ends before its own tables"))?.copy_from_slice(value);
        Ok(())
    }

    fn put_extents(&mut self, area: &Extended, sectors: &[u64]) -> Result<(), Error> {
        let (at, limit) = (area.0[5], area.0[6]);
        let extents = extents(sectors);
        if extents.len() > limit {
            return Err(Error::TooManyPieces { pieces: extents.len(), limit });
        }
        let mut table = Vec::with_capacity(limit * EXTENT);
        for (first, len) in extents {
            table.extend(first.to_le_bytes());
            table.extend(short(len)?);
        }
        table.resize(limit * EXTENT, 0);
        self.put(at, &table)
    }

    fn put_directory(&mut self, area: &Extended, directory: &str) -> Result<(), Error> {
        let (at, limit) = (area.0[1], area.0[2]);
        if directory.len() >= limit {
            return Err(Error::DirectoryTooLong { directory: directory.to_owned(), limit: limit.saturating_sub(1) });
        }
        self.put(at, &[directory.as_bytes(), &[0]].concat())
    }

    /// The words of the whole file add up to the magic number.
    fn put_checksum(&mut self) -> Result<(), Error> {
        self.put(self.magic + CHECKSUM, &[0; 4])?;
        let words = (0..self.bytes.len() / 4).filter_map(|index| u32_at(&self.bytes, 4 * index));
        let checksum = words.fold(MAGIC, u32::wrapping_sub);
        self.put(self.magic + CHECKSUM, &checksum.to_le_bytes())
    }
}

/// Runs of neighbouring sectors, each shorter than what one transfer of the BIOS may fill.
fn extents(sectors: &[u64]) -> Vec<(u64, usize)> {
    let mut extents: Vec<(u64, usize)> = Vec::new();
    for &sector in sectors {
        match extents.last_mut() {
            Some((first, len)) if sector == *first + *len as u64 && (*len + 1) * SECTOR < SEGMENT => *len += 1,
            _ => extents.push((sector, 1)),
        }
    }
    extents
}

/// No settings: {head u32, checksum u32, zeros, tail u32}.
fn empty_adv() -> [u8; SECTOR] {
    let [head, sum, tail] = ADV_MAGIC;
    let mut adv = [0; SECTOR];
    adv[..4].copy_from_slice(&head.to_le_bytes());
    adv[4..8].copy_from_slice(&sum.to_le_bytes());
    adv[SECTOR - 4..].copy_from_slice(&tail.to_le_bytes());
    adv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_end_at_gaps_and_before_64_kib() {
        assert_eq!(extents(&[10, 11, 12, 20, 21]), [(10, 3), (20, 2)]);
        let long: Vec<u64> = (100..400).collect();
        assert_eq!(extents(&long), [(100, 127), (227, 127), (354, 46)]);
        assert_eq!(extents(&[]), []);
    }

    #[test]
    fn files_that_are_cut_or_foreign_are_refused() {
        assert!(matches!(patch(&[0; 4096], &[0; 10], "/"), Err(Error::Malformed(_))));
        let mut cut = vec![0; 1024];
        cut[24..28].copy_from_slice(&MAGIC.to_le_bytes());
        cut[46..48].copy_from_slice(&[0xff, 0xff]);
        assert!(matches!(patch(&cut, &[1, 2, 3, 4], "/"), Err(Error::Malformed(_))));
        assert!(matches!(patch(&cut, &[1, 2, 3], "/"), Err(Error::WrongMap { need: 4, given: 3 })));
    }
}
