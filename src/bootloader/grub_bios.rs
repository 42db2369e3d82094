//! GRUB for BIOS out of the image's modules, for a BIOS boot partition or the gap behind a DOS label.

use super::BootloaderError;
use crate::grub_module;
use crate::grub_pc::{self, Parts};
use crate::tree::Files;

/// A file of GRUB has less.
const LIMIT: u64 = 4 << 20;

/// What core.img holds: enough to find /boot and to show boot entries from it. `search_fs_uuid` comes with `search`.
const MODULES: [&str; 26] = [
    "biosdisk",
    "part_gpt",
    "part_msdos",
    "ext2",
    "fat",
    "normal",
    "configfile",
    "serial",
    "terminal",
    "echo",
    "test",
    "true",
    "sleep",
    "ls",
    "cat",
    "linux",
    "search",
    "search_fs_uuid",
    "search_label",
    "regexp",
    "halt",
    "reboot",
    "gzio",
    "loadenv",
    "all_video",
    "minicmd",
];

/// `boot.img` and a `core.img` that has no place yet.
#[derive(Clone, Debug)]
pub struct BiosCode {
    pub boot: Vec<u8>,
    pub core: Vec<u8>,
}

/// The image's GRUB for BIOS.
pub struct GrubBios<'a> {
    /// The directory of its files in the image.
    place: &'a str,
}

impl<'a> GrubBios<'a> {
    /// `place` is where the image has it; says so when it has none.
    pub fn choose(place: Option<&'a str>) -> Result<GrubBios<'a>, String> {
        let place = place.ok_or("the image has no GRUB for BIOS (grub-pc-bin, grub2-pc-modules)")?;
        Ok(GrubBios { place })
    }
}

/// Makes core.img, or says which of the modules that the menu needs is missing.
pub fn code(
    GrubBios { place }: &GrubBios<'_>,
    files: &Files<'_>,
    boot_uuid: &str,
    needs_blscfg: bool,
) -> Result<Result<BiosCode, String>, BootloaderError> {
    let read =
        |name: &str| Ok::<_, BootloaderError>(files.read(&format!("{place}/{name}"), LIMIT)?.unwrap_or_default());
    let mut wanted = MODULES.to_vec();
    if needs_blscfg {
        wanted.push("blscfg");
    }
    let moddep = String::from_utf8_lossy(&read("moddep.lst")?).into_owned();
    let mut modules = Vec::new();
    for name in grub_module::in_order(&moddep, &wanted) {
        match files.read(&format!("{place}/{name}.mod"), LIMIT)? {
            Some(module) => modules.push(module),
            None => return Ok(Err(format!("GRUB for BIOS in `{place}` lacks the module `{name}`"))),
        }
    }
    let parts = Parts {
        kernel: read("kernel.img")?,
        diskboot: read("diskboot.img")?,
        decompressor: read("lzma_decompress.img")?,
        modules,
    };
    // Run before there are functions or tests: two plain commands.
    let config = format!("search.fs_uuid {boot_uuid} root\nset prefix=($root)/grub2\n");
    let core = grub_pc::core_image(&parts, &config, "/grub2");
    Ok(core.map_err(|error| error.to_string()).and_then(|core| Ok(BiosCode { boot: read_boot(files, place)?, core })))
}

fn read_boot(files: &Files<'_>, place: &str) -> Result<Vec<u8>, String> {
    let boot = files.read(&format!("{place}/boot.img"), LIMIT).map_err(|error| error.to_string())?;
    boot.ok_or_else(|| format!("GRUB for BIOS in `{place}` lacks boot.img"))
}
