//! The large system: 60,000 files in eight layers. Slow, so it is only there with the feature `large`.

use bootwright::output::OutputType;
use bootwright::smoke::{Changes, Drive, Firmware, Regex};
use qemu_tests::large_os;

use boot_tests::disk::build;
use boot_tests::guest::Guest;
use boot_tests::system::{self, Room};

#[test]
fn a_disk_of_sixty_thousand_files_boots_to_a_login_prompt_and_is_whole() {
    let os = large_os().unwrap();
    let disk = build(&os.oci, OutputType::Qcow2, None);
    let drive = Drive { path: disk.path.clone(), format: disk.format, changes: Changes::Discarded { grow_to: None } };
    let mut guest = Guest::boot("large", Firmware::UefiSecure, vec![drive]);
    system::everything_has_started(&mut guest);
    guest.console().expect(&Regex::new("login: ").unwrap(), std::time::Duration::from_secs(60)).unwrap();
    system::mounts_are_ostrees(&mut guest);
    system::kernel_arguments_are_the_entrys(&mut guest, &disk, &os.kernel_version, "");
    Room::on(&mut guest, "/sysroot").holds_an_upgrade();
    system::ostree_finds_its_deployment_whole(&mut guest, &disk.report.deployment.commit);
    guest.power_off();
}
