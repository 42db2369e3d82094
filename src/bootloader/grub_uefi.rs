//! GRUB for UEFI out of the image: shim where there is one, GRUB beside it, and the stub that finds /boot.

use std::collections::BTreeMap;

use super::{BootloaderError, placed};
use crate::os::{Architecture, EfiBinary, EfiRole, EfiSearch};
use crate::tree::Files;

const STUB: &str = include_str!("../../bootloaders/grub/stub.cfg");

/// The modules that the script reader needs; all are built into Debian's signed GRUB.
const SCRIPT_MODULES: [&str; 8] =
    ["normal", "configfile", "regexp", "test", "search", "search_fs_uuid", "linux", "ext2"];

/// The EFI programs that were picked.
pub struct GrubUefi<'a> {
    grub: &'a EfiBinary,
    prefix: &'a str,
    modules: &'a [String],
    shim: Option<&'a EfiBinary>,
    mok_manager: Option<&'a EfiBinary>,
    suffix: &'static str,
}

impl<'a> GrubUefi<'a> {
    /// Picks by content: a signed GRUB before an unsigned one, one whose prefix is a directory of the ESP before others (a
    /// CD's or a network GRUB looks elsewhere), and shim only before a signed GRUB.
    pub fn choose(binaries: &'a [EfiBinary], architecture: Architecture) -> Result<GrubUefi<'a>, BootloaderError> {
        let suffix = architecture.efi_suffix().ok_or(BootloaderError::NoUefi(architecture))?;
        let on_esp = |role: &EfiRole| matches!(role, EfiRole::Grub { prefix, .. } if prefix.is_empty() || prefix.starts_with("/EFI/"));
        let places = "usr/lib/efi, usr/lib/bootupd/updates/EFI, usr/lib/grub and usr/share/efi";
        let grub = binaries.best(on_esp).ok_or(BootloaderError::NoGrub { architecture, places })?;
        let EfiRole::Grub { prefix, modules } = &grub.role else {
            return Err(BootloaderError::NoGrub { architecture, places });
        };
        let shim = binaries.best(|role| *role == EfiRole::Shim).filter(|_| grub.signed);
        let mok_manager = binaries.best(|role| *role == EfiRole::MokManager).filter(|_| shim.is_some());
        let chosen = GrubUefi { grub, prefix, modules, shim, mok_manager, suffix };
        chosen.check_modules()?;
        Ok(chosen)
    }

    /// Whether a module is built in.
    pub fn has(&self, module: &str) -> bool {
        self.modules.iter().any(|have| have == module)
    }

    fn check_modules(&self) -> Result<(), BootloaderError> {
        let missing: Vec<_> = SCRIPT_MODULES.into_iter().filter(|module| !self.has(module)).collect();
        if missing.is_empty() || self.has("blscfg") {
            return Ok(());
        }
        Err(BootloaderError::CannotReadEntries { path: self.grub.path.clone(), missing: missing.join(", ") })
    }

    /// All files for the ESP.
    pub fn files(&self, image: &Files<'_>, boot_uuid: &str) -> Result<BTreeMap<String, Vec<u8>>, BootloaderError> {
        let mut esp = BTreeMap::new();
        for (path, binary) in self.placed() {
            esp.insert(path, binary.read(image)?);
        }
        let (path, stub) = self.stub(boot_uuid);
        esp.insert(path, stub);
        Ok(esp)
    }

    /// What finds /boot, where the binary's prefix says; an empty prefix means beside the binary.
    pub fn stub(&self, boot_uuid: &str) -> (String, Vec<u8>) {
        let directory = if self.prefix.is_empty() { "EFI/BOOT" } else { self.prefix.trim_start_matches('/') };
        (format!("{directory}/grub.cfg"), STUB.replace("@BOOT_UUID@", boot_uuid).into_bytes())
    }

    fn placed(&self) -> BTreeMap<String, &'a EfiBinary> {
        placed(self.suffix, self.grub, self.shim, self.mok_manager)
    }

    /// The image's files that are used.
    pub fn sources(&self) -> Vec<String> {
        self.placed().values().map(|binary| binary.path.clone()).collect()
    }

    /// Whether a signed shim starts a signed GRUB.
    pub fn secure_boot(&self) -> bool {
        self.shim.is_some_and(|shim| shim.signed) && self.grub.signed
    }

    /// Why this one, for people.
    pub fn reason(&self) -> String {
        let reader = if self.has("blscfg") { "its blscfg command" } else { "a script" };
        let chain = if self.shim.is_some() { "shim and " } else { "" };
        format!("the image brings {chain}GRUB with the prefix `{}`; it shows boot entries with {reader}", self.prefix)
    }
}
