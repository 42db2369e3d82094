//! Processor architectures, and what each world calls them.

use std::fmt;
use std::str::FromStr;

use super::bootloader_files;
use crate::tree::{Files, ReadError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    X86_64,
    Aarch64,
    Riscv64,
    Ppc64le,
    S390x,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an architecture known here; amd64, arm64, riscv64, ppc64le and s390x are")]
pub struct UnknownArchitecture(String);

impl Architecture {
    const ALL: [Architecture; 5] = [
        Architecture::X86_64,
        Architecture::Aarch64,
        Architecture::Riscv64,
        Architecture::Ppc64le,
        Architecture::S390x,
    ];

    /// As OCI images and Go say it.
    pub fn oci(self) -> &'static str {
        match self {
            Architecture::X86_64 => "amd64",
            Architecture::Aarch64 => "arm64",
            Architecture::Riscv64 => "riscv64",
            Architecture::Ppc64le => "ppc64le",
            Architecture::S390x => "s390x",
        }
    }

    /// As Rust says it, and with it bootc's `match-architectures`.
    pub fn rust(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Aarch64 => "aarch64",
            Architecture::Riscv64 => "riscv64",
            Architecture::Ppc64le => "powerpc64",
            Architecture::S390x => "s390x",
        }
    }

    /// The serial console a virtual machine of this architecture has.
    pub fn serial_console(self) -> &'static str {
        match self {
            Architecture::X86_64 | Architecture::Riscv64 => "ttyS0",
            Architecture::Aarch64 => "ttyAMA0",
            Architecture::Ppc64le => "hvc0",
            Architecture::S390x => "ttysclp0",
        }
    }

    /// The suffix of EFI file names (UEFI §3.5.1.1), where the architecture has UEFI.
    pub fn efi_suffix(self) -> Option<&'static str> {
        match self {
            Architecture::X86_64 => Some("x64"),
            Architecture::Aarch64 => Some("aa64"),
            Architecture::Riscv64 => Some("riscv64"),
            Architecture::Ppc64le | Architecture::S390x => None,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Architecture::Ppc64le => "ppc64le",
            other => other.rust(),
        })
    }
}

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    /// Takes OCI's name, the kernel's (`uname -m`) and systemd's.
    fn from_str(text: &str) -> Result<Architecture, UnknownArchitecture> {
        let named = |architecture: &&Architecture| {
            text == architecture.oci()
                || text == architecture.to_string()
                || text == architecture.to_string().replace('_', "-")
        };
        Architecture::ALL.iter().find(named).copied().ok_or_else(|| UnknownArchitecture(text.to_owned()))
    }
}

/// Programs that a system has, whatever it is; one is enough.
pub const PROGRAMS: [&str; 5] = [
    "usr/lib/systemd/systemd",
    "usr/lib/ostree/ostree-prepare-root",
    "usr/bin/ostree",
    "usr/bin/sh",
    "usr/bin/busybox",
];
const LIMIT: u64 = 64 << 20;

/// The architecture that the system is for: by the ELF header of one of its programs, else by its EFI programs.
pub fn of_programs(files: &Files<'_>) -> Result<Option<Architecture>, ReadError> {
    for path in PROGRAMS {
        let program = files.read(path, LIMIT)?;
        if let Some(architecture) = program.and_then(|elf| of_elf(&elf)) {
            return Ok(Some(architecture));
        }
    }
    for architecture in Architecture::ALL {
        if !bootloader_files::find(files, architecture)?.is_empty() {
            return Ok(Some(architecture));
        }
    }
    Ok(None)
}

/// By `e_machine` and byte order.
fn of_elf(elf: &[u8]) -> Option<Architecture> {
    use object::Object as _;
    let file = object::File::parse(elf).ok().filter(|file| file.format() == object::BinaryFormat::Elf)?;
    Some(match (file.architecture(), file.is_little_endian()) {
        (object::Architecture::X86_64, true) => Architecture::X86_64,
        (object::Architecture::Aarch64, true) => Architecture::Aarch64,
        (object::Architecture::Riscv64, true) => Architecture::Riscv64,
        (object::Architecture::PowerPc64, true) => Architecture::Ppc64le,
        (object::Architecture::S390x, false) => Architecture::S390x,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_an_architecture_reads_back() {
        for architecture in Architecture::ALL {
            for name in [architecture.oci().to_owned(), architecture.to_string()] {
                assert_eq!(name.parse(), Ok(architecture), "{name}");
            }
        }
        assert_eq!("x86-64".parse(), Ok(Architecture::X86_64));
        assert!("z80".parse::<Architecture>().is_err());
    }
}
