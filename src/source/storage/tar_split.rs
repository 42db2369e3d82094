//! The tar stream that a layer was stored from, byte for byte: headers and padding out of `tar-split.gz`, contents out of the
//! layer's directory (vbatts/tar-split, `tar/asm/assemble.go` and `tar/storage/entry.go`).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::PathBuf;

use base64ct::{Base64, Encoding};
use flate2::bufread::MultiGzDecoder;
use memchr::memmem;
use serde::Deserialize;

use super::crc64::Crc64;
use super::error::Problem;
use super::inside::Inside;

/// tar-split cuts padding into pieces of 1 MiB; headers are shorter.
const LONGEST_LINE: u64 = 64 << 20;
/// `{"type":1,"name":…,"size":…,"payload":…,"position":…}`.
const FILE: u32 = 1;
/// `{"type":2,"payload":…,"position":…}`.
const SEGMENT: u32 = 2;

/// Of a file that has a size and no bytes: a hard link or a directory whose header says so.
const CRC_OF_NOTHING: [u8; 8] = [0; 8];
/// In the pax header of a sparse file.
const SPARSE: &[u8] = b"GNU.sparse.";

/// One line of the document.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "type")]
    kind: u32,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    /// In base64, in place of a name that is no UTF-8.
    #[serde(borrow)]
    name_raw: Option<Cow<'a, str>>,
    size: Option<u64>,
    /// In base64: the bytes of a segment, the CRC-64 of a file.
    #[serde(borrow)]
    payload: Option<Cow<'a, str>>,
}

/// The lines of `tar-split.gz`.
pub struct Document {
    lines: BufReader<Take<MultiGzDecoder<BufReader<File>>>>,
    /// For messages.
    path: PathBuf,
    line: Vec<u8>,
}

/// What a line says.
enum Line {
    Segment(Vec<u8>),
    Content { name: Vec<u8>, size: u64, crc: Vec<u8> },
}

impl Document {
    /// `limit` bytes are more than it inflates to.
    pub fn new(file: File, path: PathBuf, limit: u64) -> Self {
        let inflated = MultiGzDecoder::new(BufReader::new(file)).take(limit);
        Self { lines: BufReader::new(inflated), path, line: Vec::new() }
    }

    /// How many bytes the tar stream has that it describes.
    pub fn length(mut self) -> Result<u64, Problem> {
        let mut length = 0_u64;
        while let Some(line) = self.next()? {
            let piece = match line {
                Line::Segment(bytes) => bytes.len() as u64, // usize has at most 64 bits
                Line::Content { size, .. } => size,
            };
            length = length.checked_add(piece).ok_or_else(|| self.broken("its layer is too long"))?;
        }
        Ok(length)
    }

    /// The next line of something that has bytes; none at the end.
    fn next(&mut self) -> Result<Option<Line>, Problem> {
        loop {
            self.line.clear();
            let mut line = (&mut self.lines).take(LONGEST_LINE);
            line.read_until(b'\n', &mut self.line).map_err(|error| self.broken(&error.to_string()))?;
            if self.lines.get_ref().limit() == 0 {
                return Err(self.broken("it is far longer than the layer"));
            }
            if self.line.is_empty() {
                return Ok(None);
            }
            if let Some(line) = self.parse()? {
                return Ok(Some(line));
            }
        }
    }

    fn parse(&self) -> Result<Option<Line>, Problem> {
        let entry: Entry<'_> = serde_json::from_slice(&self.line).map_err(|error| self.broken(&error.to_string()))?;
        let decode = |text: Option<&str>| {
            Base64::decode_vec(text.unwrap_or_default()).map_err(|error| self.broken(&error.to_string()))
        };
        let bytes = decode(entry.payload.as_deref())?;
        match (entry.kind, entry.size.unwrap_or(0)) {
            (SEGMENT, _) => Ok(Some(Line::Segment(bytes))),
            (FILE, 0) => Ok(None),
            (FILE, _) if bytes == CRC_OF_NOTHING => Ok(None),
            (FILE, size) => {
                let name = match entry.name_raw.as_deref() {
                    Some(raw) => decode(Some(raw))?,
                    None => entry.name.unwrap_or_default().into_owned().into_bytes(),
                };
                Ok(Some(Line::Content { name, size, crc: bytes }))
            }
            (kind, _) => Err(self.broken(&format!("it has an entry of type {kind}"))),
        }
    }

