//! What is in an entry beside the contents: the layer as it was read, and how the files of contents have to look.
//!
//! ```text
//! SHA-256 of what follows | postcard of Index
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Cached;
use crate::digest::Digest;
use crate::layer::Finished;
use crate::page_buffer::PageBuffer;

/// Contents are compared in pieces of this size.
const PIECE: usize = 256 << 10;
/// An index has some hundred bytes for each file of the layer.
const LONGEST: u64 = 4 << 30;
const DIGEST: usize = 32;

#[derive(Serialize)]
struct Index<'a> {
    contents: Vec<Contents>,
    finished: &'a Finished,
}

#[derive(Deserialize)]
struct OwnedIndex {
    contents: Vec<Contents>,
    finished: Finished,
}

/// One file of contents.
#[derive(Serialize, Deserialize)]
struct Contents {
    len: u64,
    /// Of the first `len` bytes. It tells damage, not malice: a SHA-256 would cost more than the rest of a build.
    crc32c: u32,
}

/// Describes the files that lie in `directory`; answers them.
pub fn write(directory: &Path, lengths: &[u64], finished: &Finished) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut contents = Vec::new();
    for (number, &len) in lengths.iter().enumerate() {
        let file = File::open(directory.join(number.to_string()))?;
        contents.push(Contents { len, crc32c: crc32c(&file, len)? });
        files.push(file);
    }
    let index = postcard::to_stdvec(&Index { contents, finished }).map_err(io::Error::other)?;
    let mut file = File::create(directory.join("index"))?;
    file.write_all(&Digest::of(&index).0)?;
    file.write_all(&index)?;
    Ok(files)
}

/// Reads and compares everything; the entry counts as used now. `NotFound` when there is none.
pub fn read(directory: &Path) -> io::Result<Cached> {
    let mut file = File::open(directory.join("index"))?;
    let mut bytes = Vec::new();
    (&mut file).take(LONGEST).read_to_end(&mut bytes)?;
    let (digest, index) = bytes.split_at_checked(DIGEST).ok_or_else(damaged)?;
    if Digest::of(index).0[..] != *digest {
        return Err(damaged());
    }
    let OwnedIndex { contents, finished } = postcard::from_bytes(index).map_err(io::Error::other)?;
    let mut files = Vec::new();
    for (number, Contents { len, crc32c: expected }) in contents.into_iter().enumerate() {
        let file = File::open(directory.join(number.to_string())).map_err(|_| damaged())?;
        if crc32c(&file, len)? != expected {
            return Err(damaged());
        }
        files.push(file);
    }
    // OK to ignore: it is dropped earlier than it should be.
    let _ = file.set_modified(SystemTime::now());
    Ok(Cached { finished, files })
}

fn crc32c(file: &File, len: u64) -> io::Result<u32> {
    let (mut buf, mut at, mut crc) = (PageBuffer::new(PIECE), 0, 0);
    while at < len {
        let want = usize::try_from(len - at).unwrap_or(usize::MAX).min(PIECE);
        file.read_exact_at(&mut buf[..want], at)?;
        crc = crc32c::crc32c_append(crc, &buf[..want]);
        at += want as u64; // usize has at most 64 bits
    }
    Ok(crc)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not as it was written")
}
