//! Which firmware the machine has, and where this host keeps it.
//!
//! UEFI firmware is two flash images: code, shared and read-only, and variables, copied for each machine. Secure Boot
//! needs variables with the keys of Microsoft enrolled; where a distribution ships none (Arch), it is not offered.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Arch, Error, install};

/// What the machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    Uefi,
    /// UEFI with Microsoft's keys enrolled and Secure Boot enforced.
    UefiSecure,
    /// SeaBIOS, part of QEMU.
    Bios,
}

impl Firmware {
    /// The word of the command line and of the reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uefi => "uefi",
            Self::UefiSecure => "uefi-secure",
            Self::Bios => "bios",
        }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The two flash images of UEFI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flash {
    pub code: PathBuf,
    pub vars: PathBuf,
}

/// Overrides from the environment: BOOTWRIGHT_OVMF_CODE and BOOTWRIGHT_OVMF_VARS.
pub(super) struct Override {
    pub code: Option<OsString>,
    pub vars: Option<OsString>,
}

impl Override {
    pub fn from_environment() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { code: set("BOOTWRIGHT_OVMF_CODE"), vars: set("BOOTWRIGHT_OVMF_VARS") }
    }
}

/// The flash images for this machine; `None` for BIOS. `exists` answers for the host's files.
pub(super) fn find(
    arch: Arch,
    firmware: Firmware,
    chosen: Override,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Option<Flash>, Error> {
    match (firmware, arch) {
        (Firmware::Bios, Arch::X86_64) => return Ok(None),
        (Firmware::Bios, Arch::Aarch64) => return Err(Error::NoSuchFirmware { firmware, arch }),
        _ => {}
    }
    match (chosen.code, chosen.vars) {
        (Some(code), Some(vars)) => return Ok(Some(Flash { code: code.into(), vars: vars.into() })),
        (None, None) => {}
        _ => return Err(Error::HalfFirmware),
    }
    let places = places(arch, firmware == Firmware::UefiSecure);
    let found = places.iter().find(|(code, vars)| exists(Path::new(code)) && exists(Path::new(vars)));
    let (code, vars) = found.ok_or_else(|| Error::MissingFirmware {
        firmware,
        arch,
        looked: places.len(),
        install: install::command(&install::os_release(), arch),
    })?;
    Ok(Some(Flash { code: code.into(), vars: vars.into() }))
}

/// (code, variables), in the order of preference: 4 MiB builds first, the small ones have no room for new dbx lists.
fn places(arch: Arch, secure: bool) -> &'static [(&'static str, &'static str)] {
    match (arch, secure) {
        (Arch::X86_64, false) => &[
            ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"), // Debian, Ubuntu
            ("/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2"), // Fedora
            ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"), // Arch
            ("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"), // openSUSE
            ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),       // older releases of the four
            ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
            ("/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
            ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
        ],
        (Arch::X86_64, true) => &[
            ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"), // Debian, Ubuntu
            ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
            ("/usr/share/edk2/ovmf/OVMF_CODE_4M.secboot.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.secboot.qcow2"), // Fedora
            ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"), // Fedora, CentOS
            ("/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin", "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin"), // openSUSE
            ("/usr/share/OVMF/OVMF_CODE.ms.fd", "/usr/share/OVMF/OVMF_VARS.ms.fd"),
            ("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.secboot.fd"), // CentOS' link
        ],
        (Arch::Aarch64, false) => &[
            ("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"), // Debian, Ubuntu
            ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
            ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"), // Fedora
            ("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),                    // Arch
            ("/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"), // openSUSE
        ],
        (Arch::Aarch64, true) => &[("/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd")], // Debian
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing_chosen() -> Override {
        Override { code: None, vars: None }
    }

    fn found(arch: Arch, firmware: Firmware, host: &[&str]) -> Option<String> {
        let exists = |path: &Path| host.iter().any(|file| Path::new(file) == path);
        let flash = find(arch, firmware, nothing_chosen(), &exists).ok()??;
        Some(flash.code.display().to_string())
    }

    #[test]
    fn a_code_image_without_its_variables_is_passed_over() {
        let host = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"];
        assert_eq!(found(Arch::X86_64, Firmware::Uefi, &host).unwrap(), "/usr/share/OVMF/OVMF_CODE.fd");
    }

    #[test]
    fn fedoras_qcow2_flash_is_found() {
        let host =
            ["/usr/share/edk2/ovmf/OVMF_CODE_4M.secboot.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.secboot.qcow2"];
        assert_eq!(found(Arch::X86_64, Firmware::UefiSecure, &host).as_deref(), Some(host[0]));
    }

    #[test]
    fn variables_without_enrolled_keys_are_no_secure_boot() {
        let host = ["/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"];
        assert_eq!(found(Arch::X86_64, Firmware::UefiSecure, &host), None);
    }

    #[test]
    fn the_environment_wins() {
        let chosen = Override { code: Some("/c".into()), vars: Some("/v".into()) };
        let flash = find(Arch::X86_64, Firmware::Uefi, chosen, &|_| true).unwrap().unwrap();
        assert_eq!(flash, Flash { code: "/c".into(), vars: "/v".into() });
    }

    #[test]
    fn half_of_the_environment_is_an_error() {
        let chosen = Override { code: Some("/c".into()), vars: None };
        assert!(matches!(find(Arch::X86_64, Firmware::Uefi, chosen, &|_| true), Err(Error::HalfFirmware)));
    }

    #[test]
    fn missing_firmware_says_how_many_places_were_tried() {
        let error = find(Arch::Aarch64, Firmware::Uefi, nothing_chosen(), &|_| false).unwrap_err();
        assert!(matches!(error, Error::MissingFirmware { looked: 5, .. }), "{error}");
    }

    #[test]
    fn aarch64_has_no_bios() {
        let result = find(Arch::Aarch64, Firmware::Bios, nothing_chosen(), &|_| true);
        assert!(matches!(result, Err(Error::NoSuchFirmware { .. })));
    }
}
