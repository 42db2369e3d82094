//! GRUB for UEFI built from the image's modules, for images that bring no program ready-made.

use super::BootloaderError;
use crate::grub_efi::{self, Machine, Parts};
use crate::grub_module;
use crate::os::Architecture;
use crate::tree::Files;

/// A file of GRUB has less.
const LIMIT: u64 = 4 << 20;

/// What the program cannot do without: it finds /boot and shows boot entries from it.
const NEEDED: [&str; 11] = [
    "part_gpt",
    "part_msdos",
    "ext2",
    "fat",
    "normal",
    "configfile",
    "test",
    "linux",
    "search",
    "search_fs_uuid",
    "regexp",
];
/// What not every version has.
const WELCOME: [&str; 18] = [
    "blscfg",
    "search_label",
    "serial",
    "terminal",
    "echo",
    "true",
    "sleep",
    "ls",
    "cat",
    "halt",
    "reboot",
    "gzio",
    "loadenv",
    "minicmd",
    "all_video",
    "efi_gop",
    "efifwsetup",
    "fdt",
];

/// The modules of an image.
pub struct GrubUefiModules<'a> {
    /// Their directory in the image.
    pub place: &'a str,
    machine: Machine,
}

impl<'a> GrubUefiModules<'a> {
    /// Nothing when the image has none, or none for this architecture.
    pub fn choose(place: Option<&'a str>, architecture: Architecture) -> Option<GrubUefiModules<'a>> {
        let machine = match architecture {
            Architecture::X86_64 => Machine::X86_64,
            Architecture::Aarch64 => Machine::Aarch64,
            Architecture::Riscv64 | Architecture::Ppc64le | Architecture::S390x => return None,
        };
        Some(GrubUefiModules { place: place?, machine })
    }

    /// The program, and whether it has the command `blscfg`.
    pub fn program(&self, files: &Files<'_>, boot_uuid: &str) -> Result<(Vec<u8>, bool), BootloaderError> {
        let Self { place, machine } = self;
        let read = |name: &str| Ok::<_, BootloaderError>(files.read(&format!("{place}/{name}"), LIMIT)?);
        let moddep = read("moddep.lst")?.unwrap_or_default();
        let moddep = String::from_utf8_lossy(&moddep).into_owned();
        let mut wanted = NEEDED.to_vec();
        for name in WELCOME {
            if files.is_file(&format!("{place}/{name}.mod"))? {
                wanted.push(name);
            }
        }
        let mut modules = Vec::new();
        for name in grub_module::in_order(&moddep, &wanted) {
            let module = read(&format!("{name}.mod"))?;
            let missing = || BootloaderError::NoGrubModule { place: (*place).to_owned(), name: name.clone() };
            modules.push(module.ok_or_else(missing)?);
        }
        let kernel = read("kernel.img")?.unwrap_or_default();
        let parts = Parts { machine: *machine, kernel, modules };
        // Run before there are functions or tests: two plain commands.
        let config = format!("search.fs_uuid {boot_uuid} root\nset prefix=($root)/grub2\n");
        Ok((grub_efi::program(&parts, &config, "/grub2")?, wanted.contains(&"blscfg")))
    }
}
