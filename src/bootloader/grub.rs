//! GRUB, for whichever firmware the image and the layout allow, and the menu that all of them read (`bootloaders/grub/`).

use std::collections::BTreeMap;

use super::bootupd::Bootupd;
use super::grub_bios::{self, GrubBios};
use super::grub_uefi_modules::GrubUefiModules;
use super::{Boot, BootloaderError, GrubUefi, LoaderFiles, Places, Summary};
use crate::os::{Architecture, Os};
use crate::tree::Files;

const ENTRIES_SCRIPT: &str = include_str!("../../bootloaders/grub/entries-script.cfg");
const ENTRIES_BLSCFG: &str = include_str!("../../bootloaders/grub/entries-blscfg.cfg");

/// Seconds the menu is shown.
const TIMEOUT: &str = "2";

/// GRUB for UEFI, for BIOS or for both; where one is missing, why.
pub struct Grub<'a> {
    uefi: Result<Uefi<'a>, String>,
    bios: Result<GrubBios<'a>, String>,
    /// The image's payload for bootupd, where it has one and GRUB for UEFI is out of it.
    bootupd: Option<Bootupd>,
}

/// The program that UEFI starts.
enum Uefi<'a> {
    /// As the image brings it.
    ReadyMade(GrubUefi<'a>),
    Modules {
        modules: GrubUefiModules<'a>,
        suffix: &'static str,
    },
}

impl<'a> Uefi<'a> {
    fn choose(os: &'a Os) -> Result<Uefi<'a>, BootloaderError> {
        let error = match GrubUefi::choose(&os.efi_binaries, os.architecture) {
            Ok(grub) => return Ok(Uefi::ReadyMade(grub)),
            Err(error) => error,
        };
        let modules = GrubUefiModules::choose(os.grub_efi.as_deref(), os.architecture);
        match (modules, os.architecture.efi_suffix()) {
            (Some(modules), Some(suffix)) => Ok(Uefi::Modules { modules, suffix }),
            _ => Err(error),
        }
    }

    /// All files for the ESP, and whether its GRUB has the command `blscfg`.
    fn files(&self, image: &Files<'_>, boot_uuid: &str) -> Result<(BTreeMap<String, Vec<u8>>, bool), BootloaderError> {
        match self {
            Uefi::ReadyMade(grub) => Ok((grub.files(image, boot_uuid)?, grub.has("blscfg"))),
            Uefi::Modules { modules, suffix } => {
                let (program, blscfg) = modules.program(image, boot_uuid)?;
                let path = format!("EFI/BOOT/BOOT{}.EFI", suffix.to_ascii_uppercase());
                Ok((BTreeMap::from([(path, program)]), blscfg))
            }
        }
    }

    fn reason(&self) -> String {
        match self {
            Uefi::ReadyMade(grub) => grub.reason(),
            Uefi::Modules { modules, .. } => {
                format!("GRUB for UEFI is built from the image's own modules in {}, unsigned", modules.place)
            }
        }
    }
}

impl<'a> Grub<'a> {
    /// Takes what the image has and the layout has places for.
    ///
    /// # Errors
    /// No firmware would find anything.
    pub fn choose(os: &'a Os, image: &Files<'_>, places: Places) -> Result<Grub<'a>, BootloaderError> {
        let uefi = match places.esp {
            true => Uefi::choose(os),
            false => Err(BootloaderError::NoEsp),
        };
        let bios = match (os.architecture, places.bios_boot) {
            (Architecture::X86_64, true) => GrubBios::choose(os.grub_pc.as_deref()),
            (Architecture::X86_64, false) => Err("the layout has no BIOS boot partition".to_owned()),
            (other, _) => Err(format!("{other} has none")),
        };
        match (uefi, bios) {
            (Err(BootloaderError::NoEsp), Err(why)) => Err(BootloaderError::NoPlace { why }),
            (Err(error), Err(_)) => Err(error),
            (uefi, bios) => {
                let bootupd = match &uefi {
                    Ok(Uefi::ReadyMade(_)) => Bootupd::find(image, os.architecture.efi_suffix().unwrap_or_default())?,
                    _ => None,
                };
                Ok(Grub { uefi: uefi.map_err(|error| error.to_string()), bios, bootupd })
            }
        }
    }

