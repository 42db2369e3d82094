//! QEMU's command line, built from values; nothing is started or looked up here, except the program in PATH.
//!
//! Disks and flash go in as `-blockdev` JSON, so that a comma in a file name needs no quoting. The aarch64 machine is
//! built but has no test that boots it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Accelerator, DiskFormat, Error, install};

/// Architecture of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    /// As in `uname -m`.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the guest's one network card reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An address by DHCP and nothing else.
    Isolated,
    /// The host (10.0.2.2) and what the host reaches.
    Open,
}

/// One UEFI flash image.
#[derive(Debug)]
pub(super) struct FlashImage {
    pub path: PathBuf,
    pub format: DiskFormat,
}

/// Code and variables, the variables a private copy.
#[derive(Debug)]
pub(super) struct FlashPair {
    pub code: FlashImage,
    pub vars: FlashImage,
    pub secure: bool,
}

/// A disk behind virtio; the first one is booted.
#[derive(Debug)]
pub(super) struct Disk {
    pub path: PathBuf,
    pub format: DiskFormat,
}

/// Everything the command line depends on.
#[derive(Debug)]
pub(super) struct Options<'a> {
    pub arch: Arch,
    pub accelerator: Accelerator,
    pub memory_mib: u32,
    pub network: Network,
    pub flash: Option<FlashPair>,
    pub disks: Vec<Disk>,
    /// Sockets QEMU connects to: control, first serial port, and a second console when asked for.
    pub qmp: &'a Path,
    pub serial: &'a Path,
    pub shell: Option<&'a Path>,
    pub extra_args: &'a [OsString],
}

/// Where QEMU for `arch` is, by the directories of a PATH.
pub(super) fn program(arch: Arch, path: Option<&OsStr>) -> Result<PathBuf, Error> {
    let name = arch.program();
    let directories = path.map(std::env::split_paths).into_iter().flatten();
    let mut candidates = directories.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    candidates
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Error::MissingQemu { program: name, install: install::command(&install::os_release(), arch) })
}

/// The arguments, without the program.
pub(super) fn arguments(options: &Options<'_>) -> Result<Vec<OsString>, Error> {
    let mut args = Arguments::default();
    args.flag("-nodefaults").flag("-no-user-config");
    args.pair("-name", "bootwright-test");
    machine(&mut args, options)?;
    args.pair("-m", options.memory_mib.to_string()).pair("-smp", processors(options.accelerator));
    // `strict`: the firmware tries the disk and nothing else, no network, no built-in shell.
    args.pair("-boot", "strict=on,menu=off");
    display(&mut args, options.arch);
    args.pair("-nic", network(options.network)).pair("-device", "virtio-rng-pci");
    for (index, disk) in options.disks.iter().enumerate() {
        let node = format!("disk{index}");
        args.pair("-blockdev", blockdev(&node, &disk.path, disk.format, false)?);
        args.pair("-device", format!("virtio-blk-pci,drive={node},bootindex={}", index + 1));
    }
    socket(&mut args, "qmp", options.qmp)?.pair("-mon", "chardev=qmp,mode=control");
    socket(&mut args, "serial", options.serial)?.pair("-serial", "chardev:serial");
    if let Some(shell) = options.shell {
        socket(&mut args, "shell", shell)?;
        args.pair("-device", "virtio-serial-pci").pair("-device", "virtconsole,chardev=shell");
    }
    args.0.extend(options.extra_args.iter().cloned());
    Ok(args.0)
}

/// Machine, processor and flash.
fn machine(args: &mut Arguments, options: &Options<'_>) -> Result<(), Error> {
    let cpu = match (options.accelerator, options.arch) {
        (Accelerator::Kvm, _) => "host",
        (Accelerator::Tcg, Arch::X86_64) => "max",
        // `max` has pointer authentication, which costs emulation half its speed.
        (Accelerator::Tcg, Arch::Aarch64) => "cortex-a57",
    };
    let secure = options.flash.as_ref().is_some_and(|flash| flash.secure);
    let mut machine = match options.arch {
        Arch::X86_64 if secure => "q35,smm=on".to_owned(),
        Arch::X86_64 => "q35".to_owned(),
        Arch::Aarch64 => "virt".to_owned(),
    };
    if let Some(flash) = &options.flash {
        args.pair("-blockdev", blockdev("flash0", &flash.code.path, flash.code.format, true)?);
        args.pair("-blockdev", blockdev("flash1", &flash.vars.path, flash.vars.format, false)?);
        machine += ",pflash0=flash0,pflash1=flash1";
    }
    args.pair("-machine", machine).pair("-cpu", cpu).pair("-accel", options.accelerator.option());
    if secure && options.arch == Arch::X86_64 {
        // Without it the guest could write the variables itself, past the firmware.
        args.pair("-global", "driver=cfi.pflash01,property=secure,value=on");
    }
    Ok(())
}

/// One processor in emulation: before QEMU 8.1 a processor may run half of what another one is just patching into the kernel
/// (`accel/tcg: Always lock pages before translation`), and now and then a boot ends in a panic that is not the disk's.
fn processors(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "2",
        Accelerator::Tcg => "1",
    }
}

/// A screen that nobody sees, for screenshots.
fn display(args: &mut Arguments, arch: Arch) {
    args.pair("-display", "none");
    match arch {
        Arch::X86_64 => args.pair("-vga", "std"),
        Arch::Aarch64 => args.pair("-device", "virtio-gpu-pci"),
    };
}

fn network(network: Network) -> &'static str {
    match network {
        Network::Isolated => "user,model=virtio-net-pci,restrict=on",
        Network::Open => "user,model=virtio-net-pci",
    }
}

/// A node of QEMU's block layer: a format driver over a file.
fn blockdev(node: &str, path: &Path, format: DiskFormat, read_only: bool) -> Result<String, Error> {
    let node = json!({
        "driver": format.driver(), "node-name": node, "read-only": read_only,
        "file": { "driver": "file", "filename": utf8(path)? },
    });
    Ok(node.to_string())
}

/// A character device that connects to a socket of ours; bytes before the first read wait in it.
fn socket<'a>(args: &'a mut Arguments, id: &str, path: &Path) -> Result<&'a mut Arguments, Error> {
    // QEMU's option parser reads two commas as one.
    let path = utf8(path)?.replace(',', ",,");
    Ok(args.pair("-chardev", format!("socket,id={id},path={path}")))
}

fn utf8(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::PathNotUtf8 { path: path.to_owned() })
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.into());
        self
    }

    fn pair(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.push(name.into());
        self.0.push(value.into());
        self
    }
}

/// The command as a shell would read it, for people.
pub(super) fn printable(program: &Path, arguments: &[OsString]) -> String {
    let words = std::iter::once(program.as_os_str()).chain(arguments.iter().map(OsString::as_os_str));
    let quoted: Vec<_> = words.map(|word| quote(&word.to_string_lossy())).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+/.,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
