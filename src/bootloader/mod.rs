//! Boot loaders: which files of the image go where on the ESP and on /boot, and the configuration they read.
//!
//! Loaders come out of the image and are not changed, so that signatures hold; GRUB for BIOS is put together from its modules.

mod bootupd;
mod grub;
mod grub_bios;
mod grub_uefi;
mod grub_uefi_modules;
mod provided;
mod syslinux;
mod systemd_boot;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use grub::Grub;
pub use grub_bios::BiosCode;
use grub_uefi::GrubUefi;
pub use provided::Provided;
pub use syslinux::{Syslinux, SyslinuxCode};
pub use systemd_boot::SystemdBoot;

use crate::deploy::BootEntry;
use crate::layout::{Layout, PartitionTable, PartitionType};
use crate::os::{Architecture, EfiBinary};
use crate::tree::{Files, Kind};

#[derive(Debug, thiserror::Error)]
pub enum BootloaderError {
    #[error("the image has no GRUB for UEFI on {architecture}: none was found below {places}")]
    NoGrub { architecture: Architecture, places: &'static str },
    #[error("{0} has no UEFI, and no boot loader for its own firmware is installed")]
    NoUefi(Architecture),
    #[error("`{path}` of the image is no metadata of bootupd: an object with `timestamp` and `version`")]
    BootupdMetadata { path: String },
    #[error("the image's payload of bootupd has no EFI/BOOT/{missing}, without which no new machine would start it")]
    BootupdNotStarted { missing: String },
    #[error("GRUB for UEFI in `{place}` lacks the module `{name}`")]
    NoGrubModule { place: String, name: String },
    #[error("GRUB for UEFI cannot be built from its modules: {0}")]
    GrubModules(#[from] crate::grub_efi::Error),
    #[error("the image has no systemd-boot for {architecture} (usr/lib/systemd/boot/efi/systemd-boot*.efi)")]
    NoSystemdBoot { architecture: Architecture },
    #[error("the image lacks {missing}, which copy boot entries to the ESP for systemd-boot")]
    NoMirrorTools { missing: String },
    #[error("{0} has no BIOS, which syslinux is for")]
    NoBios(Architecture),
    #[error("the image lacks {missing} of syslinux")]
    NoSyslinux { missing: String },
    #[error("neither the image nor {directory} has all of syslinux: {missing} is missing in the latter")]
    NoSyslinuxProvided { missing: String, directory: String },
    #[error("syslinux cannot be installed: {0}")]
    Syslinux(#[from] crate::syslinux::Error),
    #[error("{} could not be read: {source}", path.display())]
    Provided { path: PathBuf, source: std::io::Error },
    #[error("{} has more than {most} files; give the directory of the loader's files alone", directory.display())]
    TooManyFiles { directory: PathBuf, most: usize },
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
    /// A DOS label.
    pub dos: bool,
}

impl From<&Layout> for Places {
    fn from(layout: &Layout) -> Places {
        Places {
            esp: layout.has(PartitionType::Esp),
            bios_boot: layout.has_bios_boot(),
            dos: layout.partition_table == PartitionTable::Dos,
        }
    }
}

/// What a configuration has to know of the disk and its only deployment.
pub struct Boot<'a> {
    pub boot_uuid: String,
    pub kernel: &'a str,
    pub stateroot: &'a str,
    pub boot_checksum: &'a str,
    pub commit: String,
    /// Kernel arguments without `ostree=`.
    pub arguments: String,
    /// libostree's boot entry.
    pub entry: &'a BootEntry,
    /// Kernel, initramfs and device tree by their path on /boot.
    pub kernel_files: BTreeMap<String, Vec<u8>>,
}

impl Boot<'_> {
    /// A link to the deployment that stays when libostree's own, below /ostree/boot.N, is replaced by an upgrade. libostree
    /// takes any character between `boot` and the number (`_ostree_sysroot_parse_bootlink`, 2022.7 to 2026.4).
    fn stable_link(&self) -> String {
        format!("/ostree/boot-1/{}/{}/0", self.stateroot, self.commit)
    }

    /// The boot entry as libostree's syslinux backend writes it (`ostree-bootloader-syslinux.c`), which reads it again.
    fn syslinux_entry(&self) -> String {
        let BootEntry { title, options, linux, initrd, device_tree, .. } = self.entry;
        let tree = device_tree.iter().map(|path| format!("\tDEVICETREE {path}\n")).collect::<String>();
        format!("DEFAULT {title}\nLABEL {title}\n\tKERNEL {linux}\n\tINITRD {initrd}\n{tree}\tAPPEND {options}\n")
    }

    /// The boot entry as `esp-mirror` writes it.
    fn mirrored_entry(&self) -> String {
        let mut text = format!(
            "title {}\nversion 1\noptions {} ostree={}\n",
            self.entry.title,
            self.arguments,
            self.stable_link()
        );
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

/// Which program lies where on the ESP: shim as what firmware starts, and beside it, under GRUB's name, what shim starts.
fn placed<'a>(
    suffix: &str,
    loader: &'a EfiBinary,
    shim: Option<&'a EfiBinary>,
    mok_manager: Option<&'a EfiBinary>,
) -> BTreeMap<String, &'a EfiBinary> {
    let default = format!("EFI/BOOT/BOOT{}.EFI", suffix.to_ascii_uppercase());
    let mut placed = BTreeMap::from([(default, shim.unwrap_or(loader))]);
    placed.extend(shim.map(|_| (format!("EFI/BOOT/grub{suffix}.efi"), loader)));
    placed.extend(mok_manager.map(|mok_manager| (format!("EFI/BOOT/mm{suffix}.efi"), mok_manager)));
    placed
}

/// Files that a boot loader adds, by their path on the filesystem.
#[derive(Debug, Default)]
pub struct LoaderFiles {
    pub esp: BTreeMap<String, Vec<u8>>,
    pub boot: BTreeMap<String, Vec<u8>>,
    /// Symbolic links on /boot and their targets.
    pub boot_links: BTreeMap<String, String>,
    /// For the first sector and GRUB's place for BIOS.
    pub bios: Option<BiosCode>,
    /// Bytes that one set of kernel files takes on the ESP.
    pub kernel_on_esp: u64,
    pub additions: Vec<Addition>,
    pub syslinux: Option<SyslinuxCode>,
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
    Syslinux(Box<Syslinux>),
}

impl Loader<'_> {
    pub fn files(&self, image: &Files<'_>, boot: &Boot<'_>) -> Result<LoaderFiles, BootloaderError> {
        match self {
            Loader::None { reason } => Ok(LoaderFiles { summary: Summary::none(reason), ..LoaderFiles::default() }),
            Loader::Grub(grub) => grub.files(image, boot),
            Loader::SystemdBoot(systemd_boot) => systemd_boot.files(image, boot),
            Loader::Syslinux(syslinux) => Ok(syslinux.files(boot)),
        }
    }

    /// Which and why, for people.
    pub fn reason(&self) -> String {
        match self {
            Loader::None { reason } => format!("none: {reason}"),
            Loader::Grub(grub) => format!("grub: {}", grub.reason()),
            Loader::SystemdBoot(systemd_boot) => format!("systemd-boot: {}", systemd_boot.reason()),
            Loader::Syslinux(syslinux) => format!("syslinux: {}", syslinux.reason()),
        }
    }

    /// What libostree on the machine is told to do for the loader: where entries are read as they are, nothing.
    pub fn libostree_backend(&self) -> &'static str {
        match self {
            Loader::Syslinux(_) => "syslinux",
            _ => "none",
        }
    }

    /// Whether kernels are read from the ESP.
    pub fn needs_kernel_on_esp(&self) -> bool {
        matches!(self, Loader::SystemdBoot(systemd_boot) if systemd_boot.mirrors())
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
