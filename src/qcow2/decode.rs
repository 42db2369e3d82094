//! Decompresses clusters of foreign images: raw deflate or one zstd frame, followed by bytes of no meaning.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Compression, Error};

/// Largest zstd window accepted, 8 MiB: RFC 8878 recommends that much to every decoder, and no cluster is larger than 2 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Decompressor with reused state.
pub enum Decode {
    Zlib(Decompress),
    Zstd(Box<Decoder<'static>>),
}

impl Decode {
    pub fn new(compression: Compression) -> Result<Self, Error> {
        if compression != Compression::Zstd {
            return Ok(Self::Zlib(Decompress::new(false)));
        }
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
        Ok(Self::Zstd(Box::new(decoder)))
    }

    /// Fills `cluster` from the start of `input`.
    ///
    /// # Errors
    /// The data is damaged or makes less than a cluster; `guest` names the cluster.
    pub fn cluster(&mut self, guest: u64, input: &[u8], cluster: &mut [u8]) -> Result<(), Error> {
        let wanted = cluster.len();
        let made = match self {
            Self::Zlib(decompress) => inflate(decompress, input, cluster),
            Self::Zstd(decoder) => unzstd(decoder, input, cluster),
        };
        match made {
            Ok(made) if made == wanted => Ok(()),
            Ok(made) => {
                Err(Error::invalid(format!("guest cluster {guest} decompresses to {made} bytes instead of {wanted}")))
            }
            Err(error) => Err(Error::invalid(format!("guest cluster {guest} does not decompress: {error}"))),
        }
    }
}

/// As QEMU does, takes a full cluster for an answer even when the stream has not ended yet.
fn inflate(decompress: &mut Decompress, input: &[u8], cluster: &mut [u8]) -> Result<usize, String> {
    decompress.reset(false);
    match decompress.decompress(input, cluster, FlushDecompress::Finish) {
        Ok(Status::StreamEnd | Status::Ok | Status::BufError) => {
            Ok(usize::try_from(decompress.total_out()).unwrap_or(usize::MAX))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn unzstd(decoder: &mut Decoder<'_>, input: &[u8], cluster: &mut [u8]) -> Result<usize, String> {
    let say = |error: std::io::Error| error.to_string();
    decoder.reinit().map_err(say)?;
    let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(cluster));
    loop {
        let before = (input.pos(), output.pos());
        let hint = decoder.run(&mut input, &mut output).map_err(say)?;
        // A frame that has ended, a full cluster, or neither bytes taken nor made: nothing more will come.
        if hint == 0 || output.pos() == output.capacity() || (input.pos(), output.pos()) == before {
            return Ok(output.pos());
        }
    }
}
