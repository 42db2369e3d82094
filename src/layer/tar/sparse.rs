//! Sparse files: which ranges of a file stand in the archive (GNU tar manual, "Storing Sparse Files").

use super::header::{self, Header, NotANumber};
use super::pax::{self, Records};

/// A range of the file whose bytes stand in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub len: u64,
}

/// The whole map: increasing segments inside the file. Everything else in it is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    pub segments: Vec<Segment>,
    pub real_size: u64,
}

/// How the map of a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// In the header and the blocks after it.
    Old,
    /// Formats 0.0 and 0.1: in the extended header.
    InRecords,
    /// Format 1.0: before the data.
    BeforeData,
}

/// More segments than this are refused: each costs memory.
pub const MOST_SEGMENTS: usize = 1 << 20;

impl Map {
    /// Checks that the segments increase, lie inside the file, and together are the `stored` bytes of the archive.
    pub fn new(mut segments: Vec<Segment>, real_size: u64, stored: u64) -> Result<Self, &'static str> {
        segments.retain(|segment| segment.len > 0);
        let (mut end, mut sum) = (0, 0_u64);
        for segment in &segments {
            if segment.offset < end {
                return Err("its segments overlap or are out of order");
            }
            end = segment.offset.checked_add(segment.len).ok_or("a segment ends beyond 2^64")?;
            sum += segment.len; // not more than `end`
        }
        if end > real_size {
            return Err("a segment ends beyond the end of the file");
        }
        if sum != stored {
            return Err("its segments are not as long as the data in the archive");
        }
        Ok(Self { segments, real_size })
    }
}

/// Which style applies, if the file is sparse at all.
pub fn style(header: &Header, records: &Records) -> Result<Option<Style>, &'static str> {
    let version = (records.number("GNU.sparse.major")?, records.number("GNU.sparse.minor")?);
    Ok(match version {
        (Some(1), Some(0)) => Some(Style::BeforeData),
        (Some(0), _) => Some(Style::InRecords),
        (None, _) if records.get("GNU.sparse.size").is_some() => Some(Style::InRecords),
        (None, _) if header.typeflag() == b'S' => Some(Style::Old),
        (None, _) => None,
        _ => return Err("its format is none of 0.0, 0.1 and 1.0"),
    })
}

/// The map of the formats 0.0 and 0.1.
pub fn segments_in_records(records: &Records) -> Result<Vec<Segment>, &'static str> {
    let Some(map) = records.get("GNU.sparse.map") else { return records.sparse_pairs() };
    let numbers = map.split(|&byte| byte == b',').map(pax::decimal).collect::<Result<Vec<_>, _>>()?;
    pairs(&numbers)
}

/// Offset, length, offset, length …
pub fn pairs(numbers: &[u64]) -> Result<Vec<Segment>, &'static str> {
    if numbers.len() % 2 == 1 {
        return Err("an offset has no length");
    }
    Ok(numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], len: pair[1] }).collect())
}

/// The real size in a header of the old style.
pub fn old_real_size(header: &Header) -> Result<u64, NotANumber> {
    header::number(&header.0[483..495])
}

/// The segments in an old header or in one of the blocks after it, and whether another block follows.
pub fn old_segments(block: &Header, is_header: bool) -> Result<(Vec<Segment>, bool), NotANumber> {
    let (table, extended) = if is_header { (386..482, 482) } else { (0..504, 504) };
    let mut segments = Vec::new();
    for entry in block.0[table].chunks_exact(24) {
        if entry[0] == 0 {
            break;
        }
        segments.push(Segment { offset: header::number(&entry[..12])?, len: header::number(&entry[12..])? });
    }
    Ok((segments, block.0[extended] != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(segments: &[(u64, u64)], real_size: u64, stored: u64) -> Result<Map, &'static str> {
        Map::new(segments.iter().map(|&(offset, len)| Segment { offset, len }).collect(), real_size, stored)
    }

    #[test]
    fn the_empty_segment_that_marks_the_end_is_dropped() {
        assert_eq!(map(&[(0, 1), (9, 0)], 9, 1).unwrap().segments.len(), 1);
    }

    #[test]
    fn maps_that_contradict_the_file_are_refused() {
        assert!(map(&[(4, 2), (5, 1)], 9, 3).is_err(), "overlap");
        assert!(map(&[(8, 2)], 9, 2).is_err(), "beyond the end");
        assert!(map(&[(u64::MAX, 2)], u64::MAX, 2).is_err(), "overflow");
        assert!(map(&[(0, 2)], 9, 3).is_err(), "more data than segments");
        assert!(pairs(&[1, 2, 3]).is_err());
    }
}
