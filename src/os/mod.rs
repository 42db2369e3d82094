//! What an operating system tree says about itself: facts read as data, nothing of it is run.

pub mod architecture;
mod bootloader_files;
mod install_config;
mod kargs_d;
mod kernel;
mod libostree;
mod os_release;
mod prepare_root;
mod selinux;

pub use architecture::Architecture;
pub use bootloader_files::{EfiBinary, EfiRole, EfiSearch, SYSTEMD_BOOT, efi_machine, is_signed};
pub use install_config::{InstallConfig, RootFilesystem};
pub use kernel::{DeviceTree, Kernel};
pub use libostree::Libostree;
pub use os_release::OsRelease;
pub use prepare_root::{Composefs, overlayfs_root_enabled};
pub use selinux::SelinuxPolicy;

use crate::tree::{Files, ReadError};

/// Configuration files of an image are read up to this size.
pub(crate) const CONFIG_LIMIT: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum OsError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the image has no kernel: no directory below usr/lib/modules holds a `vmlinuz`")]
    NoKernel,
    #[error(
        "the image boots by a unified kernel image alone (`{path}`), as bootc's composefs backend has it, and only images with \
         a `vmlinuz` and an initramfs for ostree are built"
    )]
    UnifiedKernelOnly { path: String },
    #[error("the image has {} kernels ({}), and a bootable container has exactly one", .0.len(), .0.join(", "))]
    SeveralKernels(Vec<String>),
    #[error("the image has no initramfs: usr/lib/modules/{kernel} has neither `initramfs.img` nor `initramfs`")]
    NoInitramfs { kernel: String },
    #[error(
        "the image has no os-release file (usr/lib/os-release) with PRETTY_NAME or ID, and the boot menu needs one"
    )]
    NoOsRelease,
    #[error("`{path}` of the image: {message}")]
    Config { path: String, message: String },
    #[error(
        "the image has both `etc` and `usr/etc` with files in them; a bootable container keeps its configuration in one"
    )]
    TwoEtc,
    #[error(
        "the image's `etc` is no directory (nor `usr/etc`, as ostree calls it), and the machine's configuration is copied from there"
    )]
    EtcIsNoDirectory,
    #[error("the image's tree has no `{path}`, which every deployment needs")]
    MissingDirectory { path: &'static str },
    #[error("the image turns on the SELinux policy `{name}` and has no `{path}`, which says how files are labelled")]
    NoFileContexts { name: String, path: String },
    #[error(
        "prepare-root.conf asks for `composefs.enabled = {mode}`, which needs fs-verity on every file and is not supported yet"
    )]
    SealedComposefs { mode: &'static str },
}

/// Everything the rest of the program needs to know of the system it lays down.
#[derive(Clone, Debug)]
pub struct Os {
    pub architecture: Architecture,
    pub release: OsRelease,
    pub kernel: Kernel,
    pub install: InstallConfig,
    /// Kernel arguments of usr/lib/bootc/kargs.d, in file-name order, for this architecture.
    pub kargs: Vec<String>,
    pub composefs: Composefs,
    pub libostree: Libostree,
    pub grow_tools: GrowTools,
    /// Path of the program that checks ext4.
    pub e2fsck: Option<&'static str>,
    /// Whether there is a /efi to mount the ESP on.
    pub has_efi_directory: bool,
    /// Whether the image itself says what systemd-repart does with the root partition.
    pub has_root_definition: bool,
    /// A program that can fetch the next version: bootc with skopeo and podman, rpm-ostree, or ostree.
    pub update_client: Option<&'static str>,
    /// What libostree needs at every upgrade of an image with SELinux, and this one lacks.
    pub missing_for_selinux: Vec<&'static str>,
    pub efi_binaries: Vec<EfiBinary>,
    /// The directories of GRUB's modules for BIOS and for UEFI.
    pub grub_pc: Option<String>,
    pub grub_efi: Option<String>,
}

/// Programs that grow a partition or a filesystem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrowTools {
    pub repart: bool,
    pub growfs: bool,
    pub sfdisk: bool,
    pub partx: bool,
    pub resize2fs: bool,
}

impl GrowTools {
    fn find(files: &Files<'_>) -> Result<GrowTools, ReadError> {
        Ok(GrowTools {
            repart: has_program(files, "systemd-repart")?,
            growfs: files.is_file("usr/lib/systemd/systemd-growfs")?,
            sfdisk: has_program(files, "sfdisk")?,
            partx: has_program(files, "partx")?,
            resize2fs: has_program(files, "resize2fs")?,
        })
    }
}

