//! One layer through three threads: the first reads, verifies and inflates the blob, the second computes the diff_id, the
//! third unpacks the tar stream. What is wrong is decided when all are done, so no thread's speed shows in the answer.

use std::io::{BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Error;
use super::apply::{self, Applied};
use super::blob::{Announced, Blob};
use super::chunks::{Chunk, ChunkStream, DEPTH, Pool};
use super::compression::Compression;
use super::encapsulated::{self, CommitLayer};
use super::memory::{Memory, Share};
use super::tar::Input;
use crate::digest::Digest;
use crate::image::Object;
use crate::ostree::Checksum;
use crate::spool::Spool;

/// Reads of the blob have this size, below that of a mapped buffer, see [`crate::page_buffer`].
const READ: usize = 64 << 10;

/// What a layer is in its image (ostree-ext `container/store.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Holds an ostree commit, its directories, and files.
    Commit,
    /// Holds files of that commit.
    Component,
    /// Holds what comes over the layers below, as any container's layer.
    Derived,
}

/// What is known of a layer before it is read.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub role: Role,
    pub blob: Announced,
    pub diff_id: Digest,
    pub compression: Compression,
    /// The layer is refused when it inflates to more bytes than this; holes of sparse files count.
    pub limit: u64,
}

/// A layer that has been read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Finished {
    pub uncompressed: u64,
    /// Bytes of [`Memory`] that it takes.
    pub memory: u64,
    pub unpacked: Unpacked,
}

/// What was in it, by its role.
#[derive(Debug, Serialize, Deserialize)]
pub enum Unpacked {
    Commit(CommitLayer),
    /// In the order of the layer, each object once.
    Component(Vec<(Checksum, Object)>),
    Derived(Applied),
}

impl Unpacked {
    /// Every file and link that the layer brought.
    pub fn objects(&self) -> &[(Checksum, Object)] {
        match self {
            Self::Commit(layer) => &layer.objects,
            Self::Component(objects) => objects,
            Self::Derived(applied) => &applied.objects,
        }
    }

    pub fn objects_mut(&mut self) -> &mut [(Checksum, Object)] {
        match self {
            Self::Commit(layer) => &mut layer.objects,
            Self::Component(objects) => objects,
            Self::Derived(applied) => &mut applied.objects,
        }
    }
}

/// What happens beside the work.
pub trait Watcher: Sync {
    /// Called now and then with the bytes of the blob that were read since.
    fn advance(&self, bytes: u64);
    /// Whether nobody wants the layer any more.
    fn is_stopped(&self) -> bool;
}

/// Where a layer goes.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// Its contents.
    pub spool: &'a Spool,
    /// Everything else, together with that of the image's other layers.
    pub memory: &'a Memory,
}

/// Reads a whole layer into `room`.
pub fn run(
    blob: impl Read + Send,
    expected: &Expected,
    room: Room<'_>,
    watcher: &dyn Watcher,
) -> Result<Finished, Error> {
    let pool = Pool::default();
    let (to_hash, hash_from) = sync_channel(DEPTH);
    let (to_unpack, unpack_from) = sync_channel(DEPTH);
    let (inflated, diff_id, unpacked) = thread::scope(|scope| {
        let hashing = scope.spawn(|| hash(hash_from, &pool));
        let unpacking = scope.spawn(|| unpack(unpack_from, &pool, room, expected));
        let inflated = inflate(blob, expected, &pool, [to_hash, to_unpack], watcher);
        (inflated, join(hashing.join()), join(unpacking.join()))
    });
    verdict(expected, inflated, diff_id, unpacked)
}

