//! What `bootwright test` is asked, and what it tells while it works.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use regex::Regex;

use super::{Accel, Arch, DiskFormat, Error, Firmware, Stage, Step, detect};

/// One boot test.
#[derive(Clone, Debug)]
pub struct Request {
    pub disk: PathBuf,
    pub format: DiskFormat,
    pub arch: Arch,
    pub firmware: Firmware,
    /// All of these have to be seen, in any order, each within one console line. Empty: a login prompt or the
    /// multi-user target.
    pub expect: Vec<Regex>,
    /// Time limit of one start. `None`: 120 s under KVM, 300 s in emulation.
    pub timeout: Option<Duration>,
    pub memory_mib: u32,
    /// Where a PNG of the screen goes, taken just before the end. QEMU 7.1 or newer.
    pub screenshot: Option<PathBuf>,
    /// Where the console log goes. `None`: a file in the temporary directory, kept only when the test fails.
    pub log: Option<PathBuf>,
    /// The guest sees a disk of this many bytes, its end empty, as after a copy to a larger drive.
    pub grow_to: Option<u64>,
    /// Handed to QEMU last, unchanged.
    pub extra_args: Vec<OsString>,
    pub accel: Accel,
    /// Once true, the run ends with [`Error::Interrupted`]; see [`super::stop_on_signals`].
    pub stop: Arc<AtomicBool>,
}

impl Request {
    /// The usual test of `disk`: its format from its first bytes, 2 GiB of memory, KVM if it works.
    pub fn new(disk: &Path, arch: Arch, firmware: Firmware) -> Result<Self, Error> {
        Ok(Self {
            disk: disk.to_owned(),
            format: detect(disk)?,
            arch,
            firmware,
            expect: Vec::new(),
            timeout: None,
            memory_mib: 2048,
            screenshot: None,
            log: None,
            grow_to: None,
            extra_args: Vec::new(),
            accel: Accel::Auto,
            stop: Arc::default(),
        })
    }
}

/// What happened just now, for a progress display.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// QEMU runs; the command can be pasted into a shell as long as the run lasts.
    Started { command: &'a str },
    /// One console line, without terminal escapes.
    SerialLine(&'a str),
    /// The boot got this far.
    Stage(Stage),
    /// KVM did not work, for this reason; the same machine starts again in emulation.
    KvmGivenUp { after: Duration, reason: &'a str },
    /// A step of a life came to its end.
    Step(&'a Step),
}
