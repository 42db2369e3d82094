//! Putting back into order what several threads finish out of order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

/// How far a thread may be ahead of the oldest piece that is still missing; bounds the memory of waiting pieces, and more
/// threads than this would only wait.
pub const WINDOW: usize = 16;

/// Pieces with their number, handed to `consume` in increasing order, by whichever thread closes the gap.
pub struct InOrder<T, C> {
    state: Mutex<State<T, C>>,
    moved: Condvar,
}

struct State<T, C> {
    next: usize,
    waiting: BTreeMap<usize, T>,
    /// Taken out while a thread consumes, so that the others can go on adding.
    consumer: Option<C>,
    failed: bool,
}

impl<T, C> InOrder<T, C> {
    pub fn new(consumer: C) -> InOrder<T, C> {
        let state = State { next: 0, waiting: BTreeMap::new(), consumer: Some(consumer), failed: false };
        InOrder { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// Adds piece `index`; waits while it is too far ahead. After an error nothing is consumed any more and nobody waits.
    pub fn push<E>(&self, index: usize, piece: T, consume: impl Fn(&mut C, T) -> Result<(), E>) -> Result<(), E> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while index >= state.next + WINDOW && !state.failed {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.insert(index, piece);
        let Some(mut consumer) = state.consumer.take() else { return Ok(()) };
        let mut result = Ok(());
        while !state.failed && result.is_ok() {
            let next = state.next;
            let Some(piece) = state.waiting.remove(&next) else { break };
            drop(state);
            result = consume(&mut consumer, piece);
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.next += 1;
            state.failed |= result.is_err();
            self.moved.notify_all();
        }
        state.consumer = Some(consumer);
        result
    }

    /// Gives up: threads that wait go on, and nothing more is consumed.
    pub fn fail(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
        self.moved.notify_all();
    }

    /// The consumer, once all pieces are in.
    pub fn take(&self) -> Option<C> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).consumer.take()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn pieces_of_four_threads_come_out_in_order() {
        let order = InOrder::new(Vec::new());
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= 500 {
                            break;
                        }
                        let keep = |seen: &mut Vec<usize>, piece| -> Result<(), ()> {
                            seen.push(piece);
                            Ok(())
                        };
                        order.push(index, index, keep).unwrap();
                    }
                });
            }
        });
        assert_eq!(order.take().unwrap(), (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_frees_those_who_wait() {
        let order = InOrder::new(());
        std::thread::scope(|scope| {
            scope.spawn(|| order.push(WINDOW + 5, (), |(), ()| Err::<(), ()>(())));
            assert_eq!(order.push(0, (), |(), ()| Err(())), Err(()));
        });
    }
}
