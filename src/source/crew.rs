//! Threads that do many alike pieces of work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// A crew of threads, each with tools of its own.
pub struct Crew {
    threads: usize,
    /// The lowest piece that failed. Those above it are given up; those below go on, since they may fail as well and the
    /// error of the lowest is the one that is told.
    failed: AtomicUsize,
}

impl Crew {
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), failed: AtomicUsize::new(usize::MAX) }
    }

    /// Whether nobody wants the piece any more.
    pub fn is_stopped(&self, piece: usize) -> bool {
        self.failed.load(Ordering::Relaxed) < piece
    }

    /// Does the pieces `order` lists, in that order and several at once. Answers by piece; neither the answer nor the error
    /// depends on the number of threads. `begin` makes the tools of a thread, `end` puts them away.
    pub fn run<Tools, T: Send, E: Send>(
        &self,
        order: &[usize],
        begin: impl Fn() -> Tools + Sync,
        work: impl Fn(&mut Tools, usize) -> Result<T, E> + Sync,
        end: impl Fn(Tools) -> Result<(), E> + Sync,
    ) -> Result<Vec<T>, E> {
        let results: Vec<_> = order.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let ended = thread::scope(|scope| {
            let member = || {
                let mut tools = begin();
                while let Some(&piece) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if self.is_stopped(piece) {
                        continue;
                    }
                    let result = work(&mut tools, piece);
                    if result.is_err() {
                        self.failed.fetch_min(piece, Ordering::Relaxed);
                    }
                    *results[piece].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
                end(tools)
            };
            let members: Vec<_> = (0..self.threads.min(order.len())).map(|_| scope.spawn(member)).collect();
            let join = |member: thread::ScopedJoinHandle<'_, Result<(), E>>| {
                member.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            members.into_iter().map(join).collect::<Vec<_>>()
        });
        let taken = results.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
        // Pieces without a result lie above one that failed, whose error ends the iteration before it gets there.
        let done = taken.map_while(|result| result).collect::<Result<Vec<T>, E>>()?;
        ended.into_iter().collect::<Result<(), E>>()?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(threads: usize, work: impl Fn(usize) -> Result<usize, usize> + Sync) -> Result<Vec<usize>, usize> {
        let order: Vec<usize> = (0..100).rev().collect();
        Crew::new(threads).run(&order, || (), |(), piece| work(piece), Ok)
    }

    #[test]
    fn answers_come_in_the_order_of_the_pieces() {
        assert_eq!(run(7, |piece| Ok(piece * 2)), Ok((0..100).map(|piece| piece * 2).collect()));
    }

    #[test]
    fn the_error_of_the_lowest_piece_is_told() {
        for threads in [1, 2, 16] {
            assert_eq!(run(threads, |piece| if piece % 10 == 3 { Err(piece) } else { Ok(piece) }), Err(3));
        }
    }
}
