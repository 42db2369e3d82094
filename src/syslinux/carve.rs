//! The loader's parts out of the installer's ELF file (`extlinux` or `syslinux`), in which they are plain arrays.

use std::collections::BTreeSet;

use object::{Object as _, ObjectSection as _};

use super::{Error, MAGIC, SECTOR, u32_at};

/// Where the magic number is in `ldlinux.sys`, behind its version.
const MAGIC_AT: usize = 24;
/// The three parts have between a few and a few hundred kilobytes; the installer keeps their lengths as constants.
const LENGTHS: std::ops::RangeInclusive<u32> = 0x4000..=0x10_0000;

/// What is installed. All parts are of one build, so they fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    pub boot_sector: [u8; SECTOR],
    pub ldlinux_sys: Vec<u8>,
    pub ldlinux_c32: Vec<u8>,
}

impl Loader {
    /// Cuts the parts out of an installer.
    pub fn carve(installer: &[u8]) -> Result<Loader, Error> {
        let elf = object::File::parse(installer).map_err(|_| Error::NotElf)?;
        let section = |name| elf.section_by_name(name).and_then(|section| section.data().ok());
        let data = section(".data").ok_or(Error::NotThere(".data"))?;
        let constants = section(".rodata").ok_or(Error::NotThere(".rodata"))?;
        let words = (0..constants.len()).step_by(4).filter_map(|at| u32_at(constants, at));
        let lengths: BTreeSet<usize> = words.filter(|word| LENGTHS.contains(word)).map(|word| word as usize).collect();

        let sys = find_ldlinux_sys(data).ok_or(Error::NotThere("ldlinux.sys"))?;
        let c32 = find_ldlinux_c32(data).ok_or(Error::NotThere("ldlinux.c32"))?;
        // A part ends before the next one begins; the longest of the lengths that fit is its own.
        let cut = |from: usize, next: usize| {
            let end = if next > from { next } else { data.len() };
            let len = lengths.iter().rev().find(|&&len| len <= end - from)?;
            data.get(from..from + len).map(<[u8]>::to_vec)
        };
        Ok(Loader {
            boot_sector: find_boot_sector(data).ok_or(Error::NotThere("boot sector"))?,
            ldlinux_sys: cut(sys, c32).ok_or(Error::NotThere("length of ldlinux.sys"))?,
            ldlinux_c32: cut(c32, sys).ok_or(Error::NotThere("length of ldlinux.c32"))?,
        })
    }

    /// As `ldlinux.sys` says it: `6.04`.
    pub fn version(&self) -> String {
        let line = self.ldlinux_sys.get(2..MAGIC_AT).unwrap_or_default();
        let text: String = line
            .iter()
            .take_while(|byte| byte.is_ascii_graphic() || **byte == b' ')
            .map(|&byte| byte as char)
            .collect();
        text.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

/// Where `wanted` holds for the bytes that begin with `first`.
fn find(data: &[u8], first: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let starts = data.windows(first.len()).enumerate().filter(|(_, window)| *window == first);
    starts.map(|(at, _)| at).find(|&at| wanted(&data[at..]))
}

fn find_ldlinux_sys(data: &[u8]) -> Option<usize> {
    find(data, b"\r\nSYSLINUX ", |from| u32_at(from, MAGIC_AT) == Some(MAGIC))
}

/// A 32-bit little-endian shared object.
fn find_ldlinux_c32(data: &[u8]) -> Option<usize> {
    find(data, b"\x7fELF\x01\x01", |from| from.get(16..18) == Some(&[3, 0]))
}

/// `jmp`, `nop`, the maker's name; the BIOS' signature at the end.
fn find_boot_sector(data: &[u8]) -> Option<[u8; SECTOR]> {
    const NAME_AT: usize = 3;
    let mut names = data.windows(8).enumerate().filter(|(_, window)| window == b"SYSLINUX");
    names.find_map(|(at, _)| {
        let sector: [u8; SECTOR] = super::word(data, at.checked_sub(NAME_AT)?)?;
        (sector[0] == 0xeb && sector[2] == 0x90 && sector[510..] == [0x55, 0xaa]).then_some(sector)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_installer_is_refused_with_what_it_lacks() {
        assert_eq!(Loader::carve(b"#!/bin/sh\n"), Err(Error::NotElf));
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(Loader::carve(&own), Err(Error::NotThere("ldlinux.sys")));
    }
}
