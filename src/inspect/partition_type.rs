//! Partition types and attributes in words: UEFI 2.10 chapter 5, the Discoverable Partitions Specification, DOS types.

use super::Partition;
use crate::os::Architecture;

/// Type GUIDs as `gpt` prints them.
const GPT_TYPES: [(&str, &str); 24] = [
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"),
    ("21686148-6449-6e6f-744e-656564454649", "BIOS boot"),
    ("bc13c2ff-59e6-4262-a352-b275fd6f7172", "Linux extended boot"),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux filesystem"),
    ("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root (x86-64)"),
    ("44479540-f297-41b2-9af7-d131d5f0458a", "Linux root (x86)"),
    ("b921b045-1df0-41c3-af44-4c6f280d3fae", "Linux root (arm64)"),
    ("69dad710-2ce4-4e3c-b16c-21a1d49abed3", "Linux root (arm)"),
    ("72ec70a6-cf74-40e6-bd49-4bda08e8f224", "Linux root (riscv64)"),
    ("c31c45e6-3f39-412e-80fb-4809c4980599", "Linux root (ppc64le)"),
    ("5eead9a9-fe09-4a1e-a1d7-520d00531306", "Linux root (s390x)"),
    ("77055800-792c-4f94-b39a-98c91b762bb6", "Linux root (loong64)"),
    ("8484680c-9521-48c6-9c11-b0720656f69e", "Linux /usr (x86-64)"),
    ("b0e01050-ee5f-4390-949a-9101b17104e9", "Linux /usr (arm64)"),
    ("4d21b016-b534-45c2-a9fb-5c16e091fd2d", "Linux /var"),
    ("933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux /home"),
    ("3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "Linux /srv"),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"),
    ("e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"),
    ("ca7d7ccb-63ed-4c53-861c-1742536059cc", "Linux LUKS"),
    ("a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"),
    ("9e1a2d38-c612-4316-aa26-8b49521e5a8b", "PowerPC PReP boot"),
    ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data"),
    ("e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"),
];

pub fn gpt_type_name(guid: &str) -> &'static str {
    GPT_TYPES.iter().find(|(known, _)| *known == guid).map_or("unknown", |(_, name)| name)
}

/// The architecture that a root partition is for.
pub fn root_architecture(partition: &Partition) -> Option<Architecture> {
    let name = partition.type_name.strip_prefix("Linux root (")?.strip_suffix(')')?;
    name.parse().ok()
}

pub fn dos_type_name(kind: u8) -> &'static str {
    match kind {
        0x05 | 0x0f => "extended",
        0x01 | 0x04 | 0x06 | 0x0e => "FAT16",
        0x07 => "NTFS or exFAT",
        0x0b | 0x0c => "FAT32",
        0x41 => "PowerPC PReP boot",
        0x82 => "Linux swap",
        0x83 => "Linux filesystem",
        0x8e => "Linux LVM",
        0xef => "EFI system",
        0xfd => "Linux RAID",
        _ => "unknown",
    }
}

/// Bits 0 to 2 are UEFI's; 59, 60 and 63 are systemd's where the type is one of the Discoverable Partitions.
pub fn attributes(bits: u64, type_guid: &str) -> Vec<String> {
    let discoverable = gpt_type_name(type_guid).starts_with("Linux");
    let name = |bit: u32| match bit {
        0 => "required".to_owned(),
        1 => "no-block-io".to_owned(),
        2 => "legacy-bios-bootable".to_owned(),
        59 if discoverable => "grow-file-system".to_owned(),
        60 if discoverable => "read-only".to_owned(),
        63 if discoverable => "no-auto".to_owned(),
        bit => bit.to_string(),
    };
    (0..64).filter(|bit| bits >> bit & 1 == 1).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_there_once() {
        for (index, (guid, _)) in GPT_TYPES.iter().enumerate() {
            assert!(!GPT_TYPES[..index].iter().any(|(other, _)| other == guid), "{guid}");
        }
    }

    #[test]
    fn bit_59_grows_a_root_and_means_nothing_on_an_esp() {
        assert_eq!(attributes(1 << 59, "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"), ["grow-file-system"]);
        assert_eq!(attributes(1 << 59 | 1, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), ["required", "59"]);
    }
}
