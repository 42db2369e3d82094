//! The least that reading an image can cost: what the import has to do with every byte, and nothing else.
//!
//! For each layer, as in the import: one thread reads the blob, hashes and inflates it; one hashes what comes out; one
//! hashes the content of every tar member and writes everything to one file. As many layers at once as there are processors.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Result, ensure};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::oci;

/// The word after which this program is the floor.
pub const WORD: &str = "--floor";

const CHUNK: usize = 256 << 10;
const DEPTH: usize = 4;
const BLOCK: usize = 512;

/// Reads the image in the directory `oci` and writes its inflated layers, in any order, to the file `output`.
pub fn run(oci: &Path, output: &Path) -> Result<()> {
    let layers = oci::layers(oci)?;
    let (next, file) = (AtomicUsize::new(0), Output { file: File::create(output)?, end: AtomicU64::new(0) });
    let worker = || -> Result<()> {
        while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
            self::layer(layer, &file)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker"))
    })
}

struct Output {
    file: File,
    end: AtomicU64,
}

fn layer(path: &Path, output: &Output) -> Result<()> {
    let pool = Pool::default();
    let (to_hash, hash_from) = sync_channel(DEPTH);
    let (to_store, store_from) = sync_channel(DEPTH);
    thread::scope(|scope| {
        let hashing = scope.spawn(|| hash(hash_from, &pool));
        let storing = scope.spawn(|| store(store_from, &pool, output));
        let digest = inflate(path, &pool, &[to_hash, to_store])?;
        ensure!(path.ends_with(hex(digest)), "{} has another digest", path.display());
        hashing.join().expect("a thread that hashes");
        storing.join().expect("a thread that stores")
    })
}

fn inflate(path: &Path, pool: &Pool, outlets: &[SyncSender<Arc<Vec<u8>>>; 2]) -> Result<Sha256> {
    let mut blob = Hashed { file: File::open(path)?, hash: Sha256::new() };
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(CHUNK, &mut blob));
    loop {
        let mut chunk = pool.take();
        let len = fill(&mut decoder, &mut chunk)?;
        if len == 0 {
            break;
        }
        chunk.truncate(len);
        let chunk = Arc::new(chunk);
        outlets.iter().try_for_each(|outlet| outlet.send(Arc::clone(&chunk)))?;
        pool.give(chunk);
    }
    drop(decoder);
    Ok(blob.hash)
}

fn fill(reader: &mut impl Read, chunk: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match reader.read(&mut chunk[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// A file whose bytes are hashed as they are read.
struct Hashed {
    file: File,
    hash: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buf)?;
        self.hash.update(&buf[..read]);
        Ok(read)
    }
}

fn hash(chunks: Receiver<Arc<Vec<u8>>>, pool: &Pool) -> Sha256 {
    let mut hash = Sha256::new();
    for chunk in chunks {
        hash.update(&*chunk);
        pool.give(chunk);
    }
    hash
}

fn store(chunks: Receiver<Arc<Vec<u8>>>, pool: &Pool, output: &Output) -> Result<()> {
    let mut members = Members::default();
    for chunk in chunks {
        members.bytes(&chunk);
        let at = output.end.fetch_add(chunk.len() as u64, Ordering::Relaxed); // usize is at most 64 bits
        output.file.write_all_at(&chunk, at)?;
        pool.give(chunk);
    }
    Ok(())
}

/// Hashes the content of each tar member.
#[derive(Default)]
struct Members {
    header: Vec<u8>,
    content: u64,
    padding: u64,
    hash: Sha256,
}

impl Members {
    fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.content > 0 {
                let content = take(&mut bytes, &mut self.content);
                self.hash.update(content);
            } else if self.padding > 0 {
                take(&mut bytes, &mut self.padding);
            } else {
                self.header(&mut bytes);
            }
        }
    }

    fn header(&mut self, bytes: &mut &[u8]) {
        let mut missing = (BLOCK - self.header.len()) as u64; // at most a block
        self.header.extend_from_slice(take(bytes, &mut missing));
        if missing == 0 {
            std::mem::take(&mut self.hash).finalize();
            let octal = self.header[124..136].iter().filter(|byte| byte.is_ascii_digit());
            self.content = octal.fold(0, |size, digit| size * 8 + u64::from(digit - b'0'));
            self.padding = self.content.next_multiple_of(BLOCK as u64) - self.content;
            self.header.clear();
        }
    }
}

/// Cuts off up to `wanted` bytes and subtracts them from it.
fn take<'a>(bytes: &mut &'a [u8], wanted: &mut u64) -> &'a [u8] {
    let len = usize::try_from(*wanted).unwrap_or(usize::MAX).min(bytes.len());
    let (taken, rest) = bytes.split_at(len);
    (*bytes, *wanted) = (rest, *wanted - len as u64); // usize is at most 64 bits
    taken
}

/// Chunks that nobody needs at the moment: fresh memory would cost more than the rest.
#[derive(Default)]
struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        let mut chunk = self.0.lock().expect("no panic").pop().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        chunk
    }

    fn give(&self, chunk: Arc<Vec<u8>>) {
        if let Some(chunk) = Arc::into_inner(chunk) {
            self.0.lock().expect("no panic").push(chunk);
        }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
