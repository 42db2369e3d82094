//! `bootwright inspect` against what sgdisk, blkid, mtools, qemu-img and ostree say about the same disk.

use std::fs;
use std::path::Path;

use crate::judges::disk::{BOOT_UUID, Disk, MIB, ROOT_UUID, bootable, ostree, sgdisk};
use bootwright::inspect::{EfiRole, Error, Format, Inspection, OriginKind, TableKind, inspect, start, text};
use bootwright::os::Architecture;
use proptest::prelude::*;
use qemu_tests::oracle;
use qemu_tests::oracle::{agrees, run, tool};

fn read(disk: &Disk) -> Inspection {
    inspect(&disk.path).unwrap()
}

/// /boot anew: with another UUID, and without checksums that would give every change away.
fn rebuilt_boot(disk: &Disk, change: impl Fn(&Path)) {
    let boot = disk.dir.path().join("boot.split");
    change(&boot);
    let image = disk.dir.path().join("boot.ext4");
    fs::remove_file(&image).unwrap();
    agrees(
        &tool("mke2fs", "e2fsprogs"),
        ["-q", "-t", "ext4", "-O", "^metadata_csum", "-d", boot.to_str().unwrap(), image.to_str().unwrap(), "32M"],
    );
    disk.put(42 * MIB, &fs::read(image).unwrap());
}

#[test]
fn a_sound_disk_is_read_as_sgdisk_blkid_and_ostree_read_it() {
    let disk = bootable();
    let found = read(&disk);
    assert_eq!(found.problems, [""; 0]);
    partitions_agree_with_sgdisk(&disk, &found);
    filesystems_agree_with_blkid(&disk, &found);
    deployment_agrees_with_ostree(&disk, &found);
    assert_eq!((found.firmware.as_str(), found.secure_boot), ("UEFI only", true));
    let roles: Vec<_> = found.efi_files.iter().map(|file| (file.path.as_str(), file.role, file.signed)).collect();
    let shim = ("EFI/BOOT/BOOTX64.EFI", Some(EfiRole::Shim), true);
    assert_eq!(roles, [shim, ("EFI/BOOT/grubx64.efi", Some(EfiRole::Grub), true)]);
    let entry = &found.boot_entries[0];
    assert!(entry.default && entry.missing.is_empty() && entry.title.starts_with("Test OS 1 1.2 (ostree"), "{entry:?}");
    assert_eq!(entry.deployment, Some(found.deployments[0].name()));
    let start = start(&disk.path).unwrap();
    assert!(start.secure_boot && start.uefi && !start.bios);
    assert_eq!(start.architecture, Some(Architecture::X86_64));
    for width in [80, 120] {
        let text = text(&found, width);
        assert!(text.lines().all(|line| line.chars().count() <= width), "wider than {width}:\n{text}");
        assert!(text.ends_with("\nNothing looks wrong.\n"), "{text}");
    }
}

fn partitions_agree_with_sgdisk(disk: &Disk, found: &Inspection) {
    assert_eq!((found.format, found.table.kind, found.partitions.len()), (Format::Raw, TableKind::Gpt, 4));
    let path = disk.path.to_str().unwrap();
    let table = sgdisk(&["-p", path]).to_lowercase();
    assert!(table.contains(found.table.id.as_deref().unwrap()), "{table}");
    for partition in &found.partitions {
        let said = sgdisk(&["-i", &partition.number.to_string(), path]);
        let said_lower = said.to_lowercase();
        assert!(said_lower.contains(&format!("guid code: {}", partition.type_id)), "{said}");
        assert!(said_lower.contains(&format!("unique guid: {}", partition.uuid.as_deref().unwrap())), "{said}");
        assert!(said.contains(&format!("First sector: {} ", partition.start / 512)), "{said}");
        assert!(said.contains(&format!("Partition size: {} sectors", partition.bytes / 512)), "{said}");
        assert!(said.contains(&format!("Partition name: '{}'", partition.label.as_deref().unwrap())), "{said}");
        let flags = if partition.number == 4 { "0800000000000000" } else { "0000000000000000" };
        assert!(said.contains(&format!("Attribute flags: {flags}")), "{said}");
    }
    assert_eq!(found.partitions[3].attributes, ["grow-file-system"]);
}

