//! From blocks to entries: extended headers are gathered, names and sizes decided, data handed on with its holes.

use super::body::Body;
use super::header::{self, BLOCK, Header, NotANumber};
use super::input::Counted;
use super::pax::Records;
use super::{Entry, Error, Input, Kind, Piece};

/// An extended header with more bytes than this is refused.
const LONGEST_EXTENSION: u64 = 16 << 20;
/// A long name with more bytes than this is refused; Linux takes 4096.
const LONGEST_NAME: u64 = 64 << 10;

/// Reads entries one after the other.
pub struct Reader<I> {
    pub(super) input: Counted<I>,
    pub(super) global: Records,
    /// Where the header of the current entry stands.
    pub(super) header_at: u64,
    /// A block that was read to find out what it is.
    pub(super) peeked: Option<Box<Header>>,
    pub(super) body: Body,
    pub(super) is_pax: bool,
}

/// Extended headers that wait for their file.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
}

impl<I: Input> Reader<I> {
    pub fn new(input: I) -> Self {
        let (global, body) = (Records::default(), Body::default());
        Self { input: Counted::new(input), global, header_at: 0, peeked: None, body, is_pax: false }
    }

    /// The next entry; none at the end marker or, tolerated, where the stream ends without one. Data of the entry before that
    /// was not taken is passed over.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_body()?;
            let Some(header) = self.header()? else {
                return if extensions.is_empty() {
                    Ok(None)
                } else {
                    Err(Error::ExtensionWithoutFile { at: self.header_at })
                };
            };
            match header.typeflag() {
                b'L' => extensions.name = Some(self.long_name(&header)?),
                b'K' => extensions.link = Some(self.long_name(&header)?),
                b'x' | b'X' => extensions.records = Some(self.records(&header)?),
                b'g' => {
                    let records = self.records(&header)?;
                    self.global = std::mem::take(&mut self.global).replaced_by(records);
                    let (at, len, limit) = (self.header_at, self.global.len(), LONGEST_EXTENSION);
                    if len > limit {
                        return Err(Error::ExtensionTooLong { at, len, limit });
                    }
                }
                b'V' | b'A' | b'N' => self.begin_body(self.number(header.size(), "size", u64::MAX)?)?,
                _ => return self.entry(&header, extensions).map(Some),
            }
        }
    }

    /// Where the data of the current entry begins, counted from the beginning of the stream.
    pub fn position(&self) -> u64 {
        self.input.at
    }

    /// Hands the data of the current regular file to `sink`, piece by piece.
    pub fn data<E: From<Error>>(&mut self, mut sink: impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        let Some(map) = self.body.sparse.take() else {
            let stored = self.body.stored;
            return self.stored(stored, &mut sink);
        };
        let mut at = 0;
        for segment in &map.segments {
            zeros(segment.offset - at, &mut sink)?;
            self.stored(segment.len, &mut sink)?;
            at = segment.offset + segment.len;
        }
        zeros(map.real_size - at, &mut sink)
    }

    fn stored<E: From<Error>>(&mut self, len: u64, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut left = len;
        while left > 0 {
            let at = self.input.at;
            let bytes = self.input.some(left)?;
            if bytes.is_empty() {
                return Err(Error::Truncated { at, what: "a file" }.into());
            }
            sink(Piece::Bytes(bytes))?;
            let len = bytes.len();
            self.input.consume(len);
            left -= len as u64; // usize has at most 64 bits
        }
        self.body.stored -= len;
        Ok(())
    }

    fn skip_body(&mut self) -> Result<(), Error> {
        let body = std::mem::take(&mut self.body);
        self.input.skip(body.stored, "a file")?;
        // Some writers leave out the padding of the last file when they write no end marker.
        match self.input.skip(body.padding, "the padding of a file") {
            Err(Error::Truncated { .. }) => Ok(()),
            skipped => skipped,
        }
    }

    /// The next header block, if there is one.
    fn header(&mut self) -> Result<Option<Box<Header>>, Error> {
        let peeked = self.peeked.take();
        self.header_at = self.input.at - if peeked.is_some() { BLOCK as u64 } else { 0 };
        let header = match peeked {
            Some(header) => header,
            None => match self.block("a header")? {
                Some(block) => block,
                None => return Ok(None),
            },
        };
        if header.is_end() {
            return Ok(None);
        }
        if !header.checksum_is_right() {
            return Err(Error::Checksum { at: self.header_at });
        }
        Ok(Some(header))
    }

    pub(super) fn block(&mut self, what: &'static str) -> Result<Option<Box<Header>>, Error> {
        let mut block = Box::new(Header([0; BLOCK]));
        Ok(self.input.fill(&mut block.0, what)?.then_some(block))
    }

    /// The whole body of an extended header.
    fn extension(&mut self, header: &Header, limit: u64) -> Result<Vec<u8>, Error> {
        let len = self.number(header.size(), "size", u64::MAX)?;
        if len > limit {
            return Err(Error::ExtensionTooLong { at: self.header_at, len, limit });
        }
        self.begin_body(len)?;
        let mut bytes = Vec::new();
        self.stored::<Error>(len, &mut |piece| {
            if let Piece::Bytes(more) = piece {
                bytes.extend_from_slice(more);
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, Error> {
        let bytes = self.extension(header, LONGEST_NAME)?;
        Ok(header::until_nul(&bytes).to_vec())
    }

    fn records(&mut self, header: &Header) -> Result<Records, Error> {
        self.is_pax = true;
        let bytes = self.extension(header, LONGEST_EXTENSION)?;
        self.pax(Records::parse(&bytes))
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry, Error> {
        let records = self.global.followed_by(extensions.records.unwrap_or_default());
        let record = |key| records.get(key).map(<[u8]>::to_vec);
        let path = record("GNU.sparse.name").or_else(|| record("path")).or(extensions.name);
        let path = path.unwrap_or_else(|| header.name());
        let link = record("linkpath").or(extensions.link).unwrap_or_else(|| header.linkname());
        let kind = Kind::of(header.typeflag(), &path);
        Ok(Entry {
            kind,
            path,
            link,
            mode: u32::try_from(self.number(header.mode(), "mode", u64::MAX)? & 0o7777).unwrap_or_default(),
            uid: self.id(header.uid(), &records, "uid")?,
            gid: self.id(header.gid(), &records, "gid")?,
            size: self.decide_body(header, &records, kind)?,
            mtime: header::number(header.mtime()).unwrap_or(0),
            xattrs: self.pax(records.xattrs())?,
        })
    }

    fn id(&self, field: &[u8], records: &Records, name: &'static str) -> Result<u32, Error> {
        let id = match self.pax(records.number(name))? {
            Some(id) => id,
            None => self.number(field, name, u32::MAX.into())?,
        };
        u32::try_from(id).map_err(|_| Error::OutOfRange { at: self.header_at, field: name, limit: u32::MAX.into() })
    }

    pub(super) fn pax<T>(&self, parsed: Result<T, &'static str>) -> Result<T, Error> {
        parsed.map_err(|why| Error::Pax { at: self.header_at, why })
    }

    pub(super) fn number(&self, bytes: &[u8], field: &'static str, limit: u64) -> Result<u64, Error> {
        let at = self.header_at;
        header::number(bytes).map_err(|wrong| match wrong {
            NotANumber::Malformed => Error::Number { at, field, text: bytes.escape_ascii().to_string() },
            NotANumber::OutOfRange => Error::OutOfRange { at, field, limit },
        })
    }

    pub(super) fn number_of<T>(&self, parsed: Result<T, NotANumber>, field: &'static str) -> Result<T, Error> {
        parsed.map_err(|_| Error::OutOfRange { at: self.header_at, field, limit: u64::MAX })
    }
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.records.is_none()
    }
}

fn zeros<E>(len: u64, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
    if len == 0 { Ok(()) } else { sink(Piece::Zeros(len)) }
}
