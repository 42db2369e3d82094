//! One QEMU: started with given devices, talked to over its consoles and its control socket, gone when dropped.
//!
//! QEMU stays in our process group, so Ctrl-C ends it together with a tool that does not handle the signal. When we
//! are killed outright (SIGKILL) QEMU goes on; tying it to us would need `PR_SET_PDEATHSIG`, set between fork and
//! exec, which is unsafe code.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::command::{self, Disk, FlashImage, FlashPair, Options};
use super::qmp::Qmp;
use super::shell::Shell;
use super::socket::{self, Socket};
use super::{Accelerator, Arch, Console, DiskFormat, Error, Firmware, Network, detect, firmware, overlay};

/// What becomes of the guest's writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Into an overlay that goes with the machine; the guest sees a disk of `grow_to` bytes.
    Discarded { grow_to: Option<u64> },
    /// Into the disk, for tests that start a second machine with it.
    Kept,
}

/// A disk of the machine.
#[derive(Clone, Debug)]
pub struct Drive {
    pub path: PathBuf,
    pub format: DiskFormat,
    pub changes: Changes,
}

/// A machine to be.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    pub arch: Arch,
    pub firmware: Firmware,
    pub accelerator: Accelerator,
    pub memory_mib: u32,
    /// The first one is booted.
    pub drives: Vec<Drive>,
    pub network: Network,
    /// A second console, hvc0 in the guest, for [`Machine::shell`].
    pub shell_console: bool,
    pub extra_args: Vec<OsString>,
    /// The first serial port's bytes are appended here.
    pub log: Option<PathBuf>,
}

/// A running QEMU.
pub struct Machine {
    // Dropped in this order: the process first, its directory last.
    qemu: Process,
    qmp: Qmp,
    console: Console,
    shell: Option<Shell>,
    command: String,
    directory: TempDir,
}

impl Machine {
    /// Starts QEMU; the guest runs when this returns.
    pub fn start(config: &MachineConfig) -> Result<Self, Error> {
        let program = command::program(config.arch, std::env::var_os("PATH").as_deref())?;
        let chosen = firmware::Override::from_environment();
        let flash = firmware::find(config.arch, config.firmware, chosen, &|path| path.is_file())?;
        let directory = socket::directory()?;
        let qmp = Socket::listen(directory.path(), "qmp")?;
        let serial = Socket::listen(directory.path(), "serial")?;
        let shell = config.shell_console.then(|| Socket::listen(directory.path(), "shell")).transpose()?;
        let arguments = command::arguments(&Options {
            arch: config.arch,
            accelerator: config.accelerator,
            memory_mib: config.memory_mib,
            network: config.network,
            flash: flash.map(|flash| private_flash(flash, config.firmware, directory.path())).transpose()?,
            disks: disks(&config.drives, directory.path())?,
            qmp: qmp.path(),
            serial: serial.path(),
            shell: shell.as_ref().map(Socket::path),
            extra_args: &config.extra_args,
        })?;
        let log = config.log.as_deref().map(open_log).transpose()?;

        let mut qemu = Process::start(&program, &arguments, directory.path())?;
        let qmp = qemu.accept(qmp)?;
        let console = Console::open(qemu.accept(serial)?, log)?;
        let shell = shell.map(|socket| Shell::open(qemu.accept(socket)?)).transpose()?;
        let qmp = Qmp::open(qmp).or_else(|error| qemu.refused().and(Err(error)))?;
        let command = command::printable(&program, &arguments);
        tracing::debug!(command, "QEMU started");
        Ok(Self { qemu, qmp, console, shell, command, directory })
    }

    /// The command, quoted for a shell.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The first serial port: ttyS0, on arm64 ttyAMA0.
    pub fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    /// Runs `command` in the shell on hvc0 (a root shell there is the guest's part) and waits up to 120 s for its
    /// exit status and its output, both streams together. Each command has a subshell of its own.
    pub fn shell(&mut self, command: &str) -> Result<(i32, String), Error> {
        self.shell_within(command, Duration::from_secs(120))
    }

    /// As [`Machine::shell`], with another time limit. The first call also waits for the shell to come up.
    pub fn shell_within(&mut self, command: &str, within: Duration) -> Result<(i32, String), Error> {
        self.shell.as_mut().ok_or(Error::NoShellConsole)?.run(command, within)
    }

    /// Waits a while for the word that a shell meant for us begins with; another shell is found by typing.
    pub(super) fn wait_for_shell(&mut self, within: Duration) {
        if let Some(shell) = &mut self.shell {
            shell.wait_ready(within);
        }
    }

