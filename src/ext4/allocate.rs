//! Gives out blocks, always the next free one: a filesystem written at once needs no search.

use super::error::Error;
use super::geometry::Geometry;
use super::layout::{Layout, Run};

/// A pointer that moves over the free runs of a filesystem.
pub struct Allocator {
    free: Vec<Run>,
    /// Index in `free`, and blocks already given out of that run.
    current: usize,
    given: u32,
    have: u64,
}

impl Allocator {
    pub fn new(geometry: &Geometry, layout: &Layout) -> Allocator {
        Allocator { free: layout.free(geometry), current: 0, given: 0, have: u64::from(geometry.blocks) }
    }

    /// The next blocks in a row, `wanted` of them or as many as there are before the next fixed metadata.
    pub fn next(&mut self, wanted: u32) -> Result<Run, Error> {
        let mut run = *self.free.get(self.current).ok_or_else(|| self.full())?;
        if self.given == run.len {
            self.current += 1;
            self.given = 0;
            run = *self.free.get(self.current).ok_or_else(|| self.full())?;
        }
        let len = wanted.min(run.len - self.given);
        let start = run.start + self.given;
        self.given += len;
        Ok(Run { start, len })
    }

    fn full(&self) -> Error {
        Error::NoSpace { need: self.have + 1, have: self.have }
    }

    pub fn block(&mut self) -> Result<u32, Error> {
        self.next(1).map(|run| run.start)
    }

    /// All runs given out so far, increasing.
    pub fn given(&self) -> impl Iterator<Item = Run> {
        let current = self.free.get(self.current).map(|run| Run { start: run.start, len: self.given });
        self.free[..self.current].iter().copied().chain(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_order_and_stop_at_the_end() {
        let free = vec![Run { start: 10, len: 3 }, Run { start: 20, len: 2 }];
        let mut allocator = Allocator { free, current: 0, given: 0, have: 30 };
        assert_eq!(allocator.next(2), Ok(Run { start: 10, len: 2 }));
        assert_eq!(allocator.next(9), Ok(Run { start: 12, len: 1 }));
        assert_eq!(allocator.block(), Ok(20));
        assert_eq!(allocator.given().collect::<Vec<_>>(), [Run { start: 10, len: 3 }, Run { start: 20, len: 1 }]);
        assert_eq!(allocator.block(), Ok(21));
        assert_eq!(allocator.block(), Err(Error::NoSpace { need: 31, have: 30 }));
    }
}
