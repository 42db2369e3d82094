//! The disk as most people build it: with users and a larger drive under Secure Boot, and plainly by both firmwares.

use bootwright::output::OutputType;
use bootwright::smoke::{self, Accel, Arch, Changes, DiskFormat, Drive, Event, Firmware};
use qemu_tests::test_os;

use boot_tests::disk::{BuiltDisk, UsedDisk, build};
use boot_tests::guest::{Guest, saved};
use boot_tests::login::{self, Session};
use boot_tests::system::{self, Room};

const GIB: u64 = 1 << 30;

const WARDEN_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5sIvVeVkvqvTdZ3dAz2bDwrGmZ1UW9j0XyGdUgGR7V warden@example.org";

const CONFIG: &str = r#"
[customizations]
hostname = "edge-1"

[customizations.kernel]
append = "edge.site=7"

[[customizations.user]]
name = "warden"
password = "correct horse"
groups = ["adm"]
key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5sIvVeVkvqvTdZ3dAz2bDwrGmZ1UW9j0XyGdUgGR7V warden@example.org"
"#;

/// The whole life of a configured disk: Secure Boot, a larger drive than it was built for, a login, an upgrade.
#[test]
fn a_configured_disk_boots_with_secure_boot_grows_lets_its_user_in_and_upgrades() {
    let os = test_os().unwrap();
    let disk = build(&os.oci, OutputType::Qcow2, Some(CONFIG));
    let next = build(&os.oci_v2, OutputType::Qcow2, None);
    let directory = tempfile::tempdir().unwrap();
    let larger = disk.copy_on_larger_disk(&directory, 8 * GIB);
    let drive = Drive { path: larger.clone(), format: DiskFormat::Qcow2, changes: Changes::Kept };
    let next_drive =
        Drive { path: next.path.clone(), format: next.format, changes: Changes::Discarded { grow_to: None } };

    let mut guest = Guest::boot("configured", Firmware::UefiSecure, vec![drive.clone(), next_drive]);
    secure_boot_is_enforced(&mut guest);
    system::everything_has_started(&mut guest);
    system::mounts_are_ostrees(&mut guest);
    system::kernel_arguments_are_the_entrys(&mut guest, &disk, &os.kernel_version, " edge.site=7");
    assert_eq!(guest.says("hostname"), "edge-1");
    only_the_configured_files_of_etc_differ(&mut guest);
    the_root_filesystem_fills_the_larger_disk(&mut guest);
    system::ostree_finds_its_deployment_whole(&mut guest, &disk.report.deployment.commit);
    system::journal_has_no_errors(&mut guest);
    the_user_logs_in_with_the_right_password_only(&mut guest);
    guest.screenshot("configured.png");
    the_systems_own_e2fsck_finds_nothing_to_repair(&mut guest, &next);
    upgrade(&mut guest, &next);
    guest.power_off();
    the_used_disk_is_sound(&UsedDisk::of(&larger), disk.root().number);

    let mut guest = Guest::boot("upgraded", Firmware::UefiSecure, vec![drive]);
    the_upgrade_is_running(&mut guest, &next);
    system::everything_has_started(&mut guest);
    system::journal_has_no_errors(&mut guest);
    the_user_logs_in_with_the_right_password_only(&mut guest);
    the_root_filesystem_fills_the_larger_disk(&mut guest);
    guest.power_off();
    the_used_disk_is_sound(&UsedDisk::of(&larger), disk.root().number);
}