    fn broken(&self, why: &str) -> Problem {
        Problem::TarSplit { path: self.path.clone(), why: why.to_owned() }
    }
}

/// Puts a layer together.
pub struct TarStream {
    document: Document,
    diff: Inside,
    piece: Piece,
    /// Bytes that are still to come.
    left: u64,
    /// The last segment was the header of a sparse file.
    after_sparse_header: bool,
    /// The first sparse file. A document says what it expands to, and not what was in the layer.
    sparse: Option<PathBuf>,
}

enum Piece {
    Segment { bytes: Vec<u8>, read: usize },
    Payload(Payload),
}

/// The content of a file.
struct Payload {
    file: File,
    path: PathBuf,
    left: u64,
    crc: Crc64,
    expected: Vec<u8>,
}

impl TarStream {
    /// `size` is that of the whole stream. It limits how far the document may inflate: for each header of 512 bytes it has less
    /// than 4 KiB.
    pub fn new(document: File, path: PathBuf, diff: Inside, size: u64) -> Self {
        let document = Document::new(document, path, size.saturating_mul(8).saturating_add(1 << 20));
        let piece = Piece::Segment { bytes: Vec::new(), read: 0 };
        Self { document, diff, piece, left: size, after_sparse_header: false, sparse: None }
    }

    /// The next piece; none at the end.
    fn next_piece(&mut self) -> Result<Option<Piece>, Problem> {
        Ok(match self.document.next()? {
            None => None,
            Some(Line::Segment(bytes)) => {
                self.after_sparse_header = memmem::find(&bytes, SPARSE).is_some();
                Some(Piece::Segment { bytes, read: 0 })
            }
            Some(Line::Content { name, size, crc }) => {
                if self.after_sparse_header {
                    self.sparse.get_or_insert_with(|| self.diff.path(&name));
                }
                Some(Piece::Payload(self.payload(&name, size, crc)?))
            }
        })
    }

    fn payload(&mut self, name: &[u8], size: u64, expected: Vec<u8>) -> Result<Payload, Problem> {
        let path = self.diff.path(name);
        let opened = self.diff.file(name).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (found, file) = opened.map_err(|source| Problem::Io { path: path.clone(), source })?;
        if found != size {
            return Err(Problem::Size { path, expected: size, found });
        }
        Ok(Payload { file, path, left: size, crc: Crc64::new(), expected })
    }

    /// As `Read::read`.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, Problem> {
        loop {
            let read = match &mut self.piece {
                Piece::Segment { bytes, read } => {
                    let len = buf.len().min(bytes.len() - *read);
                    buf[..len].copy_from_slice(&bytes[*read..*read + len]);
                    *read += len;
                    len
                }
                Piece::Payload(payload) => payload.read(buf)?,
            };
            if read > 0 || buf.is_empty() {
                return self.count(read);
            }
            match self.next_piece()? {
                Some(piece) => self.piece = piece,
                None => return self.end(),
            }
        }
    }

    /// The reader compares; what is known better here is why a stream with a sparse file has another length.
    fn count(&mut self, read: usize) -> Result<usize, Problem> {
        // usize has at most 64 bits.
        match (self.left.checked_sub(read as u64), self.sparse.take()) {
            (None, Some(path)) => Err(Problem::Sparse { path }),
            (left, sparse) => {
                (self.left, self.sparse) = (left.unwrap_or(0), sparse);
                Ok(read)
            }
        }
    }

    fn end(&mut self) -> Result<usize, Problem> {
        match self.sparse.take().filter(|_| self.left > 0) {
            Some(path) => Err(Problem::Sparse { path }),
            None => Ok(0),
        }
    }
}

impl Payload {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Problem> {
        let failed = |source| Problem::Io { path: self.path.clone(), source };
        let len = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(0);
        }
        let read = loop {
            match self.file.read(&mut buf[..len]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(failed)?,
            }
        };
        if read == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        self.crc.add(&buf[..read]);
        self.left -= read as u64; // usize has at most 64 bits
        if self.left == 0 && self.crc.bytes()[..] != self.expected {
            return Err(Problem::Checksum { path: self.path.clone() });
        }
        Ok(read)
    }
}
