//! What the entries of an image may take in memory: a bomb may consist of nothing but headers, in however many layers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;

/// Room for the entries of all layers of one image, which are read side by side.
#[derive(Debug)]
pub struct Memory {
    limit: u64,
    used: AtomicU64,
}

impl Memory {
    /// `limit` is in bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// What one layer takes, as far as it is kept.
    pub fn share(&self) -> Share<'_> {
        Share { memory: self, taken: 0 }
    }

    /// A layer that was kept is given up after all; it had taken so much.
    pub fn give_back(&self, taken: u64) {
        self.used.fetch_sub(taken, Ordering::Relaxed);
    }
}

/// What one layer has taken. It is given back when the layer is given up.
#[derive(Debug)]
pub struct Share<'a> {
    memory: &'a Memory,
    taken: u64,
}

impl Share<'_> {
    pub fn take(&mut self, bytes: u64) -> Result<(), Error> {
        let Memory { limit, used } = self.memory;
        let before = used.fetch_add(bytes, Ordering::Relaxed);
        self.taken = self.taken.saturating_add(bytes);
        if before.saturating_add(bytes) > *limit { Err(Error::TooManyEntries { limit: *limit }) } else { Ok(()) }
    }

    /// The layer stays; answers what it has taken.
    pub fn keep(mut self) -> u64 {
        std::mem::take(&mut self.taken)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.memory.give_back(self.taken);
    }
}