/// The disk as it is built, on a drive of its own size: once by each firmware.
#[test]
fn a_raw_disk_boots_with_plain_uefi_and_by_bios_and_grows_only_into_the_room_behind_its_last_partition() {
    let os = test_os().unwrap();
    let disk = build(&os.oci, OutputType::Raw, None);
    let log = saved("raw-verdict.log");
    let request = smoke::Request {
        accel: Accel::Tcg,
        log: Some(log.clone()),
        screenshot: Some(saved("raw.png")),
        timeout: Some(std::time::Duration::from_secs(600)),
        ..smoke::Request::new(&disk.path, Arch::X86_64, Firmware::Uefi).unwrap()
    };
    let verdict = smoke::run(&request, &mut |event| {
        if let Event::Stage(stage) = event {
            println!("{stage}");
        }
    });
    let verdict = verdict.unwrap_or_else(|error| panic!("{error}\n(sudo apt-get install qemu-system-x86 ovmf)"));
    assert!(verdict.passed, "{}\n{}", verdict.reason, verdict.last_lines.join("\n"));

    let drive = Drive { path: disk.path.clone(), format: disk.format, changes: Changes::Discarded { grow_to: None } };
    assert_eq!(disk.report.bootloader.firmware, "BIOS and UEFI");
    let mut guest = Guest::boot("raw", Firmware::Bios, vec![drive]);
    assert_ne!(guest.run("test -e /sys/firmware/efi").0, 0, "no UEFI is here");
    system::everything_has_started(&mut guest);
    system::kernel_arguments_are_the_entrys(&mut guest, &disk, &os.kernel_version, "");
    system::growth_unit_succeeded(&mut guest);
    // systemd-repart leaves less free behind the last partition than the plan does: 20 KiB, for the second GPT.
    let grown_by = system::root_partition_bytes(&mut guest) - disk.root().bytes();
    assert!(grown_by < 1 << 20, "{grown_by}");
    Room::on(&mut guest, "/sysroot").holds_an_upgrade();
    system::journal_has_no_errors(&mut guest);
    // From the image's own layers: initial content of /var, whiteouts, capability, hard link.
    assert_eq!(guest.says("ls -1 /var/lib/smoke-data"), "file");
    assert_eq!(guest.says("ls -1 /usr/share/smoke-opaque"), "new");
    assert_ne!(guest.run("test -e /usr/share/smoke-removed").0, 0);
    guest.power_off();
}

