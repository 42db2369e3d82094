//! `kernel.img`, a relocatable ELF file, as memory: code, data and zeros, each section where the next free place is.

use object::LittleEndian;
use object::elf::{
    EM_AARCH64, EM_X86_64, FileHeader64, Rela64, SHF_ALLOC, SHF_EXECINSTR, SHN_ABS, SHT_NOBITS, SHT_RELA, SHT_SYMTAB,
    SectionHeader64, Sym64,
};
use object::read::elf::{FileHeader as _, Rela as _, SectionHeader as _, Sym as _};

use super::relocation::{Relocation, apply};
use super::{Error, pe};

/// The processor of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    X86_64,
    Aarch64,
}

/// A kernel is a few hundred kilobytes of memory.
const MOST: u64 = 16 << 20;

/// The kernel's memory from its first page on, which firmware puts at [`pe::HEADERS`] of the program.
pub(super) struct Kernel {
    pub memory: Vec<u8>,
    /// Bytes of code, whole pages.
    pub code: usize,
    pub entry: u64,
    /// Addresses of 64-bit words to which firmware adds the program's own address.
    pub based: Vec<u64>,
}

type Section = SectionHeader64<LittleEndian>;

struct Elf<'a> {
    bytes: &'a [u8],
    sections: &'a [Section],
    /// Offset of each section in memory, for those that are loaded.
    places: Vec<Option<u64>>,
    zeros: u64,
    end: u64,
    code: u64,
}

/// Lays out and relocates.
pub(super) fn load(bytes: &[u8], machine: Machine) -> Result<Kernel, Error> {
    let elf = Elf::lay_out(bytes, machine)?;
    let mut memory = vec![0; usize::try_from(elf.end).map_err(|_| Error::TooLarge)?];
    for (section, place) in elf.sections.iter().zip(&elf.places) {
        let Some(place) = place.and_then(|place| usize::try_from(place).ok()) else { continue };
        if section.sh_type(LittleEndian) != SHT_NOBITS {
            let data =
                section.data(LittleEndian, bytes).map_err(|_| Error::Malformed("a section lies outside of it"))?;
            let here = place.checked_add(data.len()).and_then(|end| memory.get_mut(place..end));
            here.ok_or(Error::Malformed("a section is longer than its place"))?.copy_from_slice(data);
        }
    }
    let symbols = elf.symbols()?;
    let entry = symbols.iter().find(|symbol| symbol.name == b"_start").and_then(|symbol| symbol.address);
    let entry = entry.ok_or(Error::Malformed("it has no `_start`"))?;
    let mut based = Vec::new();
    for relocation in elf.relocations(&symbols)? {
        based.extend(apply(&mut memory, machine, &relocation)?.then_some(relocation.at));
    }
    based.sort_unstable();
    let code = usize::try_from(elf.code).map_err(|_| Error::TooLarge)?;
    Ok(Kernel { memory, code, entry, based })
}

struct Symbol<'a> {
    name: &'a [u8],
    /// In the program; none when it is not defined.
    address: Option<u64>,
}

