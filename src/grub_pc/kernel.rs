//! `kernel.img`, an ELF file that is loaded at a fixed address, as flat memory.

use object::LittleEndian;
use object::elf::{FileHeader32, SHF_ALLOC, SHT_NOBITS, SHT_PROGBITS};
use object::read::elf::{FileHeader, SectionHeader};

use super::Error;

/// Where the kernel runs.
const LINK_ADDRESS: u32 = 0x9000;
/// Above it lies the memory that the kernel gives out.
const END: u32 = 0x68000;

/// The bytes from the link address on.
pub fn flat(kernel: &[u8]) -> Result<Vec<u8>, Error> {
    let broken = |what| Error::Malformed { file: "kernel.img", what };
    let elf = || FileHeader32::<LittleEndian>::parse(kernel).ok();
    let header = elf().ok_or_else(|| broken("it is no ELF file of 32 bits"))?;
    let sections = header.section_headers(LittleEndian, kernel).map_err(|_| broken("it has no table of sections"))?;
    let mut flat = Vec::new();
    for section in sections.iter().filter(|section| section.sh_flags(LittleEndian).contains(SHF_ALLOC)) {
        let (address, size) = (section.sh_addr.get(LittleEndian), section.sh_size.get(LittleEndian));
        let kind = section.sh_type(LittleEndian);
        let end = address.checked_add(size).filter(|&end| end <= END).ok_or_else(|| broken("it ends too high"))?;
        let begin = address.checked_sub(LINK_ADDRESS).ok_or_else(|| broken("it begins below 0x9000"))?;
        if kind == SHT_PROGBITS {
            let data = section.data(LittleEndian, kernel).map_err(|_| broken("a section lies outside of it"))?;
            let (begin, end) = (begin as usize, (end - LINK_ADDRESS) as usize); // below 0x68000
            flat.resize(flat.len().max(end), 0);
            flat[begin..end].copy_from_slice(data);
        } else if kind != SHT_NOBITS {
            continue;
        }
    }
    if flat.is_empty() { Err(broken("it has nothing to load")) } else { Ok(flat) }
}
