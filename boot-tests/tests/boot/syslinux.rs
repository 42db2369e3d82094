//! A disk with a DOS label and syslinux, booted by BIOS: it grows, libostree keeps its menu, and the menu leads back.

use std::path::Path;

use bootwright::bootloader::Provided;
use bootwright::layout::Layout;
use bootwright::request::BootloaderChoice;
use bootwright::smoke::{Arch, Firmware};
use qemu_tests::test_os;

use boot_tests::life::{Life, Machine, Repository};
use boot_tests::system;

const GIB: u64 = 1 << 30;
const DOWN: &str = "\x1b[B";

/// Debian's files as a user would put them together.
fn syslinux_files(directory: &Path) -> Provided {
    for (file, package) in [
        ("/usr/bin/extlinux", "extlinux"),
        ("/usr/lib/syslinux/mbr/mbr.bin", "syslinux-common"),
        ("/usr/lib/syslinux/modules/bios/menu.c32", "syslinux-common"),
        ("/usr/lib/syslinux/modules/bios/libcom32.c32", "syslinux-common"),
        ("/usr/lib/syslinux/modules/bios/libutil.c32", "syslinux-common"),
    ] {
        let copy = directory.join(Path::new(file).file_name().unwrap());
        std::fs::copy(file, copy).unwrap_or_else(|_| panic!("{file} is missing: sudo apt-get install {package}"));
    }
    Provided::open(directory).unwrap()
}

#[test]
fn a_dos_label_with_syslinux_boots_by_bios_grows_upgrades_and_its_menu_leads_back() {
    let repository = Repository::of(&test_os().unwrap().rootfs_tar);
    let machine = Machine { name: "syslinux".into(), arch: Arch::X86_64, firmware: Firmware::Bios, more: 2 * GIB };
    let files = tempfile::tempdir().unwrap();
    let mut life = Life::new(machine, repository, |request| {
        request.bootloader = BootloaderChoice::Syslinux;
        request.layout = Some(Layout::named("bios-dos").unwrap());
        request.bootloader_files = Some(syslinux_files(files.path()));
    });

    let mut guest = life.boot("first");
    life.is_running(&mut guest, 1);
    system::growth_unit_succeeded(&mut guest);
    let built = life.disk.root().bytes();
    let grown = system::root_partition_bytes(&mut guest);
    assert!(grown >= built + 2 * GIB && system::Room::on(&mut guest, "/sysroot").total > grown * 9 / 10, "{grown}");
    life.upgrade(&mut guest);
    guest.power_off();

    // The second entry is the system before.
    let mut guest = life.boot_and_choose("chosen", "Automatic boot in", &format!("{DOWN}\r"));
    life.is_running(&mut guest, 1);
    guest.power_off();

    let mut guest = life.boot("upgraded");
    life.is_running(&mut guest, 2);
    let arguments = guest.says("cat /proc/cmdline");
    assert!(!arguments.contains("(ostree"), "the menu's title is no kernel argument: {arguments}");
    system::journal_has_no_errors(&mut guest);
    guest.power_off();
    life.used_disk_is_sound();
}
