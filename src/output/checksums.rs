//! SHA-256 of finished outputs, and the file SHA256SUMS.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::chunk::Chunk;
use super::order::InOrder;
use super::{OutputError, Sink, Worker};
use crate::page_buffer::PageBuffer;

/// A checksum as `sha256sum` prints it.
pub type Sha256Text = String;

const BUFFER: usize = 1 << 20;
/// Holes are hashed in pieces of this size, which stay in the processor's cache.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Hashes the raw disk while it is written; holes count as the zeros they read as.
pub struct RawChecksum {
    order: InOrder<(u64, Arc<PageBuffer>), Running>,
    bytes: u64,
}

struct Running {
    hash: Sha256,
    done: u64,
}

impl Running {
    fn zeros_until(&mut self, at: u64) {
        while self.done < at {
            let len = (at - self.done).min(ZEROS.len() as u64);
            self.hash.update(&ZEROS[..len as usize]); // at most its length
            self.done += len;
        }
    }
}

impl RawChecksum {
    pub fn new(bytes: u64) -> RawChecksum {
        RawChecksum { order: InOrder::new(Running { hash: Sha256::new(), done: 0 }), bytes }
    }

    /// The checksum, once all chunks are in.
    pub fn text(&self) -> Option<Sha256Text> {
        let mut running = self.order.take()?;
        running.zeros_until(self.bytes);
        Some(hex(running.hash))
    }
}

impl Sink for RawChecksum {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, OutputError> {
        Ok(Box::new(ChecksumWorker(self)))
    }

    fn finish(&self) -> Result<(), OutputError> {
        Ok(())
    }

    fn abort(&self) {
        self.order.fail();
    }
}

struct ChecksumWorker<'a>(&'a RawChecksum);

impl Worker for ChecksumWorker<'_> {
    fn chunk(&mut self, chunk: &Chunk) -> Result<(), OutputError> {
        self.0.order.push(chunk.index, (chunk.at, chunk.bytes.clone()), |running, (at, bytes)| {
            running.zeros_until(at);
            running.hash.update(&**bytes);
            running.done += bytes.len() as u64; // usize is at most 64 bits
            Ok(())
        })
    }
}

/// Reads a whole file.
pub fn of_file(file: &File) -> io::Result<Sha256Text> {
    let mut hash = Sha256::new();
    let mut buffer = PageBuffer::new(BUFFER);
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(hex(hash)),
            read => {
                hash.update(&buffer[..read]);
                at += read as u64; // usize is at most 64 bits
            }
        }
    }
}

fn hex(hash: Sha256) -> Sha256Text {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