impl<'a> Elf<'a> {
    fn lay_out(bytes: &'a [u8], machine: Machine) -> Result<Elf<'a>, Error> {
        let header =
            FileHeader64::<LittleEndian>::parse(bytes).map_err(|_| Error::Malformed("it is no ELF file of 64 bits"))?;
        let wanted = match machine {
            Machine::X86_64 => EM_X86_64,
            Machine::Aarch64 => EM_AARCH64,
        };
        if header.e_machine.get(LittleEndian) != wanted {
            return Err(Error::WrongMachine(machine));
        }
        let sections = header.section_headers(LittleEndian, bytes);
        let sections = sections.map_err(|_| Error::Malformed("it has no table of sections"))?;
        let mut elf = Elf { bytes, sections, places: vec![None; sections.len()], zeros: 0, end: 0, code: 0 };
        let is = |section: &Section, executable: bool, zeros: bool| {
            let flags = section.sh_flags(LittleEndian);
            flags.contains(SHF_ALLOC)
                && flags.contains(SHF_EXECINSTR) == executable
                && (section.sh_type(LittleEndian) == SHT_NOBITS) == zeros
        };
        let kinds = [(true, false), (false, false), (false, true)];
        for (executable, zeros) in kinds {
            if zeros {
                elf.zeros = elf.end;
            }
            for (index, section) in sections.iter().enumerate() {
                if is(section, executable, zeros) {
                    elf.place(index)?;
                }
            }
            if executable {
                elf.end = to_page(elf.end);
                elf.code = elf.end;
            }
        }
        elf.end = to_page(elf.end);
        Ok(elf)
    }

    fn place(&mut self, index: usize) -> Result<(), Error> {
        let section = &self.sections[index];
        let (alignment, size) = (section.sh_addralign(LittleEndian).max(1), section.sh_size(LittleEndian));
        if !alignment.is_power_of_two() || alignment > pe::PAGE || size > MOST || self.end > MOST {
            return Err(Error::Malformed("a section has an impossible size or alignment"));
        }
        let at = (self.end + pe::HEADERS).next_multiple_of(alignment) - pe::HEADERS;
        self.places[index] = Some(at);
        self.end = at + size;
        Ok(())
    }

    fn symbols(&self) -> Result<Vec<Symbol<'a>>, Error> {
        let broken = |_| Error::Malformed("its symbols cannot be read");
        let header = self.sections.iter().find(|section| section.sh_type(LittleEndian) == SHT_SYMTAB);
        let header = header.ok_or(Error::Malformed("it has no symbols"))?;
        let table: &[Sym64<LittleEndian>] = header.data_as_array(LittleEndian, self.bytes).map_err(broken)?;
        let strings = self.sections.get(header.sh_link(LittleEndian) as usize);
        let strings = strings
            .ok_or(Error::Malformed("its symbols have no names"))?
            .data(LittleEndian, self.bytes)
            .map_err(broken)?;
        Ok(table.iter().map(|symbol| self.symbol(symbol, strings)).collect())
    }

    fn symbol(&self, symbol: &Sym64<LittleEndian>, strings: &'a [u8]) -> Symbol<'a> {
        let name = strings.get(symbol.st_name(LittleEndian) as usize..).unwrap_or_default();
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        let value = symbol.st_value(LittleEndian);
        let index = symbol.st_shndx(LittleEndian);
        let address = match (index, name) {
            (SHN_ABS, _) => Some(value),
            // The linker would define these two.
            (_, b"__bss_start") if symbol.is_undefined(LittleEndian) => Some(self.zeros + pe::HEADERS),
            (_, b"_end") if symbol.is_undefined(LittleEndian) => Some(self.end + pe::HEADERS),
            (_, b"") if symbol.is_undefined(LittleEndian) => Some(0),
            _ => self
                .places
                .get(usize::from(index.0))
                .copied()
                .flatten()
                .and_then(|place| place.checked_add(pe::HEADERS)?.checked_add(value)),
        };
        Symbol { name, address }
    }

    /// All relocations of sections that are loaded.
    fn relocations(&self, symbols: &[Symbol<'_>]) -> Result<Vec<Relocation>, Error> {
        let broken = |_| Error::Malformed("its relocations cannot be read");
        let mut found = Vec::new();
        for section in self.sections.iter().filter(|section| section.sh_type(LittleEndian) == SHT_RELA) {
            let target = section.sh_info(LittleEndian) as usize;
            let Some(place) = self.places.get(target).copied().flatten() else { continue };
            let table: &[Rela64<LittleEndian>] = section.data_as_array(LittleEndian, self.bytes).map_err(broken)?;
            for relocation in table {
                let kind = relocation.r_type(LittleEndian, false);
                // `R_X86_64_NONE` has the same number.
                if kind.0 == 0 {
                    continue;
                }
                let at = place.checked_add(pe::HEADERS + relocation.r_offset(LittleEndian));
                let at = at.ok_or(Error::Malformed("a relocation lies outside of it"))?;
                let symbol = symbols.get(relocation.r_sym(LittleEndian, false) as usize);
                let symbol = symbol.and_then(|symbol| symbol.address);
                let symbol = symbol.ok_or(Error::BadRelocation { at, what: "its symbol is not defined" })?;
                let addend = relocation.r_addend(LittleEndian);
                found.push(Relocation { kind, at, value: symbol.wrapping_add_signed(addend) });
            }
        }
        Ok(found)
    }
}

/// Up to the next whole page of the program.
fn to_page(offset: u64) -> u64 {
    (offset + pe::HEADERS).next_multiple_of(pe::PAGE) - pe::HEADERS
}
