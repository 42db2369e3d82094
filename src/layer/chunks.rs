//! Pieces of a layer on their way from the thread that inflates to those that hash and unpack.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::tar::Input;

/// Large enough that handing on costs nothing, small enough to stay in the caches of the processor.
pub const CHUNK: usize = 256 << 10;
/// How many chunks wait in front of a thread.
pub const DEPTH: usize = 4;

/// Some bytes of the stream.
#[derive(Debug)]
pub struct Chunk {
    buffer: Box<[u8]>,
    len: usize,
}

impl Chunk {
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Reads until the chunk is full or the reader at its end; answers how many bytes, and the error that stopped it.
    pub fn fill(&mut self, reader: &mut dyn Read) -> (usize, Option<io::Error>) {
        self.len = 0;
        while self.len < self.buffer.len() {
            match reader.read(&mut self.buffer[self.len..]) {
                Ok(0) => break,
                Ok(read) => self.len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (self.len, Some(error)),
            }
        }
        (self.len, None)
    }
}

/// Chunks that nobody needs at the moment: fresh memory costs more than the inflating.
#[derive(Default)]
pub struct Pool(Mutex<Vec<Chunk>>);

impl Pool {
    pub fn take(&self) -> Chunk {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| Chunk { buffer: vec![0; CHUNK].into(), len: 0 })
    }

    /// Gives up one share of a chunk; the last one brings it back.
    pub fn give(&self, chunk: Arc<Chunk>) {
        if let Some(chunk) = Arc::into_inner(chunk) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(chunk);
        }
    }
}

/// The chunks of a channel as one stream, which ends when the sender is gone.
pub struct ChunkStream<'a> {
    pub chunks: Receiver<Arc<Chunk>>,
    pub pool: &'a Pool,
    current: Option<Arc<Chunk>>,
    consumed: usize,
}

impl<'a> ChunkStream<'a> {
    pub fn new(chunks: Receiver<Arc<Chunk>>, pool: &'a Pool) -> Self {
        Self { chunks, pool, current: None, consumed: 0 }
    }

    fn left(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], |chunk| &chunk.bytes()[self.consumed..])
    }
}

impl BufRead for ChunkStream<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.left().is_empty() {
            if let Some(used) = self.current.take() {
                self.pool.give(used);
            }
            let Ok(next) = self.chunks.recv() else { break };
            (self.current, self.consumed) = (Some(next), 0);
        }
        Ok(self.left())
    }

    fn consume(&mut self, len: usize) {
        self.consumed += len;
    }
}

impl Read for ChunkStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl Input for ChunkStream<'_> {}