/// The error nearest to the cause comes first: what a wrong blob inflates to and unpacks to is of no interest.
fn verdict(
    expected: &Expected,
    inflated: Result<u64, Error>,
    found: Digest,
    unpacked: Result<(Unpacked, Share<'_>), Error>,
) -> Result<Finished, Error> {
    match (inflated, unpacked) {
        (_, Err(Error::Spool(error))) => Err(Error::Spool(error)),
        (Err(error), _) => Err(error),
        (Ok(_), _) if found != expected.diff_id => Err(Error::DiffId { expected: expected.diff_id, found }),
        (Ok(uncompressed), Ok((unpacked, share))) => Ok(Finished { uncompressed, memory: share.keep(), unpacked }),
        (Ok(_), Err(error)) => Err(error),
    }
}

/// Answers the number of bytes of the content. The senders go with this function, which ends the other threads.
fn inflate(
    blob: impl Read + Send,
    expected: &Expected,
    pool: &Pool,
    outlets: [SyncSender<Arc<Chunk>>; 2],
    watcher: &dyn Watcher,
) -> Result<u64, Error> {
    let mut blob = Blob::new(blob, expected.blob);
    let broken = inflate_chunks(&mut blob, expected, pool, outlets, watcher);
    match broken {
        Err(error @ (Error::Stopped | Error::TooLarge { .. })) => Err(error),
        broken => blob.finish().map_err(Error::Blob).and(broken),
    }
}

fn inflate_chunks(
    blob: &mut Blob<impl Read + Send>,
    expected: &Expected,
    pool: &Pool,
    outlets: [SyncSender<Arc<Chunk>>; 2],
    watcher: &dyn Watcher,
) -> Result<u64, Error> {
    let compression = expected.compression;
    let mut total = 0;
    let broken =
        |at, error: std::io::Error| Error::Compression { compression: compression.name(), at, what: error.to_string() };
    let watched = Watched { blob, watcher };
    let mut decoder = compression.decoder(BufReader::with_capacity(READ, watched)).map_err(|error| broken(0, error))?;
    loop {
        let mut chunk = pool.take();
        let (len, error) = chunk.fill(&mut decoder);
        total += len as u64; // usize has at most 64 bits
        if total > expected.limit {
            return Err(Error::TooLarge { limit: expected.limit });
        }
        let chunk = Arc::new(chunk);
        let sent = len == 0 || outlets.iter().all(|outlet| outlet.send(Arc::clone(&chunk)).is_ok());
        pool.give(chunk);
        match error {
            Some(error) => return Err(broken(total, error)),
            None if len == 0 => return Ok(total),
            None if !sent || watcher.is_stopped() => return Err(Error::Stopped),
            None => {}
        }
    }
}

/// Tells the watcher what is read of the blob.
struct Watched<'a, R> {
    blob: &'a mut Blob<R>,
    watcher: &'a dyn Watcher,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.blob.read(buf)?;
        self.watcher.advance(read as u64); // usize has at most 64 bits
        Ok(read)
    }
}

fn hash(chunks: Receiver<Arc<Chunk>>, pool: &Pool) -> Digest {
    let mut hasher = Sha256::new();
    for chunk in chunks {
        hasher.update(chunk.bytes());
        pool.give(chunk);
    }
    Digest(hasher.finalize().into())
}

/// Takes all chunks even when the tar stream has ended or is broken, so that the blob is judged as a whole. Only when the
/// spool is full there is no use in going on.
fn unpack<'a>(
    chunks: Receiver<Arc<Chunk>>,
    pool: &Pool,
    room: Room<'a>,
    expected: &Expected,
) -> Result<(Unpacked, Share<'a>), Error> {
    let mut stream = ChunkStream::new(chunks, pool);
    let mut share = room.memory.share();
    let unpacked = unpack_as(expected.role, &mut stream, room.spool, expected.limit, &mut share);
    if !matches!(unpacked, Err(Error::Spool(_))) {
        // OK to ignore: the stream ends when the sender is gone, it cannot fail.
        let _ = stream.skip(u64::MAX);
    }
    unpacked.map(|unpacked| (unpacked, share))
}

fn unpack_as(
    role: Role,
    input: impl Input,
    spool: &Spool,
    limit: u64,
    share: &mut Share<'_>,
) -> Result<Unpacked, Error> {
    match role {
        Role::Commit => encapsulated::read_commit(input, spool, limit, share).map(Unpacked::Commit),
        Role::Component => encapsulated::read_component(input, spool, limit, share).map(Unpacked::Component),
        Role::Derived => apply::apply(input, spool, limit, share).map(Unpacked::Derived),
    }
}

fn join<T>(joined: thread::Result<T>) -> T {
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
