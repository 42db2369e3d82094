//! An image with a payload of bootupd, as Fedora has it, with Debian's signed programs in it. Firmware starts shim, shim the fallback
//! program, and that what BOOTX64.CSV names; the upgrade boots as well.

use std::fs;
use std::path::Path;

use bootwright::smoke::{Arch, Firmware};
use qemu_tests::test_os;
use tempfile::TempDir;

use boot_tests::life::{Life, Machine, Repository};
use qemu_tests::oracle;

const META: &str = r#"{"timestamp":"2025-08-20T08:48:03Z","version":"grub2-1:2.12-41,shim-15.8-4"}"#;

#[test]
fn a_payload_of_bootupd_boots_with_secure_boot_and_its_upgrade_too() {
    let rootfs = test_os().unwrap().rootfs_tar;
    let payload = payload(&rootfs);
    let repository = Repository::laid_over(&rootfs, Some(payload.path()));
    let machine = Machine { name: "bootupd".into(), arch: Arch::X86_64, firmware: Firmware::UefiSecure, more: 0 };
    let mut life = Life::new(machine, repository, |_| {});
    let reason = &life.disk.report.bootloader.reason;
    assert!(reason.contains("bootupd's payload grub2-1:2.12-41,shim-15.8-4"), "{reason}");

    let mut guest = life.boot("first");
    life.is_running(&mut guest, 1);
    let state = guest.says("cat /boot/bootupd-state.json");
    assert!(state.contains(r#""version":"grub2-1:2.12-41,shim-15.8-4""#), "{state}");
    assert_eq!(guest.says("ls -1 /boot/efi/EFI"), "BOOT\ndebian");
    life.upgrade(&mut guest);
    guest.power_off();

    let mut guest = life.boot("upgraded");
    life.is_running(&mut guest, 2);
    guest.power_off();
    life.used_disk_is_sound();
}

/// Files of the tree, where bootupd looks for them.
fn payload(rootfs: &Path) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let updates = directory.path().join("usr/lib/bootupd/updates");
    for place in ["EFI/BOOT", "EFI/debian"] {
        fs::create_dir_all(updates.join(place)).unwrap();
    }
    let unpacked = tempfile::tempdir().unwrap();
    let (shim, grub) = ("usr/lib/shim/shimx64.efi.signed", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed");
    let fallback = "usr/lib/shim/fbx64.efi.signed";
    let (tar, to) = (rootfs.to_str().unwrap(), unpacked.path().to_str().unwrap());
    oracle::agrees(&oracle::tool("tar", "tar"), ["-xf", tar, "-C", to, shim, grub, fallback]);
    for (from, name) in [
        (shim, "BOOT/BOOTX64.EFI"),
        (fallback, "BOOT/fbx64.efi"),
        (shim, "debian/shimx64.efi"),
        (grub, "debian/grubx64.efi"),
    ] {
        fs::copy(unpacked.path().join(from), updates.join("EFI").join(name)).unwrap();
    }
    // The program, the name of its boot entry, its arguments, a comment; in UTF-16 (shim's README.fallback).
    let list = "\u{feff}shimx64.efi,Debian,,started by the fallback program\n";
    let list: Vec<u8> = list.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(updates.join("EFI/debian/BOOTX64.CSV"), list).unwrap();
    fs::write(updates.join("EFI.json"), META).unwrap();
    directory
}
