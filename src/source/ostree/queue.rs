//! Work that makes more work: several threads take pieces, and finishing one may add others.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Pieces of work, each taken once however often it is added.
pub struct Queue<Piece> {
    state: Mutex<State<Piece>>,
    changed: Condvar,
}

struct State<Piece> {
    urgent: VecDeque<Piece>,
    ready: VecDeque<Piece>,
    /// Looked up only, so its order does not show.
    seen: HashSet<Piece>,
    /// Pieces that a thread is at.
    busy: usize,
    stopped: bool,
}

impl<Piece: Copy + Eq + Hash> Queue<Piece> {
    pub fn new() -> Self {
        let (urgent, ready, seen) = (VecDeque::new(), VecDeque::new(), HashSet::new());
        Self { state: Mutex::new(State { urgent, ready, seen, busy: 0, stopped: false }), changed: Condvar::new() }
    }

    /// Adds pieces; urgent ones are taken before the others, otherwise the first added is the first taken. Answers how many
    /// were new.
    pub fn add(&self, urgent: bool, pieces: impl IntoIterator<Item = Piece>) -> u64 {
        let mut guard = self.lock();
        let state = &mut *guard;
        let line = if urgent { &mut state.urgent } else { &mut state.ready };
        let before = line.len();
        line.extend(pieces.into_iter().filter(|piece| state.seen.insert(*piece)));
        self.changed.notify_all();
        (line.len() - before) as u64 // usize has at most 64 bits
    }

    /// Takes pieces until all are done, or until one fails: then the others are left.
    pub fn work<E>(&self, mut work: impl FnMut(Piece) -> Result<(), E>) -> Result<(), E> {
        while let Some(piece) = self.take() {
            let mut turn = Turn { queue: self, failed: true };
            work(piece)?;
            turn.failed = false;
        }
        Ok(())
    }

    /// Waits for a piece; `None` when there will be none.
    fn take(&self) -> Option<Piece> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let next = state.urgent.pop_front().or_else(|| state.ready.pop_front());
            if next.is_some() {
                state.busy += 1;
                return next;
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Piece>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One piece being worked on; its end is told also when the work panics, so that no thread waits for it.
struct Turn<'a, Piece: Copy + Eq + Hash> {
    queue: &'a Queue<Piece>,
    failed: bool,
}

impl<Piece: Copy + Eq + Hash> Drop for Turn<'_, Piece> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.busy -= 1;
        state.stopped |= self.failed;
        self.queue.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn pieces_that_others_add_are_done_once_each_by_any_number_of_threads() {
        for threads in [1, 3, 16] {
            let (queue, sum) = (Queue::new(), AtomicU32::new(0));
            queue.add(true, [1_u32]);
            let work = |piece: u32| {
                sum.fetch_add(piece, Ordering::Relaxed);
                queue.add(piece.is_multiple_of(2), [piece + 1, piece * 2].into_iter().filter(|&next| next <= 100));
                Ok::<_, ()>(())
            };
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| queue.work(work)))));
            assert_eq!(sum.into_inner(), (1..=100).sum::<u32>());
        }
    }

    #[test]
    fn a_piece_that_fails_ends_the_work() {
        let queue = Queue::new();
        queue.add(false, 0..10);
        let mut done = Vec::new();
        let result = queue.work(|piece| {
            done.push(piece);
            if piece == 3 { Err("three") } else { Ok(()) }
        });
        assert_eq!((result, done), (Err("three"), vec![0, 1, 2, 3]));
        assert_eq!(queue.work(|_| Err("none is left")), Ok(()));
    }
}
