//! Where `core.img` lies, written into it and into the code of the first sector (`util/setup.c`).

use super::{Error, SECTOR};

/// The code area of the first sector; a disk signature and the partition table follow.
pub const CODE: usize = 440;
/// In `boot.img`: the first sector of `core.img`, u64.
const KERNEL_SECTOR_AT: usize = 0x5c;
/// In `boot.img`: the drive to read from; 0xff is the one that the BIOS started.
const BOOT_DRIVE_AT: usize = 0x64;
/// In `boot.img`: two bytes that become `nop`s on hard disks, so that the drive's number is looked at.
const DRIVE_CHECK_AT: usize = 0x66;
/// In `core.img`: the list of blocks grows down from here; each entry has 12 bytes {u64 sector, u16 sectors, u16 segment}.
const BLOCKS_AT: usize = 0x1f4;
const BLOCK: usize = 12;
const SEGMENT: u16 = 0x820;

/// What is written to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// For the first bytes of the disk.
    pub code: [u8; CODE],
    /// For the area, from its first sector on.
    pub core: Vec<u8>,
}

/// Fits `boot.img` and `core.img` to an area of `sectors` from `lba` on.
pub fn embed(boot: &[u8], core: &[u8], lba: u64, sectors: u64) -> Result<Embedded, Error> {
    let broken = |file, what| Error::Malformed { file, what };
    if boot.len() != SECTOR || boot[SECTOR - 2..] != [0x55, 0xaa] {
        return Err(broken("boot.img", "it is no boot sector"));
    }
    let need = core.len() / SECTOR;
    if need < 2 || !core.len().is_multiple_of(SECTOR) {
        return Err(broken("core.img", "it is not whole sectors"));
    }
    if need as u64 > sectors {
        return Err(Error::NoRoom { need, room: sectors });
    }
    let mut code = [0; CODE];
    code.copy_from_slice(&boot[..CODE]);
    code[KERNEL_SECTOR_AT..KERNEL_SECTOR_AT + 8].copy_from_slice(&lba.to_le_bytes());
    code[BOOT_DRIVE_AT] = 0xff;
    code[DRIVE_CHECK_AT..DRIVE_CHECK_AT + 2].fill(0x90);

    let mut core = core.to_vec();
    // One entry, and below it one without sectors, which ends the list.
    core[BLOCKS_AT - BLOCK..BLOCKS_AT].fill(0);
    let rest = u16::try_from(need - 1).map_err(|_| Error::NoRoom { need, room: sectors })?;
    core[BLOCKS_AT..BLOCKS_AT + 8].copy_from_slice(&(lba + 1).to_le_bytes());
    core[BLOCKS_AT + 8..BLOCKS_AT + 10].copy_from_slice(&rest.to_le_bytes());
    core[BLOCKS_AT + 10..BLOCKS_AT + 12].copy_from_slice(&SEGMENT.to_le_bytes());
    Ok(Embedded { code, core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_core_img_stands_in_both() {
        let mut boot = vec![0xf4; SECTOR];
        boot[SECTOR - 2..].copy_from_slice(&[0x55, 0xaa]);
        let embedded = embed(&boot, &vec![1; 5 * SECTOR], 2048, 2048).unwrap();
        assert_eq!(embedded.code[0x5c..0x68], [0, 8, 0, 0, 0, 0, 0, 0, 0xff, 0xf4, 0x90, 0x90]);
        assert_eq!(
            embedded.core[0x1e8..0x200],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 4, 0, 0x20, 8]
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        let boot = [vec![0; SECTOR - 2], vec![0x55, 0xaa]].concat();
        let core = vec![0; 9 * SECTOR];
        assert_eq!(embed(&boot, &core, 34, 8), Err(Error::NoRoom { need: 9, room: 8 }));
        assert!(embed(&boot[1..], &core, 34, 9).is_err() && embed(&boot, &core[1..], 34, 9).is_err());
    }
}
