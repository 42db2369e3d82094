//! What every system that the tool installs has to be, asked from inside of it.

use super::disk::BuiltDisk;
use super::guest::Guest;

/// Lines of the journal that the test image causes by itself: Debian's tmpfiles.d wants directories where the image has links.
const ERRORS_OF_THE_IMAGE: &str = "already exists and is not a directory.";
/// Lines of the kernel's watchdogs: an emulated processor got no time from a busy host for so long that the kernel wondered.
const ERRORS_OF_THE_HOST: [&str; 2] = ["kernel: watchdog: BUG: soft lockup", "kernel: rcu: "];

/// systemd's verdict after the last job of the boot.
pub fn everything_has_started(guest: &mut Guest) {
    let (_, state) = guest.run("systemctl is-system-running --wait");
    let failed = guest.says("systemctl --failed --no-legend --plain");
    assert_eq!((state.as_str(), failed.as_str()), ("running", ""));
}

pub fn journal_has_no_errors(guest: &mut Guest) {
    let journal = guest.says("journalctl -b -p err --no-pager -q -o short");
    let is_known = |line: &str| {
        line.ends_with(ERRORS_OF_THE_IMAGE) || ERRORS_OF_THE_HOST.iter().any(|beginning| line.contains(beginning))
    };
    let lines: Vec<&str> = journal.lines().filter(|line| !is_known(line)).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// ostree finds its deployment, and every object as its name says.
pub fn ostree_finds_its_deployment_whole(guest: &mut Guest, commit: &str) {
    let status = guest.says("ostree admin status");
    assert!(status.contains(&format!("* default {commit}.0")), "{status}");
    ostree_objects_are_whole(guest);
}

pub fn ostree_objects_are_whole(guest: &mut Guest) {
    let fsck = guest.says("ostree fsck --quiet && echo sound");
    assert!(fsck.ends_with("sound"), "{fsck}");
}

/// As they are on a disk with an ESP.
pub fn mounts_are_ostrees(guest: &mut Guest) {
    mounts_are_ostrees_on(guest, true);
}

/// One row: mount point, filesystem, `ro` or `rw`.
pub fn mounts_are_ostrees_on(guest: &mut Guest, esp: bool) {
    let rows = [
        ("/", "ext4", "rw"),
        ("/usr", "ext4", "ro"),
        ("/etc", "ext4", "rw"),
        ("/var", "ext4", "rw"),
        ("/sysroot", "ext4", "ro"),
        ("/boot", "ext4", "ro"),
        ("/boot/efi", "vfat", "rw"),
    ];
    for (point, kind, access) in rows.into_iter().filter(|(point, ..)| esp || *point != "/boot/efi") {
        let mount = guest.says(&format!("findmnt -rn -o TARGET,FSTYPE,OPTIONS {point}"));
        let expected = format!("{point} {kind} {access}");
        assert!(mount == expected || mount.starts_with(&format!("{expected},")), "{mount}");
    }
    // Nobody may put files beside the deployment's directories.
    assert_ne!(guest.run("touch /stray").0, 0);
}

/// The kernel was given what the boot entry says, nothing more and in this order; `added` follow the consoles.
pub fn kernel_arguments_are_the_entrys(guest: &mut Guest, disk: &BuiltDisk, kernel_version: &str, added: &str) {
    let deployment = &disk.report.deployment;
    let (stateroot, checksum) = (&deployment.stateroot, &deployment.boot_checksum);
    let expected = format!(
        "BOOT_IMAGE=/ostree/{stateroot}-{checksum}/vmlinuz-{kernel_version} root=UUID={root} rw boot=UUID={boot} \
         console=tty0 console=ttyS0{added} ostree=/ostree/boot.1/{stateroot}/{checksum}/0",
        root = disk.root_uuid(),
        boot = disk.boot_uuid(),
    );
    assert_eq!(guest.says("cat /proc/cmdline"), expected);
}

/// What `df` says of a mounted filesystem, in bytes and inodes.
#[derive(Debug)]
pub struct Room {
    pub total: u64,
    pub used: u64,
    pub available: u64,
    pub inodes: u64,
    pub inodes_used: u64,
}

impl Room {
    pub fn on(guest: &mut Guest, point: &str) -> Room {
        let said = guest.says(&format!("df -B1 --output=size,used,avail,itotal,iused {point} | tail -n 1"));
        let numbers: Vec<u64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let [total, used, available, inodes, inodes_used] = numbers[..] else { panic!("{said}") };
        println!("{point}: {total} bytes, {used} used, {available} available; {inodes} inodes, {inodes_used} used");
        Room { total, used, available, inodes, inodes_used }
    }

    /// Room for one full upgrade: 1.1 times what is used, beside the 3 % that libostree leaves free.
    pub fn holds_an_upgrade(&self) {
        assert!(self.available >= self.used + self.used / 10 + self.total * 3 / 100, "{self:?}");
        assert!(self.inodes - self.inodes_used >= 2 * self.inodes_used, "{self:?}");
    }
}

/// Bytes of the partition that `/sysroot` is on, as the kernel has it.
pub fn root_partition_bytes(guest: &mut Guest) -> u64 {
    let sectors = guest.says("cat /sys/class/block/$(basename $(findmnt -rn -o SOURCE /sysroot))/size");
    sectors.parse::<u64>().unwrap() * 512
}

/// Whether the unit that grows the root filesystem has done its work.
pub fn growth_unit_succeeded(guest: &mut Guest) {
    let result = guest.says("systemctl show -P Result -P ActiveState bootwright-growfs.service");
    assert_eq!(result.lines().collect::<Vec<_>>(), ["success", "active"]);
}

/// What was said when the root partition and its filesystem grew.
pub fn words_of_growth(guest: &mut Guest) -> String {
    guest.says("journalctl -b -u systemd-repart -u bootwright-growfs --no-pager -q -o cat")
}