impl Os {
    /// Reads the facts; refuses trees that could not boot, naming what is missing.
    pub fn inspect(files: &Files<'_>, architecture: Architecture) -> Result<Os, OsError> {
        check_directories(files)?;
        let kernel = Kernel::find(files)?;
        let composefs = prepare_root::composefs(files)?;
        Ok(Os {
            architecture,
            release: OsRelease::read(files)?,
            install: InstallConfig::read(files, architecture)?,
            kargs: kargs_d::read(files, architecture)?,
            libostree: Libostree::find(files)?,
            grow_tools: GrowTools::find(files)?,
            e2fsck: first_file(files, ["usr/sbin/e2fsck", "usr/bin/e2fsck"])?,
            has_efi_directory: files.find("efi")?.is_some(),
            has_root_definition: has_root_definition(files)?,
            update_client: update_client(files)?,
            missing_for_selinux: selinux::missing_for_upgrades(files)?,
            efi_binaries: bootloader_files::find(files, architecture)?,
            grub_pc: bootloader_files::grub_platform(files, "i386-pc")?,
            grub_efi: match architecture {
                Architecture::X86_64 => bootloader_files::grub_platform(files, "x86_64-efi")?,
                Architecture::Aarch64 => bootloader_files::grub_platform(files, "arm64-efi")?,
                _ => None,
            },
            kernel,
            composefs,
        })
    }

    /// Whether the deployment gets an `.ostree.cfs`: the system's libostree would write one, or its initramfs asks for it.
    pub fn wants_composefs(&self) -> bool {
        self.libostree.writes_composefs || self.composefs.is_used()
    }
}

/// Where [`Os::inspect`] reads files, beside boot loaders and programs.
const READ: [&str; 13] = [
    "usr/lib/os-release",
    "usr/etc/os-release",
    "usr/lib/ostree/",
    "usr/etc/ostree/",
    "usr/lib/bootc/",
    "usr/local/lib/bootc/",
    "usr/etc/bootc/",
    "usr/lib/repart.d/",
    "usr/etc/repart.d/",
    "usr/lib/bootupd/",
    "usr/lib/efi/",
    "etc/selinux/config",
    "usr/etc/selinux/config",
];

/// Whether [`Os::inspect`] needs the content of the file at `path`. Of all others it only asks whether they are there.
pub fn reads(path: &str) -> bool {
    // Links such as `bin` and `usr/sbin`, by which other paths lead.
    let near_the_top = path.split('/').count() <= 2;
    let library = path.rsplit('/').next().is_some_and(|name| name.starts_with("libostree-1.so"));
    near_the_top
        || library
        || READ.into_iter().any(|place| path.starts_with(place))
        || architecture::PROGRAMS.contains(&path)
        || bootloader_files::reads(path)
}

/// `usr`, `sysroot` and the `ostree` link are what ostree-prepare-root works with; `etc` and `usr/etc` may not both be filled.
fn check_directories(files: &Files<'_>) -> Result<(), OsError> {
    for path in ["usr", "sysroot"] {
        if !files.find(path)?.is_some_and(|id| files.tree.is_directory(id)) {
            return Err(OsError::MissingDirectory { path });
        }
    }
    if files.tree.child(files.root, b"ostree").is_none() {
        return Err(OsError::MissingDirectory { path: "ostree (a link to sysroot/ostree)" });
    }
    check_etc(files)
}

fn check_etc(files: &Files<'_>) -> Result<(), OsError> {
    // Not followed: the deployment's /etc is a copy of what has this very name.
    let usr = files.tree.child(files.root, b"usr");
    if usr.and_then(|usr| files.tree.child(usr, b"etc")).is_some_and(|etc| !files.tree.is_directory(etc)) {
        return Err(OsError::EtcIsNoDirectory);
    }
    let etc_is_filled =
        files.tree.child(files.root, b"etc").is_some_and(|etc| files.tree.entries(etc).next().is_some());
    if etc_is_filled && !files.list("usr/etc")?.is_empty() {
        return Err(OsError::TwoEtc);
    }
    Ok(())
}

/// repart.d files are merged by name: a second definition of the root would make a second root partition.
fn has_root_definition(files: &Files<'_>) -> Result<bool, ReadError> {
    for directory in ["usr/lib/repart.d", "usr/etc/repart.d"] {
        for name in files.list(directory)?.into_iter().filter(|name| name.ends_with(".conf")) {
            let text = files.read_text(&format!("{directory}/{name}"), CONFIG_LIMIT)?.unwrap_or_default();
            let types =
                text.lines().filter_map(|line| line.trim().strip_prefix("Type")?.trim_start().strip_prefix('='));
            if types.map(str::trim).any(|kind| kind.starts_with("root")) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn first_file<const N: usize>(files: &Files<'_>, paths: [&'static str; N]) -> Result<Option<&'static str>, ReadError> {
    for path in paths {
        if files.is_file(path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn has_program(files: &Files<'_>, name: &str) -> Result<bool, ReadError> {
    let places = ["usr/bin", "usr/sbin"].map(|directory| files.is_file(&format!("{directory}/{name}")));
    places.into_iter().try_fold(false, |found, here| Ok(found || here?))
}

fn update_client(files: &Files<'_>) -> Result<Option<&'static str>, ReadError> {
    let [bootc, skopeo, podman] = ["bootc", "skopeo", "podman"].map(|name| files.is_file(&format!("usr/bin/{name}")));
    if bootc? && skopeo? && podman? {
        return Ok(Some("bootc"));
    }
    for (path, name) in [("usr/bin/rpm-ostree", "rpm-ostree"), ("usr/bin/ostree", "ostree")] {
        if files.is_file(path)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