/// The kernel's word, the firmware's variable (four bytes of attributes, then the value), and what follows from them.
fn secure_boot_is_enforced(guest: &mut Guest) {
    let kernel = guest.says("dmesg");
    assert!(kernel.contains("secureboot: Secure boot enabled"), "{kernel}");
    let variable = guest.says("od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    assert!(variable.ends_with(" 1"), "{variable}");
    assert_eq!(guest.says("cat /sys/kernel/security/lockdown"), "none [integrity] confidentiality");
}

/// By `ostree admin config-diff`: what the configuration asked for, what the disk's layout needs, and what every first boot adds.
fn only_the_configured_files_of_etc_differ(guest: &mut Guest) {
    let said = guest.says("ostree admin config-diff");
    let mut differences: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    differences.sort();
    let expected = [
        "A .pwd.lock",
        "A .updated",
        "A repart.d",
        "A repart.d/50-root.conf",
        "A systemd/system/bootwright-growfs.service",
        "A systemd/system/efi.automount",
        "A systemd/system/multi-user.target.wants/bootwright-growfs.service",
        "M fstab",
        "M group",
        "M gshadow",
        "M hostname",
        "M machine-id",
        "M passwd",
        "M shadow",
        "M subgid",
        "M subuid",
    ];
    assert_eq!(differences, expected);
}

fn the_root_filesystem_fills_the_larger_disk(guest: &mut Guest) {
    system::growth_unit_succeeded(guest);
    println!("{}", system::words_of_growth(guest));
    let partition = system::root_partition_bytes(guest);
    let boot_partitions = 2 * GIB;
    assert!(partition > 8 * GIB - boot_partitions, "the partition has {partition} bytes");
    let room = Room::on(guest, "/sysroot");
    // What is missing are inode tables and the journal.
    assert!(room.total > partition / 100 * 97, "{room:?} of {partition}");
    room.holds_an_upgrade();
}

fn the_user_logs_in_with_the_right_password_only(guest: &mut Guest) {
    // The kernel keeps quiet on this console, so that nothing comes between a prompt and its answer.
    guest.says("dmesg -n 1");
    login::is_refused(guest.console(), "warden", "wrong horse");
    let mut session = Session::open(guest.console(), "warden", "correct horse");
    assert_eq!(session.says("id"), "uid=1000(warden) gid=1000(warden) groups=1000(warden),4(adm)");
    assert_eq!(session.says("pwd -P"), "/var/home/warden");
    assert_eq!(
        session.says("stat -c %U:%G:%a ~ ~/.ssh ~/.ssh/authorized_keys"),
        "warden:warden:700\nwarden:warden:700\nwarden:warden:600"
    );
    assert_eq!(session.says("tr @ + < ~/.ssh/authorized_keys"), WARDEN_KEY.replace('@', "+"));
    assert_eq!(session.says("touch ~/mine && stat -c %U ~/mine"), "warden");
    session.close();
}

/// The second disk lies in the machine unmounted, as it was built: its /boot is partition 3, its root partition 4.
fn the_systems_own_e2fsck_finds_nothing_to_repair(guest: &mut Guest, next: &BuiltDisk) {
    let root = guest.says(&format!("blkid -U {}", next.root_uuid()));
    let disk = root.trim_end_matches(char::is_numeric);
    for partition in [3, 4] {
        let said = guest.says(&format!("e2fsck -f -n {disk}{partition} 2>&1"));
        assert!(!said.to_lowercase().contains("fix"), "{said}");
    }
}

/// Deploys the other disk's commit out of its repository, by the client in the image, with /boot and /sysroot mounted read-only.
fn upgrade(guest: &mut Guest, next: &BuiltDisk) {
    let (commit, uuid) = (&next.report.deployment.commit, next.root_uuid());
    guest.says(&format!("mkdir /run/next && mount -o ro,noload UUID={uuid} /run/next"));
    guest.says(&format!("ostree pull-local --repo=/sysroot/ostree/repo /run/next/ostree/repo {commit}"));
    guest.says(&format!("printf '[origin]\\nrefspec={commit}\\n' > /run/origin"));
    let deployed = guest.says(&format!(
        "ostree admin deploy --os=default --origin-file=/run/origin --karg-append=edge.upgraded=1 {commit}"
    ));
    println!("{deployed}");
    assert!(deployed.contains("bootversion: boot.0.1"), "{deployed}");
    assert_eq!(guest.says("readlink /boot/loader"), "loader.0");
    assert_eq!(guest.says("ls -1 /boot/loader/entries"), "ostree-1.conf\nostree-2.conf");
    let status = guest.says("ostree admin status");
    assert!(status.contains(&format!("{commit}.0 (pending)")), "{status}");
    // libostree mounted both for writing in a place of its own.
    system::mounts_are_ostrees(guest);
    Room::on(guest, "/boot").holds_an_upgrade();
}

fn the_upgrade_is_running(guest: &mut Guest, next: &BuiltDisk) {
    system::mounts_are_ostrees(guest);
    system::ostree_finds_its_deployment_whole(guest, &next.report.deployment.commit);
    let arguments = guest.says("cat /proc/cmdline");
    assert!(arguments.split(' ').any(|argument| argument == "edge.upgraded=1"), "{arguments}");
    assert_eq!(guest.says("cat /usr/share/smoke-marker"), "v2");
    assert_eq!(guest.says("hostname"), "edge-1");
}

fn the_used_disk_is_sound(disk: &UsedDisk, root: u32) {
    disk.partition_table_is_whole();
    disk.ext4_is_clean(root - 1);
    disk.ext4_is_clean(root);
    let (_, bytes) = disk.partitions[usize::try_from(root).unwrap() - 1];
    let superblock = disk.superblock(root);
    let blocks = superblock.lines().find_map(|line| line.strip_prefix("Block count:")).unwrap();
    assert_eq!(blocks.trim().parse::<u64>().unwrap(), bytes / 4096);
}
