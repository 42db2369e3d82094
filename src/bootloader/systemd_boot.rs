//! systemd-boot, which reads entries and kernels from the ESP, and what keeps them true there (`bootloaders/systemd-boot/`).
//!
//! libostree keeps /boot on a filesystem with symbolic links, which firmware does not read. So its entries are mirrored: the
//! first one here, every later one by a unit in the deployment's /etc.

use std::collections::BTreeMap;

use super::{Addition, Boot, BootloaderError, LoaderFiles, Places, Provided, Summary, placed};
use crate::os::{Architecture, EfiBinary, EfiRole, EfiSearch, Os, efi_machine, is_signed};
use crate::tree::Files;

const LOADER_CONF: &str = include_str!("../../bootloaders/systemd-boot/loader.conf");
const MIRROR: &str = include_str!("../../bootloaders/systemd-boot/esp-mirror");
const UNITS: [(&str, &str); 3] = [
    ("bootwright-esp-mirror.service", include_str!("../../bootloaders/systemd-boot/bootwright-esp-mirror.service")),
    (
        "bootwright-esp-mirror-now.service",
        include_str!("../../bootloaders/systemd-boot/bootwright-esp-mirror-now.service"),
    ),
    ("bootwright-esp-mirror-now.path", include_str!("../../bootloaders/systemd-boot/bootwright-esp-mirror-now.path")),
];
/// Those that start by themselves.
const WANTED: [&str; 2] = ["bootwright-esp-mirror.service", "bootwright-esp-mirror-now.path"];
/// What the unit's script runs.
const TOOLS: [&str; 16] = [
    "cat",
    "cmp",
    "cp",
    "flock",
    "grep",
    "ln",
    "mkdir",
    "mount",
    "mountpoint",
    "mv",
    "readlink",
    "rm",
    "rmdir",
    "sh",
    "stat",
    "sync",
];

/// The programs that were picked.
pub struct SystemdBoot<'a> {
    loader: &'a EfiBinary,
    shim: Option<&'a EfiBinary>,
    mok_manager: Option<&'a EfiBinary>,
    suffix: &'static str,
    /// Lets firmware read /boot, so that nothing has to be mirrored.
    driver: Option<Driver>,
}

/// An EFI driver for ext4, of the user.
struct Driver {
    source: String,
    bytes: Vec<u8>,
    signed: bool,
}

impl<'a> SystemdBoot<'a> {
    /// A signed systemd-boot before an unsigned one, and shim only before a signed one.
    pub fn choose(os: &'a Os, provided: Option<&Provided>, places: Places) -> Result<SystemdBoot<'a>, BootloaderError> {
        let suffix = os.architecture.efi_suffix().ok_or(BootloaderError::NoUefi(os.architecture))?;
        if !places.esp {
            return Err(BootloaderError::NoEsp);
        }
        let binaries = &os.efi_binaries[..];
        let loader = binaries
            .best(|role| *role == EfiRole::SystemdBoot)
            .ok_or(BootloaderError::NoSystemdBoot { architecture: os.architecture })?;
        let shim = binaries.best(|role| *role == EfiRole::Shim).filter(|_| loader.signed);
        let mok_manager = binaries.best(|role| *role == EfiRole::MokManager).filter(|_| shim.is_some());
        let driver = provided.map(|provided| ext4_driver(provided, os.architecture)).transpose()?.flatten();
        Ok(SystemdBoot { loader, shim, mok_manager, suffix, driver })
    }

    /// Whether entries and kernels are mirrored on the ESP.
    pub fn mirrors(&self) -> bool {
        self.driver.is_none()
    }

    /// All files for the ESP, and the unit with its script.
    pub fn files(&self, image: &Files<'_>, boot: &Boot<'_>) -> Result<LoaderFiles, BootloaderError> {
        let mut esp = BTreeMap::new();
        for (path, binary) in self.placed() {
            esp.insert(path, binary.read(image)?);
        }
        esp.insert("loader/loader.conf".to_owned(), LOADER_CONF.into());
        esp.insert("loader/entries.srel".to_owned(), b"type1\n".to_vec());
        if let Some(driver) = &self.driver {
            // systemd-boot loads what ends in the architecture's suffix.
            esp.insert(format!("EFI/systemd/drivers/ext4{}.efi", self.suffix), driver.bytes.clone());
            return Ok(LoaderFiles { esp, summary: self.summary(), ..LoaderFiles::default() });
        }
        check_tools(image)?;
        // As the script writes it, so that the first boot finds nothing to do.
        esp.insert("loader/entries/ostree-1-1.conf".to_owned(), boot.mirrored_entry().into_bytes());
        for (path, bytes) in &boot.kernel_files {
            esp.insert(path.clone(), bytes.clone());
        }
        let kernel: u64 = boot.kernel_files.values().map(|bytes| bytes.len() as u64).sum(); // usize is at most 64 bits
        Ok(LoaderFiles {
            esp,
            kernel_on_esp: kernel,
            additions: additions(boot),
            summary: self.summary(),
            ..LoaderFiles::default()
        })
    }

    /// Where firmware and shim look, and where `bootctl` does.
    fn placed(&self) -> BTreeMap<String, &'a EfiBinary> {
        let mut placed = placed(self.suffix, self.loader, self.shim, self.mok_manager);
        placed.insert(format!("EFI/systemd/systemd-boot{}.efi", self.suffix), self.loader);
        placed
    }