fn filesystems_agree_with_blkid(disk: &Disk, found: &Inspection) {
    for partition in &found.partitions {
        let offset = format!("--offset={}", partition.start);
        let size = format!("--size={}", partition.bytes);
        let said = oracle::said(&run(
            &tool("blkid", "util-linux"),
            ["-p", "-o", "export", &offset, &size, disk.path.to_str().unwrap()],
        ));
        let value = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
        let filesystem = partition.filesystem.as_ref();
        assert_eq!(filesystem.map(|found| found.kind.to_owned()), value("TYPE="), "{said}");
        assert_eq!(filesystem.and_then(|found| found.label.clone()), value("LABEL="), "{said}");
        assert_eq!(filesystem.and_then(|found| found.uuid.clone()), value("UUID="), "{said}");
    }
    let (boot, root) = (&found.partitions[2].filesystem, &found.partitions[3].filesystem);
    assert_eq!(boot.as_ref().unwrap().uuid.as_deref(), Some(BOOT_UUID));
    assert_eq!(root.as_ref().unwrap().uuid.as_deref(), Some(ROOT_UUID));
    let dumpe2fs =
        agrees(&tool("dumpe2fs", "e2fsprogs"), ["-h".as_ref(), disk.dir.path().join("root.ext4").as_os_str()]);
    let blocks = root.as_ref().unwrap().free.unwrap() / 1024;
    assert!(
        [1, 4].iter().any(|size| dumpe2fs.contains(&format!("Free blocks:              {}\n", blocks / size))),
        "{dumpe2fs}"
    );
}

fn deployment_agrees_with_ostree(disk: &Disk, found: &Inspection) {
    let sysroot = disk.sysroot();
    let repo = format!("--repo={}/ostree/repo", sysroot.display());
    let [deployment] = &found.deployments[..] else { panic!("{:?}", found.deployments) };
    assert_eq!(deployment.commit, ostree(&["rev-parse", &repo, "test/os"]).trim());
    let refs = ostree(&["refs", &repo]);
    let mut refs: Vec<_> = refs.lines().collect();
    refs.sort_unstable();
    assert_eq!(found.refs.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), refs);
    let origin = deployment.origin.as_ref().unwrap();
    assert_eq!((origin.kind, origin.reference.as_deref()), (OriginKind::Refspec, Some("test/os")));
    assert_eq!((deployment.os.as_deref(), deployment.version.as_deref()), (Some("Test OS 1"), Some("1.2")));
    assert_eq!(deployment.timestamp.as_deref(), Some("2025-10-09T08:53:20Z"));
    assert_eq!(deployment.kernel.as_deref(), Some("6.1.0-test"));
    let bootcsum = deployment.bootcsum.as_deref().unwrap();
    assert!(disk.dir.path().join(format!("boot.split/ostree/default-{bootcsum}/vmlinuz-6.1.0-test")).exists());
}

#[test]
fn qcow2_shows_the_same_as_the_raw_disk() {
    let disk = bootable();
    let qcow2 = disk.dir.path().join("disk.qcow2");
    let (from, to) = (disk.path.to_str().unwrap(), qcow2.to_str().unwrap());
    agrees(&tool("qemu-img", "qemu-utils"), ["convert", "-c", "-O", "qcow2", from, to]);
    let mut converted = inspect(&qcow2).unwrap();
    let raw = read(&disk);
    assert_eq!(converted.format, Format::Qcow2);
    (converted.format, converted.allocated) = (raw.format, raw.allocated);
    assert_eq!(serde_json::to_string(&converted).unwrap(), serde_json::to_string(&raw).unwrap());
    assert!(start(&qcow2).unwrap().secure_boot);
}

#[test]
fn a_kernel_that_is_gone_is_a_problem() {
    let disk = bootable();
    rebuilt_boot(&disk, |boot| fs::remove_dir_all(boot.join("ostree")).unwrap());
    let found = read(&disk);
    assert_eq!(found.boot_entries[0].missing.len(), 2);
    assert!(
        found.problems.iter().any(|problem| problem.contains("/vmlinuz-6.1.0-test`, which is not on partition 3")),
        "{:?}",
        found.problems
    );
    assert!(
        found.problems.iter().any(|problem| problem.contains(&format!("boot=UUID={BOOT_UUID}, and no filesystem"))),
        "{:?}",
        found.problems
    );
}

#[test]
fn an_ostree_link_that_dangles_is_a_problem() {
    let disk = bootable();
    rebuilt_boot(&disk, |boot| {
        let entries = boot.join("loader/entries");
        let path = fs::read_dir(&entries).unwrap().next().unwrap().unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace("ostree=/ostree/boot.1/", "ostree=/ostree/boot.0/");
        fs::write(path, text).unwrap();
    });
    let problems = read(&disk).problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("ostree=/ostree/boot.0/") && problem.ends_with("leads to no deployment")),
        "{problems:?}"
    );
    assert!(
        problems.iter().any(|problem| problem.starts_with("no boot entry leads to the deployment default/")),
        "{problems:?}"
    );
}

#[test]
fn a_grown_image_has_its_backup_gpt_in_the_wrong_place() {
    let disk = bootable();
    fs::OpenOptions::new().write(true).open(&disk.path).unwrap().set_len(300 * MIB).unwrap();
    let problems = read(&disk).problems;
    assert_eq!(
        problems,
        ["the backup GPT is expected in sector 409599, which is not the disk's last, 614399: the disk was resized"]
    );
}