    /// All files for the ESP and /boot, and the code for BIOS.
    pub fn files(&self, image: &Files<'_>, boot: &Boot<'_>) -> Result<LoaderFiles, BootloaderError> {
        // One menu serves both: what GRUB for UEFI has built in decides, as modules cannot be added under Secure Boot.
        let (esp, blscfg) = match &self.uefi {
            Ok(uefi) => uefi.files(image, &boot.boot_uuid)?,
            Err(_) => (BTreeMap::new(), false),
        };
        let bios = match &self.bios {
            Ok(bios) => grub_bios::code(bios, image, &boot.boot_uuid, blscfg)?,
            Err(why) => Err(why.clone()),
        };
        if self.uefi.is_err()
            && let Err(why) = bios
        {
            return Err(BootloaderError::NoPlace { why });
        }
        let (menu, uuid) = (self.menu(boot, blscfg), &boot.boot_uuid);
        let (esp, files) = match (&self.bootupd, &self.uefi) {
            (Some(bootupd), Ok(Uefi::ReadyMade(grub))) => {
                let (path, stub) = grub.stub(uuid);
                let mut esp = bootupd.esp(blscfg, uuid, &stub);
                esp.entry(path).or_insert(stub);
                (esp, bootupd.boot(blscfg, uuid, menu, bios.is_ok()))
            }
            _ => (esp, BTreeMap::from([("grub2/grub.cfg".to_owned(), menu.into_bytes())])),
        };
        let summary = self.summary(bios.as_ref().err());
        Ok(LoaderFiles { esp, boot: files, summary, bios: bios.ok(), ..LoaderFiles::default() })
    }

    fn menu(&self, boot: &Boot<'_>, blscfg: bool) -> String {
        let body = if blscfg { ENTRIES_BLSCFG } else { ENTRIES_SCRIPT };
        body.replace("@TIMEOUT@", TIMEOUT)
            .replace("@BOOT_DIRECTORY@", &format!("{}-{}", boot.stateroot, boot.boot_checksum))
            .replace("@KERNEL@", boot.kernel)
            .replace("@ARGUMENTS@", &boot.arguments)
            .replace("@STATEROOT@", boot.stateroot)
            .replace("@BOOT_CHECKSUM@", boot.boot_checksum)
    }

    /// Why these, for people.
    pub fn reason(&self) -> String {
        self.reason_with(self.bios.as_ref().err())
    }

    fn reason_with(&self, no_bios: Option<&String>) -> String {
        let bootupd = self.bootupd.as_ref().map(|bootupd| format!("; {}", bootupd.reason())).unwrap_or_default();
        match (&self.uefi, no_bios) {
            (Ok(uefi), Some(why)) => format!("{}{bootupd}; not for BIOS: {why}", uefi.reason()),
            (Ok(uefi), None) => format!("{}{bootupd}; for BIOS its modules make a core.img", uefi.reason()),
            (Err(why), _) => format!("the image's GRUB modules make a core.img for BIOS; not for UEFI: {why}"),
        }
    }

    /// `no_bios` says why the disk does not start by BIOS, if it does not.
    fn summary(&self, no_bios: Option<&String>) -> Summary {
        let firmware = match (&self.uefi, no_bios) {
            (Ok(_), None) => "BIOS and UEFI",
            (Ok(_), Some(_)) => "UEFI only",
            (Err(_), _) => "BIOS only",
        };
        let ready_made = self.uefi.as_ref().ok().and_then(|uefi| match uefi {
            Uefi::ReadyMade(grub) => Some(grub),
            Uefi::Modules { .. } => None,
        });
        Summary {
            loader: "grub".to_owned(),
            files: ready_made.map(GrubUefi::sources).unwrap_or_default(),
            secure_boot: ready_made.is_some_and(GrubUefi::secure_boot),
            firmware: firmware.to_owned(),
            reason: self.reason_with(no_bios),
        }
    }
}
