//! Relocations of x86-64 and AArch64 (System V psABI for x86-64, table 4.9; ELF for the Arm 64-bit Architecture, 5.7), those that
//! GRUB's kernels have.

use object::elf::{self, RelocationType};

use super::{Error, Machine, pe};

/// `value` is symbol plus addend, both addresses count from the start of the program.
pub(super) struct Relocation {
    pub kind: RelocationType,
    pub at: u64,
    pub value: u64,
}

/// Writes the value; true when it is an absolute address, which moves with the program.
pub(super) fn apply(memory: &mut [u8], machine: Machine, relocation: &Relocation) -> Result<bool, Error> {
    match machine {
        Machine::X86_64 => x86_64(memory, relocation),
        Machine::Aarch64 => aarch64(memory, relocation),
    }
}

impl Relocation {
    fn place<'a, const N: usize>(&self, memory: &'a mut [u8]) -> Result<&'a mut [u8; N], Error> {
        let at = self.at.checked_sub(pe::HEADERS).and_then(|at| usize::try_from(at).ok());
        let place = at.and_then(|at| memory.get_mut(at..at.checked_add(N)?)).and_then(|place| place.try_into().ok());
        place.ok_or(Error::BadRelocation { at: self.at, what: "it lies outside" })
    }

    fn word(&self, memory: &mut [u8], value: u64) -> Result<(), Error> {
        *self.place(memory)? = value.to_le_bytes();
        Ok(())
    }

    /// The distance from here, if it fits so many bits.
    fn distance(&self, bits: u32) -> Result<i64, Error> {
        let distance = self.value.wrapping_sub(self.at).cast_signed();
        match distance >> (bits - 1) {
            0 | -1 => Ok(distance),
            _ => Err(Error::BadRelocation { at: self.at, what: "its target is too far" }),
        }
    }

    /// Puts bits into the instruction.
    fn instruction(&self, memory: &mut [u8], mask: u32, bits: u32) -> Result<(), Error> {
        let place = self.place(memory)?;
        let old = u32::from_le_bytes(*place);
        *place = (old & !mask | bits & mask).to_le_bytes();
        Ok(())
    }
}

fn x86_64(memory: &mut [u8], relocation: &Relocation) -> Result<bool, Error> {
    match relocation.kind {
        elf::R_X86_64_64 => relocation.word(memory, relocation.value).map(|()| true),
        elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => {
            let distance = relocation.distance(32)? as i32; // fits, as just seen
            *relocation.place(memory)? = distance.to_le_bytes();
            Ok(false)
        }
        elf::R_X86_64_PC64 => {
            relocation.word(memory, relocation.value.wrapping_sub(relocation.at))?;
            Ok(false)
        }
        kind => Err(Error::UnknownRelocation { machine: Machine::X86_64, kind: kind.0, at: relocation.at }),
    }
}

fn aarch64(memory: &mut [u8], relocation: &Relocation) -> Result<bool, Error> {
    let low = |shift: u32| ((relocation.value & 0xfff) >> shift << 10) as u32; // 12 bits
    match relocation.kind {
        elf::R_AARCH64_ABS64 => return relocation.word(memory, relocation.value).map(|()| true),
        elf::R_AARCH64_CALL26 | elf::R_AARCH64_JUMP26 => {
            let words = relocation.distance(28)? >> 2;
            relocation.instruction(memory, 0x03ff_ffff, words as u32)?; // the lower 26 bits of it
        }
        elf::R_AARCH64_ADR_PREL_PG_HI21 => {
            let page = |address: u64| address >> 12;
            let pages = page(relocation.value).wrapping_sub(page(relocation.at)).cast_signed();
            if !(-(1 << 20)..1 << 20).contains(&pages) {
                return Err(Error::BadRelocation { at: relocation.at, what: "its target is too far" });
            }
            let pages = pages as u32; // the lower 21 bits of it
            relocation.instruction(memory, 0x60ff_ffe0, (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5)?;
        }
        elf::R_AARCH64_ADD_ABS_LO12_NC | elf::R_AARCH64_LDST8_ABS_LO12_NC => {
            relocation.instruction(memory, 0xfff << 10, low(0))?;
        }
        elf::R_AARCH64_LDST16_ABS_LO12_NC => relocation.instruction(memory, 0xfff << 10, low(1))?,
        elf::R_AARCH64_LDST32_ABS_LO12_NC => relocation.instruction(memory, 0xfff << 10, low(2))?,
        elf::R_AARCH64_LDST64_ABS_LO12_NC => relocation.instruction(memory, 0xfff << 10, low(3))?,
        elf::R_AARCH64_LDST128_ABS_LO12_NC => relocation.instruction(memory, 0xfff << 10, low(4))?,
        kind => return Err(Error::UnknownRelocation { machine: Machine::Aarch64, kind: kind.0, at: relocation.at }),
    }
    Ok(false)
}
