//! Unix sockets that QEMU connects to. We listen before it starts, so no byte of it is lost.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Error;

/// From QEMU's start to its connection; it took 0.1 s idle and 3 s on a loaded machine.
const CONNECTS_WITHIN: Duration = Duration::from_secs(30);

/// `sockaddr_un.sun_path` has 108 bytes with its NUL; the longest name we append has 12.
const LONGEST_DIRECTORY: usize = 95;

/// A socket not yet connected.
pub(super) struct Socket {
    name: &'static str,
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    pub fn listen(directory: &Path, name: &'static str) -> Result<Self, Error> {
        let path = directory.join(name);
        let listener = UnixListener::bind(&path).map_err(Error::io("creating the socket", &path))?;
        listener.set_nonblocking(true).map_err(Error::io("setting up the socket", &path))?;
        Ok(Self { name, path, listener })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for QEMU; `Ok(None)` when it ended instead.
    pub fn accept(self, qemu: &mut Child) -> Result<Option<UnixStream>, Error> {
        let deadline = Instant::now() + CONNECTS_WITHIN;
        loop {
            // Ended is asked first: a QEMU that connected and then ended is still accepted below.
            let ended = qemu.try_wait().map_err(Error::io("waiting for QEMU at", &self.path))?.is_some();
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).map_err(Error::io("setting up the socket", &self.path))?;
                    return Ok(Some(stream));
                }
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {
                    return Err(Error::io("accepting on", &self.path)(error));
                }
                Err(_) if ended => return Ok(None),
                Err(_) if Instant::now() > deadline => {
                    return Err(Error::NotConnected { socket: self.name, seconds: CONNECTS_WITHIN.as_secs() });
                }
                Err(_) => sleep(Duration::from_millis(10)),
            }
        }
    }
}

/// A private directory, in TMPDIR unless that is too long for a socket.
pub(super) fn directory() -> Result<tempfile::TempDir, Error> {
    let usual = std::env::temp_dir();
    let short = usual.as_os_str().len() + "/bootwright-test-XXXXXX".len() <= LONGEST_DIRECTORY;
    let parent = if short { usual } else { PathBuf::from("/tmp") };
    let made = tempfile::Builder::new().prefix("bootwright-test-").tempdir_in(&parent);
    made.map_err(Error::io("creating a directory in", parent))
}
