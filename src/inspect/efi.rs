//! The programs on the ESP: which is shim, which GRUB. Told apart by what is in them; by name only where that says nothing.

use object::pe::IMAGE_DIRECTORY_ENTRY_SECURITY;
use object::read::pe::PeFile64;
use object::{LittleEndian, Object, ObjectSection};

use super::volume::Volume;
use super::{EfiFile, EfiRole, Partition};

/// Loaders have one to five megabytes. A unified kernel image may have more; it is listed without a role.
const PROGRAM: u64 = 16 << 20;
const MOST_PROGRAMS: usize = 128;

/// All files of all ESPs, by path.
pub fn files(partitions: &[Partition], volumes: &[Volume], problems: &mut Vec<String>) -> Vec<EfiFile> {
    let is_esp = |volume: &&Volume| {
        partitions.iter().any(|partition| partition.number == volume.partition && partition.is_esp())
    };
    let mut files = Vec::new();
    let mut programs = 0;
    for volume in volumes.iter().filter(is_esp) {
        for (path, bytes) in volume.all_files() {
            let is_program =
                path.to_ascii_lowercase().ends_with(".efi") && *bytes <= PROGRAM && programs < MOST_PROGRAMS;
            programs += usize::from(is_program);
            let (role, signed) = if is_program { program(volume, path, problems) } else { (None, false) };
            files.push(EfiFile { partition: volume.partition, path: path.clone(), bytes: *bytes, role, signed });
        }
    }
    files
}

/// Whether a signed shim finds a signed loader, and that one signed drivers: firmware refuses one without a signature, and its
/// filesystem with the entries is then not read.
pub fn secure_boot(files: &[EfiFile]) -> bool {
    let is_driver = |file: &&EfiFile| file.path.to_ascii_lowercase().starts_with("efi/systemd/drivers/");
    if files.iter().filter(is_driver).any(|driver| !driver.signed) {
        return false;
    }
    let signed =
        |roles: &[EfiRole]| files.iter().any(|file| file.signed && file.role.is_some_and(|role| roles.contains(&role)));
    signed(&[EfiRole::Shim]) && signed(&[EfiRole::Grub, EfiRole::SystemdBoot])
}

fn program(volume: &Volume, path: &str, problems: &mut Vec<String>) -> (Option<EfiRole>, bool) {
    let bytes = volume.read(path, PROGRAM).unwrap_or_else(|error| {
        problems.push(format!("partition {}: {error}", volume.partition));
        None
    });
    let bytes = bytes.unwrap_or_default();
    match PeFile64::parse(bytes.as_slice()) {
        Ok(file) => (by_content(&file, &bytes).or_else(|| by_name(path)), is_signed(&file)),
        Err(_) => (by_name(path), false),
    }
}

fn is_signed(file: &PeFile64) -> bool {
    let table = file.data_directories().get(IMAGE_DIRECTORY_ENTRY_SECURITY);
    table.is_some_and(|table| table.size.get(LittleEndian) > 0)
}

fn by_content(file: &PeFile64, bytes: &[u8]) -> Option<EfiRole> {
    let section = |name: &str| file.section_by_name(name).and_then(|section| section.data().ok());
    if section("mods").is_some() {
        return Some(EfiRole::Grub);
    }
    if contains(section(".sdmagic").unwrap_or(bytes), crate::os::SYSTEMD_BOOT) {
        return Some(EfiRole::SystemdBoot);
    }
    // All of shim's programs carry an SBAT line of the component `shim`; only shim itself has the vendor's certificate.
    section(".sbat").filter(|sbat| contains(sbat, b"\nshim,"))?;
    Some(if section(".vendor_cert").is_some() {
        EfiRole::Shim
    } else if contains(bytes, &wide("Perform MOK management")) {
        EfiRole::MokManager
    } else {
        EfiRole::Fallback
    })
}

fn by_name(path: &str) -> Option<EfiRole> {
    let path = path.to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    const NAMES: [(&str, EfiRole); 5] = [
        ("shim", EfiRole::Shim),
        ("grub", EfiRole::Grub),
        ("systemd-boot", EfiRole::SystemdBoot),
        ("mmx64", EfiRole::MokManager),
        ("fbx64", EfiRole::Fallback),
    ];
    NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, role)| *role)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
