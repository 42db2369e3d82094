//! Turns guest clusters into what the image stores. One [`Encoder`] per worker thread; it keeps no image state.

use flate2::{Compress, FlushCompress, Status};
use zstd::bulk::Compressor;

use super::{CLUSTER, Cluster, Compression, Error};

/// QEMU inflates with `windowBits` -12. Its zlib happens to accept distances up to 32 KiB, because the whole cluster is
/// inflated into one buffer, but zlib's manual promises that only for the window asked for, so a longer distance could
/// turn an image unreadable with another zlib or another reader.
const ZLIB_WINDOW_BITS: u8 = 12;

/// Measured on a Debian /usr, MB/s per core and stored size: with the 12-bit window level 2 162, 32.4 %; 3 132, 31.2 %;
/// 4 107, 30.8 %; 6 63, 30.4 %; with 15 bits level 2 154, 29.2 %; `qemu-img convert -c` 47, 30.1 %.
/// Never level 1: zlib-rs 0.6.8 panicked in `deflate_quick` with a state that was reset after a cluster had not fitted.
const ZLIB_LEVEL: u32 = 3;

/// zstd's own default, as in QEMU: 421 MB/s, 27.3 %. Level 1 is no faster on clusters this small, level 5 takes twice as long.
const ZSTD_LEVEL: i32 = 3;

/// Compresses clusters, one after the other, with state and buffers that are reused.
pub struct Encoder {
    method: Method,
    compressed: Vec<u8>,
}

enum Method {
    None,
    Zlib(Compress),
    Zstd(Compressor<'static>),
}

impl Encoder {
    /// An encoder for images that are written with the same `compression`.
    ///
    /// # Errors
    /// zstd had no memory for its state.
    pub fn new(compression: Compression) -> Result<Self, Error> {
        let method = match compression {
            Compression::None => Method::None,
            Compression::Zlib => Method::Zlib(Compress::new_with_window_bits(
                flate2::Compression::new(ZLIB_LEVEL),
                false,
                ZLIB_WINDOW_BITS,
            )),
            Compression::Zstd => Method::Zstd(Compressor::new(ZSTD_LEVEL)?),
        };
        Ok(Self { method, compressed: vec![0; zstd::zstd_safe::compress_bound(CLUSTER)] })
    }

    /// Encodes one guest cluster of at most [`CLUSTER`] bytes; a shorter one, the disk's last, is filled up with zeros.
    ///
    /// # Errors
    /// More than [`CLUSTER`] bytes, or the compressor failed.
    pub fn encode(&mut self, cluster: &[u8]) -> Result<Cluster, Error> {
        if cluster.len() > CLUSTER {
            return Err(Error::InputLength { length: cluster.len() });
        }
        if is_zero(cluster) {
            return Ok(Cluster::Zero);
        }
        if cluster.len() < CLUSTER {
            let mut whole = cluster.to_vec();
            whole.resize(CLUSTER, 0);
            return self.encode_whole(&whole);
        }
        self.encode_whole(cluster)
    }

    fn encode_whole(&mut self, cluster: &[u8]) -> Result<Cluster, Error> {
        let length = match &mut self.method {
            Method::None => None,
            Method::Zlib(compress) => deflate(compress, cluster, &mut self.compressed[..CLUSTER - 1])?,
            Method::Zstd(compressor) => Some(compressor.compress_to_buffer(cluster, &mut self.compressed[..])?),
        };
        Ok(match length {
            Some(length) if length < CLUSTER => Cluster::Compressed(self.compressed[..length].to_vec()),
            _ => Cluster::Plain(cluster.to_vec()),
        })
    }
}

/// Raw deflate of `cluster`; none when it does not fit into `compressed`.
fn deflate(compress: &mut Compress, cluster: &[u8], compressed: &mut [u8]) -> Result<Option<usize>, Error> {
    compress.reset();
    match compress.compress(cluster, compressed, FlushCompress::Finish) {
        // OK to unwrap: no more than the buffer's length was written.
        Ok(Status::StreamEnd) => Ok(Some(usize::try_from(compress.total_out()).unwrap())),
        Ok(Status::Ok | Status::BufError) => Ok(None),
        Err(error) => Err(Error::Compress(error.to_string())),
    }
}

/// Compares in blocks that the compiler turns into wide instructions, and leaves at the first that differs.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(256).all(|block| block.iter().fold(0, |seen, byte| seen | byte) == 0)
}
