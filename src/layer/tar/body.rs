//! What follows a header: how many bytes of the stream belong to the entry, and where in the file they go.

use super::header::{BLOCK, Format, Header};
use super::pax::{self, Records};
use super::sparse::{self, Map, Segment, Style};
use super::{Error, Input, Kind, Reader};

/// What is left in the stream of the current entry.
#[derive(Default)]
pub(super) struct Body {
    pub stored: u64,
    pub padding: u64,
    pub sparse: Option<Map>,
}

impl<I: Input> Reader<I> {
    pub(super) fn begin_body(&mut self, stored: u64) -> Result<(), Error> {
        let room = stored.checked_next_multiple_of(BLOCK as u64); // 512
        let room =
            room.ok_or(Error::OutOfRange { at: self.header_at, field: "size", limit: i64::MAX.unsigned_abs() })?;
        self.body = Body { stored, padding: room - stored, sparse: None };
        Ok(())
    }

    /// Sets what follows in the stream; answers the size of the file.
    pub(super) fn decide_body(&mut self, header: &Header, records: &Records, kind: Kind) -> Result<u64, Error> {
        let size = match self.pax(records.number("size"))? {
            Some(size) => size,
            None => self.number(header.size(), "size", u64::MAX)?,
        };
        self.begin_body(size)?;
        if kind != Kind::Regular {
            return self.body_of_a_non_file(header, kind).map(|()| 0);
        }
        match sparse::style(header, records).map_err(|why| Error::Sparse { at: self.header_at, why })? {
            Some(style) => self.sparse(header, records, style),
            None => Ok(size),
        }
    }

    /// Writers put sizes on links and directories with or without data behind. What libarchive does, for all of them: data
    /// is there unless the archive is in a format that has none, or the next block is a header.
    fn body_of_a_non_file(&mut self, header: &Header, kind: Kind) -> Result<(), Error> {
        let body = std::mem::take(&mut self.body);
        let may_have_data = match kind {
            Kind::Hardlink => self.is_pax || header.format() == Format::Ustar,
            _ => true,
        };
        if body.stored == 0 || !may_have_data {
            return Ok(());
        }
        let block = self.block("a file")?.ok_or(Error::Truncated { at: self.input.at, what: "a file" })?;
        if (kind != Kind::Hardlink || !self.is_pax) && !block.is_end() && block.checksum_is_right() {
            self.peeked = Some(block);
            return Ok(());
        }
        // The block that was taken to be looked at is gone from the room, which is a multiple of it.
        self.body.stored = body.stored + body.padding - BLOCK as u64;
        Ok(())
    }

    fn sparse(&mut self, header: &Header, records: &Records, style: Style) -> Result<u64, Error> {
        let at = self.header_at;
        let wrong = |why| Error::Sparse { at, why };
        let (segments, real_size) = match style {
            Style::Old => (self.old_map(header)?, self.number_of(sparse::old_real_size(header), "sparse size")?),
            Style::InRecords => (
                sparse::segments_in_records(records).map_err(wrong)?,
                self.pax(records.number("GNU.sparse.size"))?.ok_or(wrong("it has no size"))?,
            ),
            Style::BeforeData => (
                self.map_before_data()?,
                self.pax(records.number("GNU.sparse.realsize"))?.ok_or(wrong("it has no size"))?,
            ),
        };
        self.body.sparse = Some(Map::new(segments, real_size, self.body.stored).map_err(wrong)?);
        Ok(real_size)
    }

    fn old_map(&mut self, header: &Header) -> Result<Vec<Segment>, Error> {
        let (mut segments, mut more) = self.number_of(sparse::old_segments(header, true), "sparse map")?;
        while more {
            let block = self.block("a sparse map")?;
            let block = block.ok_or(Error::Truncated { at: self.input.at, what: "a sparse map" })?;
            let (further, again) = self.number_of(sparse::old_segments(&block, false), "sparse map")?;
            segments.extend(further);
            more = again;
            self.check_count(segments.len())?;
        }
        Ok(segments)
    }

    /// Format 1.0: decimal numbers, each on a line: the count of segments, then their pairs; padded to a block.
    fn map_before_data(&mut self) -> Result<Vec<Segment>, Error> {
        let at = self.header_at;
        let wrong = |why| Error::Sparse { at, why };
        let mut numbers = Vec::new();
        let mut line = Vec::new();
        loop {
            let left = self.body.stored.checked_sub(BLOCK as u64).ok_or(wrong("it is longer than the file"))?;
            let block =
                self.block("a sparse map")?.ok_or(Error::Truncated { at: self.input.at, what: "a sparse map" })?;
            self.body.stored = left;
            for &byte in &block.0 {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                numbers.push(pax::decimal(&line).map_err(wrong)?);
                line.clear();
                self.check_count(usize::try_from(numbers[0]).unwrap_or(usize::MAX))?;
                if numbers.len() as u64 == 1 + 2 * numbers[0] {
                    return sparse::pairs(&numbers[1..]).map_err(wrong);
                }
            }
            if line.len() > 20 {
                return Err(wrong("one of its numbers has more than 20 digits"));
            }
        }
    }

    fn check_count(&self, segments: usize) -> Result<(), Error> {
        let why = "it has more than 1048576 segments";
        if segments > sparse::MOST_SEGMENTS { Err(Error::Sparse { at: self.header_at, why }) } else { Ok(()) }
    }
}
