//! GRUB for UEFI out of the image: shim where there is one, GRUB beside it, and its configuration (`bootloaders/grub/`).

use std::collections::BTreeMap;

use super::{BootloaderError, LoaderFiles, Summary, grub_bios};
use crate::os::{Architecture, EfiBinary, EfiRole, EfiSearch};
use crate::tree::{Files, Kind};

const STUB: &str = include_str!("../../bootloaders/grub/stub.cfg");
const ENTRIES_SCRIPT: &str = include_str!("../../bootloaders/grub/entries-script.cfg");
const ENTRIES_BLSCFG: &str = include_str!("../../bootloaders/grub/entries-blscfg.cfg");

/// Seconds the menu is shown.
const TIMEOUT: &str = "2";

/// The modules that the script reader needs; all are built into Debian's signed GRUB.
const SCRIPT_MODULES: [&str; 8] =
    ["normal", "configfile", "regexp", "test", "search", "search_fs_uuid", "linux", "ext2"];

/// What the configuration has to know of the disk and its only deployment.
pub struct GrubBoot<'a> {
    pub boot_uuid: String,
    pub kernel: &'a str,
    pub stateroot: &'a str,
    pub boot_checksum: &'a str,
    /// Kernel arguments without `ostree=`.
    pub arguments: String,
    /// Whether the disk has a place for GRUB for BIOS.
    pub bios_boot: bool,
}

/// The EFI programs that were picked.
pub struct Grub<'a> {
    grub: &'a EfiBinary,
    prefix: &'a str,
    modules: &'a [String],
    shim: Option<&'a EfiBinary>,
    mok_manager: Option<&'a EfiBinary>,
    suffix: &'static str,
}

impl<'a> Grub<'a> {
    /// Picks by content: a signed GRUB before an unsigned one, one whose prefix is a directory of the ESP before others (a
    /// CD's or a network GRUB looks elsewhere), and shim only before a signed GRUB.
    pub fn choose(binaries: &'a [EfiBinary], architecture: Architecture) -> Result<Grub<'a>, BootloaderError> {
        let suffix = architecture.efi_suffix().ok_or(BootloaderError::NoUefi(architecture))?;
        let on_esp = |role: &EfiRole| matches!(role, EfiRole::Grub { prefix, .. } if prefix.is_empty() || prefix.starts_with("/EFI/"));
        let places = "usr/lib/efi, usr/lib/bootupd/updates/EFI, usr/lib/grub and usr/share/efi";
        let grub = binaries.best(on_esp).ok_or(BootloaderError::NoGrub { architecture, places })?;
        let EfiRole::Grub { prefix, modules } = &grub.role else {
            return Err(BootloaderError::NoGrub { architecture, places });
        };
        let shim = binaries.best(|role| *role == EfiRole::Shim).filter(|_| grub.signed);
        let mok_manager = binaries.best(|role| *role == EfiRole::MokManager).filter(|_| shim.is_some());
        let chosen = Grub { grub, prefix, modules, shim, mok_manager, suffix };
        chosen.check_modules()?;
        Ok(chosen)
    }

    fn has(&self, module: &str) -> bool {
        self.modules.iter().any(|have| have == module)
    }

    fn check_modules(&self) -> Result<(), BootloaderError> {
        let missing: Vec<_> = SCRIPT_MODULES.into_iter().filter(|module| !self.has(module)).collect();
        if missing.is_empty() || self.has("blscfg") {
            return Ok(());
        }
        Err(BootloaderError::CannotReadEntries { path: self.grub.path.clone(), missing: missing.join(", ") })
    }

    /// All files for the ESP and /boot.
    pub fn files(&self, image: &Files<'_>, boot: &GrubBoot<'_>) -> Result<LoaderFiles, BootloaderError> {
        let suffix = self.suffix;
        let default = format!("EFI/BOOT/BOOT{}.EFI", suffix.to_ascii_uppercase());
        let beside = format!("EFI/BOOT/grub{suffix}.efi");
        let mut placed: BTreeMap<String, &EfiBinary> = BTreeMap::new();
        match self.shim {
            Some(shim) => {
                placed.insert(default, shim);
                placed.insert(beside, self.grub);
            }
            None => {
                placed.insert(default, self.grub);
            }
        }
        placed.extend(self.mok_manager.map(|mok_manager| (format!("EFI/BOOT/mm{suffix}.efi"), mok_manager)));
        let mut esp = BTreeMap::new();
        for (path, binary) in &placed {
            esp.insert(path.clone(), read(image, binary)?);
        }
        // Where the binary's prefix says; an empty prefix means beside the binary.
        let directory = if self.prefix.is_empty() { "EFI/BOOT" } else { self.prefix.trim_start_matches('/') };
        esp.insert(format!("{directory}/grub.cfg"), STUB.replace("@BOOT_UUID@", &boot.boot_uuid).into_bytes());
        let menu = BTreeMap::from([("grub2/grub.cfg".to_owned(), self.menu(boot).into_bytes())]);
        let files = placed.values().map(|binary| binary.path.clone()).collect();
        let (bios, obstacle) = match boot.bios_boot {
            true => grub_bios::code(image, &boot.boot_uuid, self.has("blscfg"))?
                .map_or_else(|why| (None, Some(why)), |code| (Some(code), None)),
            false => (None, Some("the layout has no BIOS boot partition".to_owned())),
        };
        Ok(LoaderFiles { esp, boot: menu, summary: self.summary(files, obstacle), bios })
    }

    fn menu(&self, boot: &GrubBoot<'_>) -> String {
        let body = if self.has("blscfg") { ENTRIES_BLSCFG } else { ENTRIES_SCRIPT };
        body.replace("@TIMEOUT@", TIMEOUT)
            .replace("@BOOT_DIRECTORY@", &format!("{}-{}", boot.stateroot, boot.boot_checksum))
            .replace("@KERNEL@", boot.kernel)
            .replace("@ARGUMENTS@", &boot.arguments)
            .replace("@STATEROOT@", boot.stateroot)
            .replace("@BOOT_CHECKSUM@", boot.boot_checksum)
    }

    /// Why this one, for people.
    pub fn reason(&self) -> String {
        let reader = if self.has("blscfg") { "its blscfg command" } else { "a script" };
        let chain = if self.shim.is_some() { "shim and " } else { "" };
        format!("the image brings {chain}GRUB with the prefix `{}`; it shows boot entries with {reader}", self.prefix)
    }

    /// `no_bios` says why the disk does not start by BIOS, if it does not.
    fn summary(&self, files: Vec<String>, no_bios: Option<String>) -> Summary {
        let secure_boot = self.shim.is_some_and(|shim| shim.signed) && self.grub.signed;
        Summary {
            loader: "grub".to_owned(),
            files,
            secure_boot,
            firmware: if no_bios.is_some() { "UEFI only" } else { "BIOS and UEFI" }.to_owned(),
            reason: match no_bios {
                Some(why) => format!("{}; not for BIOS: {why}", self.reason()),
                None => format!("{}; for BIOS its modules make a core.img", self.reason()),
            },
        }
    }
}

fn read(image: &Files<'_>, binary: &EfiBinary) -> Result<Vec<u8>, BootloaderError> {
    match &image.tree.inode(binary.inode).kind {
        Kind::Regular(data) => {
            image.bytes(data).map_err(|source| BootloaderError::Read { path: binary.path.clone(), source })
        }
        _ => Ok(Vec::new()),
    }
}
