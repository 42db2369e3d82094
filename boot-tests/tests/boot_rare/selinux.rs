//! An enforcing SELinux guest, with Debian's policy: every label that the disk was built with is the one that the running system
//! asks for, and what it runs may do its work. Without systemd-repart, so that a script of ours grows the GPT.

use bootwright::output::OutputType;
use bootwright::report::DeploymentFacts;
use bootwright::request::BootloaderChoice;
use bootwright::smoke::{Changes, DiskFormat, Drive, Firmware};
use qemu_tests::selinux_os;

use boot_tests::disk::{UsedDisk, build_as};
use boot_tests::guest::Guest;
use boot_tests::login::Session;
use boot_tests::system;

const GIB: u64 = 1 << 30;

/// The entries on the ESP as the disk is built, and when the second deployment runs: generation 2 was written when it was made,
/// with the running system first, and 3 when that had shut down.
const FIRST: &str = "ostree-1-1.conf";
const DEPLOYED: &str = "ostree-3-1.conf\nostree-3-2.conf";

const CONFIG: &str = r#"
[[customizations.user]]
name = "warden"
password = "correct horse"
"#;

/// With systemd-boot, whose mirror on the ESP is kept by units of ours: the third boot is that of a deployment which the
/// second one made.
#[test]
fn an_enforcing_guest_starts_everything_lets_its_user_in_misses_no_label_and_starts_what_it_deploys() {
    let os = selinux_os().unwrap();
    let source = format!("oci:{}:latest", os.oci.display());
    let disk = build_as(&source, OutputType::Qcow2, Some(CONFIG), |request| {
        request.bootloader = BootloaderChoice::SystemdBoot;
        request.kargs = vec!["security=selinux".to_owned(), "enforcing=1".to_owned()];
    });
    let directory = tempfile::tempdir().unwrap();
    let larger = disk.copy_on_larger_disk(&directory, 8 * GIB);
    let drive = Drive { path: larger.clone(), format: DiskFormat::Qcow2, changes: Changes::Kept };

    for (occasion, entries) in [("first", FIRST), ("second", FIRST), ("third", DEPLOYED)] {
        let mut guest = Guest::boot(&format!("selinux-{occasion}"), Firmware::UefiSecure, vec![drive.clone()]);
        assert_eq!(guest.says("getenforce"), "Enforcing");
        system::everything_has_started(&mut guest);
        system::mounts_are_ostrees(&mut guest);
        system::growth_unit_succeeded(&mut guest);
        let partition = system::root_partition_bytes(&mut guest);
        assert!(partition > 6 * GIB, "{partition} bytes");
        the_mirror_has_run(&mut guest, entries);
        the_user_logs_in(&mut guest);
        nothing_is_to_be_relabelled(&mut guest);
        no_denial_is_about_a_missing_label(&mut guest);
        let again = guest.says("cat /proc/cmdline").contains(" smoke.again");
        assert_eq!(again, occasion == "third");
        if occasion == "second" {
            the_client_deploys_again(&mut guest, &disk.report.deployment);
        }
        guest.power_off();
    }
    UsedDisk::of(&larger).partition_table_is_whole();
}

fn the_mirror_has_run(guest: &mut Guest, entries: &str) {
    let units = "bootwright-esp-mirror.service bootwright-esp-mirror-now.path";
    assert_eq!(guest.says(&format!("systemctl is-active {units}")), "active\nactive");
    assert_eq!(guest.says("ls -1 /boot/efi/loader/entries"), entries);
}

/// The same commit with another argument, so that entries are written, mirrored and followed.
fn the_client_deploys_again(guest: &mut Guest, deployment: &DeploymentFacts) {
    let DeploymentFacts { stateroot, commit, .. } = deployment;
    let origin = format!("/sysroot/ostree/deploy/{stateroot}/deploy/{commit}.0.origin");
    guest.says(&format!(
        "ostree admin deploy --os={stateroot} --origin-file={origin} --karg-append=smoke.again {commit} 2>&1"
    ));
}

fn the_user_logs_in(guest: &mut Guest) {
    guest.says("dmesg -n 1");
    let mut session = Session::open(guest.console(), "warden", "correct horse");
    assert_eq!(session.says("id -un"), "warden");
    assert!(session.says("id -Z").starts_with("unconfined_u:unconfined_r:unconfined_t"));
    session.close();
}

/// restorecon(8) without changing anything, over what the disk was built with.
fn nothing_is_to_be_relabelled(guest: &mut Guest) {
    let asked = "/usr /etc /boot /var/home /var/roothome";
    let said = guest.says(&format!("restorecon -R -n -v -e /boot/efi {asked} 2>&1"));
    // The first boot made it, and restorecon saying so shows that it looks.
    let lock = "Would relabel /etc/.pwd.lock from system_u:object_r:shadow_t:s0 to system_u:object_r:shadow_lock_t:s0";
    assert_eq!(said, lock);
}

/// `unlabeled_t` is what the kernel says for a file without a label, or with one that the policy does not know.
fn no_denial_is_about_a_missing_label(guest: &mut Guest) {
    let denials = guest.says("dmesg | grep 'avc:  denied' || true");
    // Debian's policy has gaps that have nothing to do with labels, so there are some.
    assert_ne!(denials, "", "the kernel's log is not read");
    let missing: Vec<&str> = denials
        .lines()
        .filter(|line| {
            ["unlabeled_t", "file_t", "default_t"].iter().any(|kind| line.contains(&format!(":object_r:{kind}:")))
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
