//! Boot loaders: which files of the image go where on the ESP and on /boot, and the configuration they read.
//!
//! Loaders come out of the image and are not changed, so that signatures hold; GRUB for BIOS is put together from its modules.

mod grub;
mod grub_bios;
mod grub_uefi;
mod systemd_boot;

use std::collections::BTreeMap;

pub use grub::Grub;
pub use grub_bios::BiosCode;
use grub_uefi::GrubUefi;
pub use systemd_boot::SystemdBoot;

use crate::layout::{Layout, PartitionType};
use crate::os::{Architecture, EfiBinary};
use crate::tree::{Files, Kind};

#[derive(Debug, thiserror::Error)]
pub enum BootloaderError {
    #[error("the image has no GRUB for UEFI on {architecture}: none was found below {places}")]
    NoGrub { architecture: Architecture, places: &'static str },
    #[error("{0} has no UEFI, and GRUB for UEFI is the only boot loader supported yet")]
    NoUefi(Architecture),
    #[error("the image has no systemd-boot for {architecture} (usr/lib/systemd/boot/efi/systemd-boot*.efi)")]
    NoSystemdBoot { architecture: Architecture },
    #[error("the image lacks {missing}, which copy boot entries to the ESP for systemd-boot")]
    NoMirrorTools { missing: String },
    #[error("the layout has no EFI system partition")]
    NoEsp,
    #[error(
        "no firmware would find a boot loader on the disk: for UEFI the layout has no EFI system partition; for BIOS: {why}"
    )]
    NoPlace { why: String },
    #[error(
        "the GRUB `{path}` can show boot entries with neither `blscfg` nor `{missing}`: it lacks the modules, and Secure Boot \
         forbids loading them from disk"
    )]
    CannotReadEntries { path: String, missing: String },
    #[error("`{path}` of the image could not be read back: {source}")]
    Read { path: String, source: crate::spool::SpoolError },
    #[error(transparent)]
    File(#[from] crate::tree::ReadError),
}

/// Where a layout has room for loaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub esp: bool,
    /// A BIOS boot partition, or the gap behind a DOS label.
    pub bios_boot: bool,
}

impl From<&Layout> for Places {
    fn from(layout: &Layout) -> Places {
        Places { esp: layout.has(PartitionType::Esp), bios_boot: layout.has_bios_boot() }
    }
}

/// What a configuration has to know of the disk and its only deployment.
pub struct Boot<'a> {
    pub boot_uuid: String,
    pub kernel: &'a str,
    pub stateroot: &'a str,
    pub boot_checksum: &'a str,
    pub commit: String,
    pub title: &'a str,
    /// Kernel arguments without `ostree=`.
    pub arguments: String,
    /// Kernel, initramfs and device tree by their path on /boot.
    pub kernel_files: BTreeMap<String, Vec<u8>>,
}

impl Boot<'_> {
    /// A link to the deployment that stays when libostree's own, below /ostree/boot.N, is replaced by an upgrade. libostree
    /// takes any character between `boot` and the number (`_ostree_sysroot_parse_bootlink`, 2022.7 to 2026.4).
    fn stable_link(&self) -> String {
        format!("/ostree/boot-1/{}/{}/0", self.stateroot, self.commit)
    }

    /// The boot entry as `esp-mirror` writes it.
    fn mirrored_entry(&self) -> String {
        let mut text =
            format!("title {}\nversion 1\noptions {} ostree={}\n", self.title, self.arguments, self.stable_link());
        for (key, name) in [("linux", "vmlinuz-"), ("initrd", "initramfs-"), ("devicetree", "devicetree-")] {
            let path = self
                .kernel_files
                .keys()
                .find(|path| path.rsplit('/').next().is_some_and(|file| file.starts_with(name)));
            if let Some(path) = path {
                text.push_str(&format!("{key} /{path}\n"));
            }
        }
        text
    }
}

/// What a loader needs beside its own files, in the installed system.
#[derive(Debug)]
pub enum Addition {
    /// A file below the deployment's /etc.
    EtcFile { path: String, permissions: u16, text: String },
    /// A link below the deployment's /etc.
    EtcLink { path: String, target: String },
    /// A link on the physical root filesystem.
    SysrootLink { path: String, target: String },
}

impl EfiBinary {
    /// Its bytes, unchanged.
    fn read(&self, image: &Files<'_>) -> Result<Vec<u8>, BootloaderError> {
        match &image.tree.inode(self.inode).kind {
            Kind::Regular(data) => {
                image.bytes(data).map_err(|source| BootloaderError::Read { path: self.path.clone(), source })
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Files that a boot loader adds, by their path on the filesystem.
#[derive(Debug, Default)]
pub struct LoaderFiles {
    pub esp: BTreeMap<String, Vec<u8>>,
    pub boot: BTreeMap<String, Vec<u8>>,
    /// For the first sector and GRUB's place for BIOS.
    pub bios: Option<BiosCode>,
    /// Bytes that one set of kernel files takes on the ESP.
    pub kernel_on_esp: u64,
    pub additions: Vec<Addition>,
    /// What was chosen and why, for the report.
    pub summary: Summary,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Summary {
    pub loader: String,
    /// The image's files that were used.
    pub files: Vec<String>,
    /// Whether a signed shim starts a signed GRUB.
    pub secure_boot: bool,
    pub firmware: String,
    pub reason: String,
}

/// The loader of a disk.
pub enum Loader<'a> {
    None { reason: &'static str },
    Grub(Grub<'a>),
    SystemdBoot(SystemdBoot<'a>),
}

impl Loader<'_> {
    pub fn files(&self, image: &Files<'_>, boot: &Boot<'_>) -> Result<LoaderFiles, BootloaderError> {
        match self {
            Loader::None { reason } => Ok(LoaderFiles { summary: Summary::none(reason), ..LoaderFiles::default() }),
            Loader::Grub(grub) => grub.files(image, boot),
            Loader::SystemdBoot(systemd_boot) => systemd_boot.files(image, boot),
        }
    }

    /// Which and why, for people.
    pub fn reason(&self) -> String {
        match self {
            Loader::None { reason } => format!("none: {reason}"),
            Loader::Grub(grub) => format!("grub: {}", grub.reason()),
            Loader::SystemdBoot(systemd_boot) => format!("systemd-boot: {}", systemd_boot.reason()),
        }
    }

    /// Whether kernels are read from the ESP.
    pub fn needs_kernel_on_esp(&self) -> bool {
        matches!(self, Loader::SystemdBoot(_))
    }
}

impl Summary {
    /// Of a disk without a boot loader.
    fn none(reason: &str) -> Summary {
        let reason = reason.to_owned();
        Summary {
            loader: "none".to_owned(),
            firmware: "does not boot by itself".to_owned(),
            reason,
            ..Summary::default()
        }
    }
}
