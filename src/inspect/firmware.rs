//! Which firmware finds something to start on the disk.

use super::image::Image;
use super::{EfiFile, Partition, Table, TableKind};
use crate::os::Architecture;

/// The code area of the first sector; a disk signature and the DOS entries follow.
const MBR_CODE: usize = 440;

/// In words. Whether what is started also works is for a test to find out.
pub fn firmware(
    image: &Image,
    table: &Table,
    partitions: &[Partition],
    efi: &[EfiFile],
    problems: &mut Vec<String>,
) -> String {
    let code = image.slice(0, image.size).bytes::<MBR_CODE>(0).is_some_and(|code| code.iter().any(|&byte| byte != 0));
    let bios = match table.kind {
        TableKind::Gpt => code && has_boot_sector(image, partitions) || bios_on_gpt(image, code, partitions, problems),
        TableKind::Dos => code,
        TableKind::None => false,
    };
    let uefi = efi.iter().any(is_default_program);
    match (bios, uefi) {
        (true, true) => "BIOS and UEFI",
        (true, false) => "BIOS only",
        (false, true) => "UEFI only",
        (false, false) => "none: no boot loader found",
    }
    .to_owned()
}

/// syslinux: the code in the first sector starts the boot sector of the partition that has the attribute for it.
fn has_boot_sector(image: &Image, partitions: &[Partition]) -> bool {
    let legacy = |partition: &&Partition| partition.attributes.iter().any(|name| name == "legacy-bios-bootable");
    partitions.iter().filter(legacy).any(|partition| {
        let sector = image.slice(partition.start, partition.bytes).bytes::<512>(0);
        sector.is_some_and(|sector| sector[510..] == [0x55, 0xaa])
    })
}

/// With a GPT, the code in the first sector loads GRUB's core from the BIOS boot partition: it takes both.
fn bios_on_gpt(image: &Image, code: bool, partitions: &[Partition], problems: &mut Vec<String>) -> bool {
    let Some(partition) = partitions.iter().find(|partition| partition.is_bios_boot()) else { return false };
    let core = image.slice(partition.start, partition.bytes).bytes::<512>(0).is_some_and(|core| core != [0; 512]);
    if core != code {
        let number = partition.number;
        problems.push(match core {
            true => {
                format!("partition {number} holds a boot loader for BIOS, but the first sector has no code to start it")
            }
            false => {
                format!("the first sector has code for BIOS, but partition {number} holds no boot loader to start")
            }
        });
    }
    core && code
}

/// The architecture whose firmware starts this program.
pub fn architecture(file: &EfiFile) -> Option<Architecture> {
    let path = file.path.to_ascii_lowercase();
    Some(match path.strip_prefix("efi/boot/boot")?.strip_suffix(".efi")? {
        "x64" => Architecture::X86_64,
        "aa64" => Architecture::Aarch64,
        "riscv64" => Architecture::Riscv64,
        _ => return None,
    })
}

/// What firmware starts from a disk without being told a path: `\EFI\BOOT\BOOT{arch}.EFI`, UEFI 2.10, 3.5.1.1.
pub fn is_default_program(file: &EfiFile) -> bool {
    let path = file.path.to_ascii_lowercase();
    path.strip_prefix("efi/boot/boot").is_some_and(|rest| rest.ends_with(".efi") && !rest.contains('/'))
}
