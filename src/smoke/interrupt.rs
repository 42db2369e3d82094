//! Ctrl-C and its like become a flag, so that a run can take QEMU and its files down before it ends.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

use super::Error;

/// From now on the first SIGINT, SIGTERM or SIGHUP sets `stop`; the second ends the process at once.
///
/// To be called by the main thread before it starts others: they inherit that the signals are left to the thread
/// started here.
pub fn stop_on_signals(stop: Arc<AtomicBool>) -> Result<(), Error> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().map_err(failed)?;
    std::thread::spawn(move || {
        if signals.wait().is_ok() {
            stop.store(true, Ordering::Relaxed);
        }
        // An error leaves the second signal blocked; the first has been seen.
        let _ = signals.thread_unblock();
        loop {
            std::thread::park();
        }
    });
    Ok(())
}

fn failed(errno: nix::errno::Errno) -> Error {
    Error::io("blocking signals in", Path::new("this thread"))(io::Error::from(errno))
}
