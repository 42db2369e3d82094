//! What the image's libostree does at an upgrade, read from its library.

use object::Endianness;
use object::read::elf::{ElfFile, ElfFile32, ElfFile64, FileHeader};

use crate::tree::{Files, ReadError};

const LIBRARY: &str = "libostree-1.so.1";
const LIMIT: u64 = 64 << 20;

/// Since 2025.2 libostree freezes /boot a second time, after the new boot entries are in their place, and says so in the journal
/// (ostree-sysroot-deploy.c, `swap_bootloader`; before, this message named the system root).
const FREEZES_BOOT: &[u8] = b"Starting freeze/thaw cycle for boot";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Libostree {
    /// Needs libcomposefs: such a build writes `.ostree.cfs` at every deployment, so that the first has to have one too.
    pub writes_composefs: bool,
    /// Freezes /boot when the entries are swapped, which writes ext4's journal back. Others only fsync, and a loader that does
    /// not replay the journal may see the old entry although its link in the root is gone.
    pub freezes_boot: bool,
}

impl Libostree {
    /// All false when the image has no library.
    pub fn find(files: &Files<'_>) -> Result<Libostree, ReadError> {
        Ok(library(files)?.map_or(Libostree::default(), |elf| Libostree {
            writes_composefs: needed(&elf).iter().any(|name| name.starts_with("libcomposefs.so")),
            freezes_boot: memchr::memmem::find(&elf, FREEZES_BOOT).is_some(),
        }))
    }
}

fn library(files: &Files<'_>) -> Result<Option<Vec<u8>>, ReadError> {
    let mut directories = vec!["usr/lib64".to_owned(), "usr/lib".to_owned()];
    directories.extend(
        files
            .list("usr/lib")?
            .into_iter()
            .filter(|name| name.contains("-linux-"))
            .map(|name| format!("usr/lib/{name}")),
    );
    for directory in directories {
        if let Some(elf) = files.read(&format!("{directory}/{LIBRARY}"), LIMIT)? {
            return Ok(Some(elf));
        }
    }
    Ok(None)
}

/// The DT_NEEDED names of an ELF file; none of what cannot be read as one.
fn needed(elf: &[u8]) -> Vec<String> {
    match object::FileKind::parse(elf) {
        Ok(object::FileKind::Elf64) => {
            ElfFile64::<Endianness>::parse(elf).map(|file| dynamic_names(&file)).unwrap_or_default()
        }
        Ok(object::FileKind::Elf32) => {
            ElfFile32::<Endianness>::parse(elf).map(|file| dynamic_names(&file)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn dynamic_names<Elf: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, Elf>) -> Vec<String> {
    let Ok(table) = file.elf_dynamic_table() else { return Vec::new() };
    let needed = table.into_iter().filter(|entry| entry.tag == object::elf::DT_NEEDED);
    let names = needed.filter_map(|entry| table.string(entry).ok());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}
