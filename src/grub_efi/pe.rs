//! The PE32+ file around it (Microsoft PE format; UEFI 2.10, 2.1.1), as GRUB writes it.

use super::kernel::Kernel;
use super::{Error, Machine};

pub(super) const PAGE: u64 = 0x1000;
/// Headers fill the first page; the first section follows at the same address as offset.
pub(super) const HEADERS: u64 = PAGE;

const STUB: usize = 0x80;
/// 2015-01-01; GRUB's fixed time.
const TIME: u32 = 1_420_070_400;
/// Executable, no line numbers, no symbols, no debugging information.
const CHARACTERISTICS: u16 = 0x20e;
const OPTIONAL_HEADER: u16 = 240;
const EFI_APPLICATION: u16 = 10;
const STACK_AND_HEAP: u64 = 0x1_0000;
const DIRECTORIES: usize = 16;
const BASE_RELOCATION_DIRECTORY: usize = 5;
/// `IMAGE_REL_BASED_DIR64` in the upper four bits.
const DIR64: u16 = 0xa000;

struct Section {
    name: &'static str,
    bytes: Vec<u8>,
    /// What the header says; the file has whole pages.
    size: u32,
    characteristics: u32,
}

pub(super) fn file(machine: Machine, kernel: &Kernel, modules: &[u8]) -> Result<Vec<u8>, Error> {
    let code = kernel.memory.get(..kernel.code).ok_or(Error::Malformed("its code is longer than it"))?;
    let data = &kernel.memory[kernel.code..];
    let relocations = base_relocations(&kernel.based)?;
    let sections = [
        section(".text", code, true, 0x6000_0020)?,
        section(".data", data, true, 0xc000_0040)?,
        section("mods", modules, true, 0xc000_0040)?,
        section(".reloc", &relocations, false, 0x4200_0040)?,
    ];
    let mut file = headers(machine, kernel, &sections)?;
    file.resize(HEADERS as usize, 0); // one page
    for section in &sections {
        file.extend(&section.bytes);
    }
    Ok(file)
}

fn section(name: &'static str, bytes: &[u8], whole_pages: bool, characteristics: u32) -> Result<Section, Error> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(PAGE as usize), 0); // 4096
    let size = if whole_pages { padded.len() } else { bytes.len() };
    Ok(Section { name, bytes: padded, size: number(size)?, characteristics })
}

fn headers(machine: Machine, kernel: &Kernel, sections: &[Section]) -> Result<Vec<u8>, Error> {
    let mut table = Vec::new();
    let mut at = HEADERS as u32; // one page
    let mut relocations = (0, 0);
    for section in sections {
        let in_file = number(section.bytes.len())?;
        if section.name == ".reloc" {
            relocations = (at, section.size);
        }
        let mut name = [0; 8];
        name[..section.name.len()].copy_from_slice(section.name.as_bytes());
        table.extend(name);
        for word in [section.size, at, in_file, at, 0, 0, 0, section.characteristics] {
            table.extend(word.to_le_bytes());
        }
        at = at.checked_add(in_file).ok_or(Error::TooLarge)?;
    }
    let mut file = dos_stub();
    file.extend(b"PE\0\0");
    let machine: u16 = match machine {
        Machine::X86_64 => 0x8664,
        Machine::Aarch64 => 0xaa64,
    };
    file.extend(machine.to_le_bytes());
    file.extend((sections.len() as u16).to_le_bytes()); // four
    for word in [TIME, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(OPTIONAL_HEADER.to_le_bytes());
    file.extend(CHARACTERISTICS.to_le_bytes());
    let initialized = number(kernel.memory.len() - kernel.code + sections[2].bytes.len())?;
    let entry = u32::try_from(kernel.entry).map_err(|_| Error::TooLarge)?;
    optional_header(&mut file, number(kernel.code)?, initialized, entry, at, relocations);
    file.extend(table);
    Ok(file)
}

/// The smallest that says where the PE header is.
fn dos_stub() -> Vec<u8> {
    let mut stub = b"MZ".to_vec();
    stub.resize(0x3c, 0);
    stub.extend((STUB as u32).to_le_bytes()); // 128
    stub.resize(STUB, 0);
    stub
}

fn optional_header(file: &mut Vec<u8>, code: u32, data: u32, entry: u32, image: u32, relocations: (u32, u32)) {
    file.extend(0x20b_u16.to_le_bytes());
    file.extend([0; 2]); // linker version
    for word in [code, data, 0, entry, HEADERS as u32] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u64.to_le_bytes()); // image base
    for word in [PAGE as u32, PAGE as u32] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 12]); // versions of the system, the image and the subsystem
    for word in [0, image, HEADERS as u32, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(EFI_APPLICATION.to_le_bytes());
    file.extend([0; 2]); // characteristics of a library
    for word in [STACK_AND_HEAP; 4] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    file.extend((DIRECTORIES as u32).to_le_bytes());
    let mut directories = [(0, 0); DIRECTORIES];
    directories[BASE_RELOCATION_DIRECTORY] = relocations;
    for (at, size) in directories {
        file.extend(at.to_le_bytes());
        file.extend(size.to_le_bytes());
    }
}

/// A block for each page: {page u32, size u32, entries u16}, as many entries as make whole words. `addresses` increase.
fn base_relocations(addresses: &[u64]) -> Result<Vec<u8>, Error> {
    let mut blocks = Vec::new();
    for page in addresses.chunk_by(|a, b| a / PAGE == b / PAGE) {
        let mut entries: Vec<u16> = page.iter().map(|at| DIR64 | (at % PAGE) as u16).collect(); // 12 bits
        if entries.len() % 2 == 1 {
            entries.push(0);
        }
        let base = u32::try_from(page[0] / PAGE * PAGE).map_err(|_| Error::TooLarge)?;
        blocks.extend(base.to_le_bytes());
        blocks.extend(number(8 + 2 * entries.len())?.to_le_bytes());
        entries.iter().for_each(|entry| blocks.extend(entry.to_le_bytes()));
    }
    Ok(blocks)
}

fn number(bytes: usize) -> Result<u32, Error> {
    u32::try_from(bytes).map_err(|_| Error::TooLarge)
}