#[test]
fn a_broken_first_gpt_is_read_from_the_backup() {
    let disk = bootable();
    disk.put(512 + 56, &[0; 16]);
    let found = read(&disk);
    assert_eq!(found.partitions.len(), 4);
    assert!(found.problems[0].starts_with("the GPT at the start of the disk is broken"), "{:?}", found.problems);
}

#[test]
fn a_truncated_image_still_shows_what_is_there() {
    let disk = bootable();
    fs::OpenOptions::new().write(true).open(&disk.path).unwrap().set_len(100 * MIB).unwrap();
    let found = read(&disk);
    assert_eq!((found.partitions.len(), found.efi_files.len()), (4, 2));
    assert!(found.problems.iter().any(|problem| problem.ends_with("the image is truncated")), "{:?}", found.problems);
}

#[test]
fn bios_needs_code_in_the_first_sector_and_in_its_partition() {
    let disk = bootable();
    disk.put(MIB, b"core");
    assert!(read(&disk).problems[0].starts_with("partition 1 holds a boot loader for BIOS"));
    disk.put(0, &[0xeb, 0x63]);
    let found = read(&disk);
    assert_eq!((found.firmware.as_str(), found.problems.len()), ("BIOS and UEFI", 0));
}

#[test]
fn a_dos_label_and_a_bare_filesystem_are_shown() {
    let disk = bootable();
    let boot = disk.dir.path().join("boot.ext4");
    let found = inspect(&boot).unwrap();
    assert_eq!((found.table.kind, found.partitions[0].number, found.boot_entries.len()), (TableKind::None, 0, 1));
    let path = disk.dir.path().join("dos.raw");
    fs::File::create(&path).unwrap().set_len(8 * MIB).unwrap();
    let script = disk.dir.path().join("script");
    fs::write(
        &script,
        "label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=4096, type=83, bootable\nstart=6144, type=ef\n",
    )
    .unwrap();
    let sfdisk = format!("{} -q {} < {}", tool("sfdisk", "fdisk").display(), path.display(), script.display());
    agrees(&tool("sh", "dash"), ["-c", &sfdisk]);
    let found = inspect(&path).unwrap();
    assert_eq!((found.table.kind, found.table.id.as_deref()), (TableKind::Dos, Some("0x1234abcd")));
    let partitions: Vec<_> =
        found.partitions.iter().map(|part| (part.start, part.bytes, part.type_name.as_str())).collect();
    assert_eq!(partitions, [(MIB, 2 * MIB, "Linux filesystem"), (3 * MIB, 5 * MIB, "EFI system")]);
}

#[test]
fn what_is_no_disk_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    fs::write(&path, "hello\n".repeat(1000)).unwrap();
    assert!(matches!(inspect(&path), Err(Error::NotADisk { size: 6000, .. })));
    fs::write(&path, b"QFI\xfb").unwrap();
    assert!(matches!(inspect(&path), Err(Error::Qcow2 { .. })));
    fs::write(&path, b"").unwrap();
    assert!(matches!(inspect(&path), Err(Error::NotADisk { size: 0, .. })));
    assert!(matches!(inspect(dir.path()), Err(Error::Open { .. })));
}

#[test]
fn a_gpt_with_entries_of_another_size_is_refused_and_not_a_panic() {
    let disk = bootable();
    disk.put(512 + 84, &64_u32.to_le_bytes());
    let problems = read(&disk).problems;
    assert_eq!(problems, ["the GPT cannot be read: its header at byte 512 speaks of 128 entries of 64 bytes"]);
}

#[test]
fn changed_bytes_never_panic() {
    let disk = bootable();
    rebuilt_boot(&disk, |_| {});
    let original = fs::read(&disk.path).unwrap();
    // The table and its entries, then the first blocks of each filesystem.
    let starts = [0_u64, 512, 1024, 2 * MIB, 42 * MIB + 1024, 42 * MIB + 4096, 74 * MIB + 1024, 74 * MIB + 4096];
    let change = (0..starts.len(), 0_u64..512, any::<u8>());
    let changes = proptest::collection::vec(change, 1..6);
    proptest!(ProptestConfig::with_cases(48), |(changes in changes)| {
        for (place, offset, byte) in &changes {
            disk.put(starts[*place] + offset, &[*byte]);
        }
        if let Ok(found) = inspect(&disk.path) {
            text(&found, 80);
        }
        for (place, offset, _) in &changes {
            let at = starts[*place] + offset;
            disk.put(at, &original[usize::try_from(at).unwrap()..][..1]);
        }
    });
}
