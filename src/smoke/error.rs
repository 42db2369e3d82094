//! Everything that keeps a boot test from reaching a verdict. A guest that does not boot is no error, see `verdict`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{Arch, Firmware};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{program}` is not in PATH; install it with: {install}")]
    MissingQemu { program: &'static str, install: String },
    #[error(
        "no {firmware} firmware for {arch} found (looked at {looked} places); install it with: {install}; \
         or set BOOTWRIGHT_OVMF_CODE and BOOTWRIGHT_OVMF_VARS"
    )]
    MissingFirmware { firmware: Firmware, arch: Arch, looked: usize, install: String },
    #[error("only one of BOOTWRIGHT_OVMF_CODE and BOOTWRIGHT_OVMF_VARS is set; both are needed")]
    HalfFirmware,
    #[error("{arch} machines have no {firmware} firmware")]
    NoSuchFirmware { firmware: Firmware, arch: Arch },
    #[error("KVM was asked for, but {reason}")]
    NoKvm { reason: String },
    #[error("{doing} {path}: {source}", path = path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is no qcow2 image this tool can read: {reason}", path = path.display())]
    BadQcow2 { path: PathBuf, reason: String },
    #[error("the disk cannot shrink: it has {has} bytes, {asked} were asked for")]
    Shrinks { has: u64, asked: u64 },
    #[error("the path {path} has {length} bytes, a qcow2 backing file name has at most 1023", path = path.display())]
    PathTooLong { path: PathBuf, length: usize },
    #[error("a disk of {bytes} bytes is too large for a test overlay")]
    TooLarge { bytes: u64 },
    #[error("the path {path} is not UTF-8, QEMU's options have to be", path = path.display())]
    PathNotUtf8 { path: PathBuf },
    #[error("QEMU did not start ({status}): {said}")]
    QemuRefused { status: String, said: String },
    #[error("QEMU did not connect its {socket} socket within {seconds} s")]
    NotConnected { socket: &'static str, seconds: u64 },
    #[error("QEMU's control socket: {0}")]
    Qmp(#[source] io::Error),
    #[error("QEMU refused `{command}`: {reason}")]
    QmpRefused { command: String, reason: String },
    #[error("the console ended while waiting for `{pattern}`; its end: {tail}")]
    ConsoleClosed { pattern: String, tail: String },
    #[error("`{pattern}` was not seen on the console within {} s; its end: {tail}", within.as_secs())]
    NotSeen { pattern: String, within: Duration, tail: String },
    #[error("writing to the console: {0}")]
    Send(#[source] io::Error),
    #[error("this machine was started without a shell console")]
    NoShellConsole,
    #[error("a line of the command has {length} bytes, a terminal line has at most 4000")]
    CommandTooLong { length: usize },
    #[error("the shell's status `{said}` is no number")]
    BadShellStatus { said: String },
    #[error("QEMU still ran after {} s", after.as_secs())]
    StillRunning { after: Duration },
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// For `map_err`: adds what was being done, and to which file.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
