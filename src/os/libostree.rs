//! What the image's libostree was built with, read from its ELF headers.

use object::Endianness;
use object::read::elf::{ElfFile, ElfFile32, ElfFile64, FileHeader};

use crate::tree::{Files, ReadError};

const LIBRARY: &str = "libostree-1.so.1";
const LIMIT: u64 = 64 << 20;

/// Whether libostree needs libcomposefs: such a build writes `.ostree.cfs` at every deployment.
pub fn links_libcomposefs(files: &Files<'_>) -> Result<bool, ReadError> {
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
            return Ok(needed(&elf).iter().any(|name| name.starts_with("libcomposefs.so")));
        }
    }
    Ok(false)
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