    /// Waits until the guest has a default route: a system may be up before it has its address. Whether it came in time.
    pub fn wait_for_route(&mut self, within: Duration) -> Result<bool, Error> {
        let script = format!(
            "for second in $(seq {}); do grep -q '^[^[:space:]]*[[:space:]]00000000[[:space:]]' /proc/net/route && exit 0; \
             sleep 1; done; exit 1",
            within.as_secs()
        );
        // A second of a guest in emulation, with what it does in it, may be several.
        Ok(self.shell_within(&script, within * 4)?.0 == 0)
    }

    /// Saves the screen as PNG to `path`.
    pub fn screendump(&mut self, path: &Path) -> Result<(), Error> {
        // QEMU does not know our working directory's future; it writes to a place of ours.
        let picture = self.directory.path().join("screen.png");
        self.qmp.screendump(&picture)?;
        std::fs::copy(&picture, path).map_err(Error::io("writing", path))?;
        Ok(())
    }

    /// How QEMU ended, and what it said; `None` while it runs.
    pub(super) fn exited(&mut self) -> Result<Option<(ExitStatus, String)>, Error> {
        let status = self.qemu.exited()?;
        Ok(status.map(|status| (status, self.qemu.said())))
    }

    /// Waits for the guest to power off.
    pub fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        self.qemu.wait(within)?.ok_or(Error::StillRunning { after: within })
    }

    /// Ends QEMU, by asking first.
    pub fn quit(mut self) -> Result<(), Error> {
        self.qmp.quit()?;
        // Still running after that: `Process` kills it.
        self.qemu.wait(Duration::from_secs(5)).map(drop)
    }
}

/// The flash with a copy of the variables that this machine may write.
fn private_flash(found: firmware::Flash, firmware: Firmware, directory: &Path) -> Result<FlashPair, Error> {
    let vars = directory.join("vars.fd");
    // Read and written, not copied: a copy would inherit a read-only mode.
    let content = std::fs::read(&found.vars).map_err(Error::io("reading", &found.vars))?;
    std::fs::write(&vars, content).map_err(Error::io("writing", &vars))?;
    Ok(FlashPair {
        code: FlashImage { format: detect(&found.code)?, path: found.code },
        vars: FlashImage { format: detect(&vars)?, path: vars },
        secure: firmware == Firmware::UefiSecure,
    })
}

fn disks(drives: &[Drive], directory: &Path) -> Result<Vec<Disk>, Error> {
    let disk = |(index, drive): (usize, &Drive)| match drive.changes {
        Changes::Kept => {
            let path = drive.path.canonicalize().map_err(Error::io("opening", &drive.path))?;
            Ok(Disk { path, format: drive.format })
        }
        Changes::Discarded { grow_to } => {
            let path = directory.join(format!("overlay{index}.qcow2"));
            overlay::create(&path, &drive.path, drive.format, grow_to)?;
            Ok(Disk { path, format: DiskFormat::Qcow2 })
        }
    };
    drives.iter().enumerate().map(disk).collect()
}

fn open_log(path: &Path) -> Result<File, Error> {
    OpenOptions::new().append(true).create(true).open(path).map_err(Error::io("opening the log", path))
}

/// The process of QEMU; killed and reaped when dropped.
struct Process {
    child: Child,
    program: PathBuf,
    errors: PathBuf,
}

impl Process {
    fn start(program: &Path, arguments: &[OsString], directory: &Path) -> Result<Self, Error> {
        let errors = directory.join("stderr");
        let stderr = File::create(&errors).map_err(Error::io("creating", &errors))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().map_err(Error::io("starting", program))?;
        Ok(Self { child, program: program.to_owned(), errors })
    }

    fn accept(&mut self, socket: Socket) -> Result<std::os::unix::net::UnixStream, Error> {
        match socket.accept(&mut self.child)? {
            Some(stream) => Ok(stream),
            None => Err(self.refused().err().unwrap_or(Error::StillRunning { after: Duration::ZERO })),
        }
    }

    /// An error when QEMU ends within a moment: it did not like its arguments.
    fn refused(&mut self) -> Result<(), Error> {
        match self.wait(Duration::from_secs(2))? {
            Some(status) => Err(Error::QemuRefused { status: status.to_string(), said: self.said() }),
            None => Ok(()),
        }
    }

    fn exited(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(Error::io("waiting for", &self.program))
    }

    fn wait(&mut self, within: Duration) -> Result<Option<ExitStatus>, Error> {
        let deadline = Instant::now() + within;
        loop {
            let status = self.exited()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// QEMU's own messages, their last 2000 bytes.
    fn said(&self) -> String {
        let said = std::fs::read(&self.errors).unwrap_or_default();
        let end = &said[said.len().saturating_sub(2000)..];
        String::from_utf8_lossy(end).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