    /// Why this one, for people.
    pub fn reason(&self) -> String {
        let chain = if self.shim.is_some() { "shim and a signed systemd-boot" } else { "systemd-boot" };
        match &self.driver {
            Some(driver) => format!("the image brings {chain}; it reads /boot with the driver {}", driver.source),
            None => {
                format!(
                    "the image brings {chain}; a unit in /etc copies boot entries and kernels from /boot to the ESP"
                )
            }
        }
    }

    fn summary(&self) -> Summary {
        let mut files: Vec<_> = self.placed().values().map(|binary| binary.path.clone()).collect();
        files.sort();
        files.dedup();
        files.extend(self.driver.iter().map(|driver| driver.source.clone()));
        // Under Secure Boot firmware refuses a driver without a signature, and then finds no entry.
        let driver_loads = self.driver.as_ref().is_none_or(|driver| driver.signed);
        Summary {
            loader: "systemd-boot".to_owned(),
            files,
            secure_boot: driver_loads && self.shim.is_some_and(|shim| shim.signed) && self.loader.signed,
            firmware: "UEFI only".to_owned(),
            reason: self.reason(),
        }
    }
}

/// A file like `ext4x64.efi` or rEFInd's `ext4_x64.efi`, for this architecture.
fn ext4_driver(provided: &Provided, architecture: Architecture) -> Result<Option<Driver>, BootloaderError> {
    let named = |name: &str| name.starts_with("ext4") && name.ends_with(".efi");
    let found = provided.find_named(named, |bytes| efi_machine(bytes) == Some(architecture))?;
    Ok(found.map(|(path, bytes)| Driver { source: path.display().to_string(), signed: is_signed(&bytes), bytes }))
}

/// A mirror that cannot run would leave an ESP behind that goes stale with the first upgrade.
fn check_tools(image: &Files<'_>) -> Result<(), BootloaderError> {
    let is_missing = |tool: &&str| {
        let places = ["usr/bin", "usr/sbin"].map(|directory| image.find(&format!("{directory}/{tool}")));
        !places.into_iter().any(|found| found.is_ok_and(|found| found.is_some()))
    };
    let missing: Vec<_> = TOOLS.into_iter().filter(is_missing).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(BootloaderError::NoMirrorTools { missing: missing.join(", ") }),
    }
}

fn additions(boot: &Boot<'_>) -> Vec<Addition> {
    let file = |path: String, permissions, text: &str| Addition::EtcFile { path, permissions, text: text.to_owned() };
    let mut additions = vec![file("bootwright/esp-mirror".to_owned(), 0o755, MIRROR)];
    for (name, text) in UNITS {
        additions.push(file(format!("systemd/system/{name}"), 0o644, text));
    }
    for name in WANTED {
        additions.push(Addition::EtcLink {
            path: format!("systemd/system/multi-user.target.wants/{name}"),
            target: format!("/etc/systemd/system/{name}"),
        });
    }
    additions.push(Addition::SysrootLink {
        path: boot.stable_link().trim_start_matches('/').to_owned(),
        target: format!("../../../deploy/{}/deploy/{}.0", boot.stateroot, boot.commit),
    });
    additions
}
