//! KVM or emulation, and how long to believe in KVM.
//!
//! A small probe proves nothing: on some nested hosts `/dev/kvm` opens and real-mode code runs, but OVMF hangs. The
//! proof is the guest's first byte on its console.

use std::fs::OpenOptions;
use std::time::Duration;

use serde::Serialize;

use super::{Arch, Error, Firmware};

/// What is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM where it opens, emulation where it does not or where its guest stays silent.
    #[default]
    Auto,
    /// KVM, and no second try.
    Kvm,
    /// QEMU's emulation.
    Tcg,
}

/// What a machine runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// Value of QEMU's `-accel`.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }

    /// Time limit when none is asked. Slowest good boot measured in emulation: 123 s.
    pub(super) fn default_timeout(self) -> Duration {
        match self {
            Self::Kvm => Duration::from_secs(120),
            Self::Tcg => Duration::from_secs(300),
        }
    }
}

/// How long a silent guest under KVM is waited for. OVMF speaks after 2 s; GRUB on BIOS may never, the kernel after it does.
pub(super) fn kvm_patience(firmware: Firmware) -> Duration {
    match firmware {
        Firmware::Uefi | Firmware::UefiSecure => Duration::from_secs(15),
        Firmware::Bios => Duration::from_secs(45),
    }
}

/// The accelerator to try first.
pub(super) fn choose(asked: Accel, arch: Arch) -> Result<Accelerator, Error> {
    match (asked, kvm_obstacle(arch)) {
        (Accel::Tcg, _) | (Accel::Auto, Some(_)) => Ok(Accelerator::Tcg),
        (Accel::Auto | Accel::Kvm, None) => Ok(Accelerator::Kvm),
        (Accel::Kvm, Some(reason)) => Err(Error::NoKvm { reason }),
    }
}

fn kvm_obstacle(arch: Arch) -> Option<String> {
    if arch.name() != std::env::consts::ARCH {
        return Some(format!("the disk is for {arch} and this machine is {}", std::env::consts::ARCH));
    }
    let opened = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    opened.err().map(|error| format!("/dev/kvm does not open: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign() -> Arch {
        if std::env::consts::ARCH == "x86_64" { Arch::Aarch64 } else { Arch::X86_64 }
    }

    #[test]
    fn a_foreign_architecture_is_emulated() {
        assert_eq!(choose(Accel::Auto, foreign()).unwrap(), Accelerator::Tcg);
    }

    #[test]
    fn kvm_for_a_foreign_architecture_is_refused_with_both_names() {
        let error = choose(Accel::Kvm, foreign()).unwrap_err().to_string();
        assert!(error.contains(foreign().name()) && error.contains(std::env::consts::ARCH), "{error}");
    }
}
