//! GRUB, for whichever firmware the image and the layout allow, and the menu that all of them read (`bootloaders/grub/`).

use std::collections::BTreeMap;

use super::grub_bios::{self, GrubBios};
use super::{Boot, BootloaderError, GrubUefi, LoaderFiles, Places, Summary};
use crate::os::{Architecture, Os};
use crate::tree::Files;

const ENTRIES_SCRIPT: &str = include_str!("../../bootloaders/grub/entries-script.cfg");
const ENTRIES_BLSCFG: &str = include_str!("../../bootloaders/grub/entries-blscfg.cfg");

/// Seconds the menu is shown.
const TIMEOUT: &str = "2";

/// GRUB for UEFI, for BIOS or for both; where one is missing, why.
pub struct Grub<'a> {
    uefi: Result<GrubUefi<'a>, String>,
    bios: Result<GrubBios<'a>, String>,
}

impl<'a> Grub<'a> {
    /// Takes what the image has and the layout has places for.
    ///
    /// # Errors
    /// No firmware would find anything.
    pub fn choose(os: &'a Os, places: Places) -> Result<Grub<'a>, BootloaderError> {
        let uefi = match places.esp {
            true => GrubUefi::choose(&os.efi_binaries, os.architecture),
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
            (uefi, bios) => Ok(Grub { uefi: uefi.map_err(|error| error.to_string()), bios }),
        }
    }

    /// All files for the ESP and /boot, and the code for BIOS.
    pub fn files(&self, image: &Files<'_>, boot: &Boot<'_>) -> Result<LoaderFiles, BootloaderError> {
        let blscfg = self.uses_blscfg();
        let esp = match &self.uefi {
            Ok(uefi) => uefi.files(image, &boot.boot_uuid)?,
            Err(_) => BTreeMap::new(),
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
        let menu = BTreeMap::from([("grub2/grub.cfg".to_owned(), self.menu(boot, blscfg).into_bytes())]);
        let summary = self.summary(bios.as_ref().err());
        Ok(LoaderFiles { esp, boot: menu, summary, bios: bios.ok(), ..LoaderFiles::default() })
    }

    /// One menu serves both: what GRUB for UEFI has built in decides, as its modules cannot be added under Secure Boot.
    fn uses_blscfg(&self) -> bool {
        self.uefi.as_ref().is_ok_and(|uefi| uefi.has("blscfg"))
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
        match (&self.uefi, no_bios) {
            (Ok(uefi), Some(why)) => format!("{}; not for BIOS: {why}", uefi.reason()),
            (Ok(uefi), None) => format!("{}; for BIOS its modules make a core.img", uefi.reason()),
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
        Summary {
            loader: "grub".to_owned(),
            files: self.uefi.as_ref().map(GrubUefi::sources).unwrap_or_default(),
            secure_boot: self.uefi.as_ref().is_ok_and(GrubUefi::secure_boot),
            firmware: firmware.to_owned(),
            reason: self.reason_with(no_bios),
        }
    }
}
