//! A GRUB program for UEFI, made of an image's own modules, for systems that bring none ready-made (GRUB `util/mkimage.c`, platforms
//! x86_64-efi and arm64-efi).
//!
//! GRUB's kernel is a relocatable ELF file: it is laid out as memory, its relocations are applied or become base relocations
//! of a PE file, and the modules follow in a section of their own. Nothing of GRUB runs here.

mod kernel;
mod pe;
mod relocation;

pub use kernel::Machine;

use crate::grub_module::{self, MODULE_MAGIC};

/// Why these files make no GRUB.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("kernel.img is not what GRUB for UEFI has: {0}")]
    Malformed(&'static str),

    #[error("kernel.img is for another processor than {0:?}")]
    WrongMachine(Machine),

    #[error("kernel.img has a relocation of type {kind} at {at:#x}, which is not known for {machine:?}")]
    UnknownRelocation { machine: Machine, kind: u32, at: u64 },

    #[error("kernel.img has a relocation at {at:#x} that cannot be applied: {what}")]
    BadRelocation { at: u64, what: &'static str },

    #[error("the program would have more than 4 GiB")]
    TooLarge,
}

/// The files of a platform that a program is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub machine: Machine,
    pub kernel: Vec<u8>,
    /// The files of the modules, in their order.
    pub modules: Vec<Vec<u8>>,
}

/// The whole program. GRUB runs `config` first, then looks for more in `prefix`.
pub fn program(parts: &Parts, config: &str, prefix: &str) -> Result<Vec<u8>, Error> {
    let kernel = kernel::load(&parts.kernel, parts.machine)?;
    pe::file(parts.machine, &kernel, &modules(parts, config, prefix)?)
}

/// The section `mods`: {magic u32, padding u32, offset of the objects u64, size with this header u64}, objects.
fn modules(parts: &Parts, config: &str, prefix: &str) -> Result<Vec<u8>, Error> {
    const HEADER: u64 = 24;
    let objects = grub_module::objects(&parts.modules, config, prefix, 8).ok_or(Error::TooLarge)?;
    let mut section = Vec::with_capacity(objects.len() + 24);
    section.extend(MODULE_MAGIC.to_le_bytes());
    section.extend([0; 4]);
    section.extend(HEADER.to_le_bytes());
    section.extend((HEADER + objects.len() as u64).to_le_bytes()); // usize is at most 64 bits
    section.extend(objects);
    Ok(section)
}
