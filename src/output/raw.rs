//! The disk as it is: a sparse file, written in any order.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::chunk::Chunk;
use super::{OutputError, Sink, Worker};

pub struct Raw {
    file: File,
    path: PathBuf,
}

impl Raw {
    /// `path` is for errors.
    pub fn new(file: File, path: &Path, bytes: u64) -> Result<Raw, OutputError> {
        file.set_len(bytes).map_err(OutputError::io("making room in", path))?;
        Ok(Raw { file, path: path.to_owned() })
    }
}

impl Sink for Raw {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, OutputError> {
        Ok(Box::new(RawWorker(self)))
    }

    fn finish(&self) -> Result<(), OutputError> {
        Ok(())
    }
}

struct RawWorker<'a>(&'a Raw);

impl Worker for RawWorker<'_> {
    fn chunk(&mut self, chunk: &Chunk) -> Result<(), OutputError> {
        for range in &chunk.data {
            let at = chunk.at + range.start as u64; // usize is at most 64 bits
            self.0
                .file
                .write_all_at(&chunk.bytes[range.clone()], at)
                .map_err(OutputError::io("writing", &self.0.path))?;
        }
        Ok(())
    }
}
