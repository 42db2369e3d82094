//! A disk with systemd-boot, booted: its ESP follows every upgrade and rollback, and power cuts leave it bootable.

use bootwright::request::BootloaderChoice;
use bootwright::smoke::{Arch, Firmware};
use qemu_tests::test_os;

use boot_tests::guest::Guest;
use boot_tests::life::{Life, Machine, Repository};

#[test]
fn with_secure_boot_and_systemd_boot_upgrades_and_rollbacks_reach_the_esp_and_a_power_cut_leaves_it_bootable() {
    let repository = Repository::of(&test_os().unwrap().rootfs_tar);
    let machine = Machine { name: "systemd-boot".into(), arch: Arch::X86_64, firmware: Firmware::UefiSecure, more: 0 };
    let mut life = Life::new(machine, repository, |request| {
        request.bootloader = BootloaderChoice::SystemdBoot;
    });

    let mut guest = life.boot("first");
    life.is_running(&mut guest, 1);
    assert_eq!(entries(&mut guest), ["ostree-1-1.conf"], "the first boot finds nothing to do");
    life.upgrade(&mut guest);
    guest.cut_power();

    // Without a shutdown that came to its end, what ran before runs again.
    let mut guest = life.boot("cut");
    life.is_running(&mut guest, 1);
    assert_eq!(entries(&mut guest).len(), 2);
    guest.power_off();

    let mut guest = life.boot("upgraded");
    life.is_running(&mut guest, 2);
    life.roll_back(&mut guest);
    guest.power_off();

    let mut guest = life.boot("rolled-back");
    life.is_running(&mut guest, 1);
    let running = entries(&mut guest).pop().unwrap();
    assert!(!running.contains('+'), "{running}: what runs has proved itself");
    guest.power_off();
    life.used_disk_is_sound();
}

/// On the ESP, in the order of their names.
fn entries(guest: &mut Guest) -> Vec<String> {
    guest.says("ls -1 /boot/efi/loader/entries").lines().map(str::to_owned).collect()
}
