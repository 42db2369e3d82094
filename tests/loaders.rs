//! Which boot loader a build chooses, and what it leaves on the disk, by other tools' word.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::disk;
use crate::support::mini_image::{MiniImage, base, small_partitions};
use crate::support::program;
use crate::support::tar::{Entry, Kind, directory, file};
use qemu_tests::oracle::{agrees, tool};

const SYSTEMD_BOOT: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
/// What the unit that fills the ESP runs.
const TOOLS: [&str; 16] = [
    "cat",
    "cmp",
    "cp",
    "flock",
    "grep",
    "ln",
    "mkdir",
    "mount",
    "mountpoint",
    "mv",
    "readlink",
    "rm",
    "rmdir",
    "sh",
    "stat",
    "sync",
];

/// A package's file of the host.
fn host_file(path: &str, package: &str) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|_| panic!("{path} is missing: sudo apt-get install {package}"))
}

fn systemd_boot() -> Vec<Entry> {
    let tools = TOOLS.map(|tool| file(&format!("usr/bin/{tool}"), "#!/bin/sh\n").mode(0o755));
    let loader = host_file(SYSTEMD_BOOT, "systemd-boot-efi");
    let mut entries = vec![directory("usr/lib/systemd/boot"), directory("usr/lib/systemd/boot/efi")];
    entries.push(file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", loader));
    entries.extend(tools);
    entries
}

fn without_grub() -> MiniImage {
    MiniImage::bootable().without("usr/lib/grub").without("usr/lib/shim")
}

/// Debian's syslinux as a user would put it together.
fn syslinux_directory(place: &Path) -> PathBuf {
    let directory = place.join("syslinux");
    fs::create_dir_all(directory.join("modules/bios")).unwrap();
    fs::create_dir_all(directory.join("modules/efi64")).unwrap();
    fs::write(directory.join("extlinux"), host_file("/usr/bin/extlinux", "extlinux")).unwrap();
    for name in ["mbr.bin", "gptmbr.bin"] {
        let bytes = host_file(&format!("/usr/lib/syslinux/mbr/{name}"), "syslinux-common");
        fs::write(directory.join(name), bytes).unwrap();
    }
    for name in ["menu.c32", "libcom32.c32", "libutil.c32"] {
        for platform in ["bios", "efi64"] {
            let from = format!("/usr/lib/syslinux/modules/{platform}/{name}");
            let bytes = host_file(&from, "syslinux-common syslinux-efi");
            fs::write(directory.join("modules").join(platform).join(name), bytes).unwrap();
        }
    }
    directory
}

/// A layout of 17 MiB partitions for BIOS; `table` is `gpt` or `dos`.
fn small_bios(place: &Path, table: &str) -> String {
    let bios = if table == "gpt" { "[[Partition]]\nType = \"bios-boot\"\nLabel = \"bios\"\n" } else { "" };
    let text = format!(
        "Description = \"small\"\nPartitionTable = \"{table}\"\n{bios}\
         [[Partition]]\nType = \"xbootldr\"\nLabel = \"boot\"\nFormat = \"ext4\"\nMountPoint = \"/boot\"\n\
         SizeMinBytes = \"16M\"\n\
         [[Partition]]\nType = \"root\"\nLabel = \"root\"\nMountPoint = \"/\"\nGrowFileSystem = true\n"
    );
    let path = place.join(format!("bios-{table}.toml"));
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// `loader`, `firmware` and `reason` of a plan, or the error.
fn plan(image: MiniImage, args: &[&str]) -> Result<(String, String, String), String> {
    let place = tempfile::tempdir().unwrap();
    let image = image.write(&place.path().join("image"));
    let mut command = program::build(&image.reference(), &place.path().join("out"));
    let ended = program::end(command.args(["--dry-run", "--format", "json"]).args(args));
    if ended.code != Some(0) {
        return Err(ended.stderr);
    }
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let word = |key: &str| plan["bootloader"][key].as_str().unwrap().to_owned();
    Ok((word("loader"), word("firmware"), word("reason")))
}

#[test]
fn without_a_wish_the_image_and_the_layout_decide_and_the_reason_is_told() {
    let place = tempfile::tempdir().unwrap();
    let (gpt, dos) = (small_bios(place.path(), "gpt"), small_bios(place.path(), "dos"));
    let syslinux = syslinux_directory(place.path()).display().to_string();
    let both = MiniImage::bootable().with(systemd_boot());
    assert_eq!(plan(both, &[]).unwrap().0, "grub", "GRUB needs nothing of the installed system");
    let (loader, firmware, reason) = plan(without_grub().with(systemd_boot()), &[]).unwrap();
    assert_eq!((loader.as_str(), firmware.as_str()), ("systemd-boot", "UEFI only"));
    assert!(reason.contains("copies boot entries and kernels"), "{reason}");
    for layout in [&gpt, &dos] {
        let args = ["--layout", layout, "--bootloader-dir", &syslinux];
        let (loader, firmware, reason) = plan(MiniImage::bootable(), &args).unwrap();
        assert_eq!((loader.as_str(), firmware.as_str()), ("syslinux", "BIOS only"));
        assert!(reason.contains("syslinux 6.") && reason.contains(&syslinux), "{reason}");
    }
}

/// A file of the mini system.
fn own(path: &str) -> Vec<u8> {
    let entry = base().into_iter().find(|entry| entry.path == path).unwrap();
    match entry.kind {
        Kind::File(bytes) => bytes,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn programs_are_found_where_opensuse_and_older_fedora_have_them() {
    for (shim, grub) in [
        ("usr/share/efi/x86_64/shim.efi", "usr/share/efi/x86_64/grub.efi"),
        ("usr/share/efi/x86_64/shim.efi", "usr/share/grub2/x86_64-efi/grub.efi"),
        ("usr/lib/ostree-boot/efi/EFI/BOOT/BOOTX64.EFI", "usr/lib/ostree-boot/efi/EFI/debian/grubx64.efi"),
    ] {
        let mut entries: Vec<Entry> = Vec::new();
        for path in [shim, grub] {
            let above = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]);
            entries.extend(above.filter(|path| !["usr/lib", "usr/share"].contains(path)).map(directory));
        }
        entries.push(file(shim, own("usr/lib/shim/shimx64.efi.signed")));
        entries.push(file(grub, own("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")));
        let (loader, firmware, reason) = plan(without_grub().with(entries), &[]).unwrap();
        assert_eq!((loader.as_str(), firmware.as_str()), ("grub", "UEFI only"));
        assert!(reason.contains("shim and GRUB"), "{reason}");
    }
}

#[test]
fn loaders_that_cannot_be_installed_are_refused_with_what_is_missing() {
    let place = tempfile::tempdir().unwrap();
    let (gpt, empty) = (small_bios(place.path(), "gpt"), place.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    for (image, args, facts) in [
        (MiniImage::bootable(), &["--bootloader", "systemd-boot"][..], &["no systemd-boot for x86_64", "hint: "][..]),
        (
            without_grub().with(systemd_boot()).with([file("usr/bin/.wh.flock", "")]),
            &["--bootloader", "systemd-boot"],
            &["lacks flock"],
        ),
        (MiniImage::bootable(), &["--bootloader", "syslinux"], &["lacks extlinux", "--bootloader-dir"]),
        (
            MiniImage::bootable(),
            &["--bootloader", "syslinux", "--bootloader-dir", empty.to_str().unwrap()],
            &["neither the image nor", "extlinux, gptmbr.bin"],
        ),
        (MiniImage::bootable(), &["--bootloader-dir", "/no/such/directory"], &["/no/such/directory"]),
        (MiniImage::bootable(), &["--layout", &gpt], &["no firmware would find", "no GRUB for BIOS", "hint: "]),
        (without_grub(), &[], &["no GRUB for UEFI", "hint: "]),
    ] {
        let said = plan(image, args).unwrap_err();
        for fact in facts {
            assert!(said.contains(fact), "{args:?}: `{fact}` is not in\n{said}");
        }
    }
}

#[test]
fn an_image_that_boots_by_a_unified_kernel_image_alone_is_told_so() {
    let modules = "usr/lib/modules/6.1.0-mini";
    let sealed = MiniImage::bootable().without(modules).with([
        directory(modules),
        directory("boot/EFI"),
        directory("boot/EFI/Linux"),
        file("boot/EFI/Linux/6.1.0.efi", "MZ"),
    ]);
    let said = plan(sealed, &[]).unwrap_err();
    assert!(said.contains("unified kernel image alone (`boot/EFI/Linux/6.1.0.efi`)"), "{said}");
}

#[test]
fn the_esp_of_systemd_boot_has_the_entry_that_the_unit_would_write_and_the_kernel_that_it_names() {
    let place = tempfile::tempdir().unwrap();
    let image = without_grub().with(systemd_boot()).write(&place.path().join("image"));
    let layout = small_partitions(place.path());
    let disks = disk::build_into(&image.reference(), place.path(), &["--layout", &layout, "--no-checksums"]);
    let esp = disks.cut("EFI-SYSTEM");
    agrees(&tool("fsck.fat", "dosfstools"), ["-n".as_ref(), esp.as_os_str()]);
    let files = place.path().join("esp");
    fs::create_dir(&files).unwrap();
    let from = ["-snQ", "-i", esp.to_str().unwrap(), "::/*", files.to_str().unwrap()];
    agrees(&tool("mcopy", "mtools"), from);
    let loader = host_file(SYSTEMD_BOOT, "systemd-boot-efi");
    assert_eq!(fs::read(files.join("EFI/BOOT/BOOTX64.EFI")).unwrap(), loader);
    let entry = fs::read_to_string(files.join("loader/entries/ostree-1-1.conf")).unwrap();
    let value = |key: &str| entry.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    let kernel = fs::read(files.join(value("linux ").trim_start_matches('/'))).unwrap();
    assert!(kernel.starts_with(b"not a kernel"));
    assert!(files.join(value("initrd ").trim_start_matches('/')).is_file());

    // The link that the entry names leads to the deployment, and the unit is there and wanted.
    let root = disks.cut("root");
    let debugfs = |request: &str| agrees(&tool("debugfs", "e2fsprogs"), ["-R", request, root.to_str().unwrap()]);
    let link = value("options ").split("ostree=").nth(1).unwrap().to_owned();
    let manifest = disks.manifest();
    let commit = manifest["deployment"]["commit"].as_str().unwrap();
    assert_eq!(link, format!("/ostree/boot-1/default/{commit}/0"));
    // Too long for its inode, so its target is read as content.
    let target = debugfs(&format!("cat {link}"));
    assert!(target.starts_with(&format!("../../../deploy/default/deploy/{commit}.0")), "{target}");
    let etc = format!("/ostree/deploy/default/deploy/{commit}.0/etc");
    let script = debugfs(&format!("cat {etc}/bootwright/esp-mirror"));
    let source = include_str!("../bootloaders/systemd-boot/esp-mirror");
    assert!(script.contains(source), "{script}");
    let wants = debugfs(&format!("ls -p {etc}/systemd/system/multi-user.target.wants"));
    assert!(wants.contains("/bootwright-esp-mirror.service/") && wants.contains("/bootwright-esp-mirror-now.path/"));
}

#[test]
fn a_driver_of_the_user_lets_systemd_boot_read_boot_and_nothing_is_copied() {
    let place = tempfile::tempdir().unwrap();
    let drivers = place.path().join("drivers");
    fs::create_dir(&drivers).unwrap();
    // Any program for the architecture stands in for the driver; one for another is passed over.
    fs::write(drivers.join("ext4_x64.efi"), host_file(SYSTEMD_BOOT, "systemd-boot-efi")).unwrap();
    fs::write(drivers.join("ext4_aa64.efi"), "MZ").unwrap();
    let args = ["--bootloader-dir", drivers.to_str().unwrap()];
    let (loader, _, reason) = plan(without_grub().with(systemd_boot()), &args).unwrap();
    assert!(loader == "systemd-boot" && reason.contains("reads /boot with the driver"), "{reason}");
}

#[test]
fn syslinux_lies_where_its_own_numbers_say_and_the_filesystem_stays_clean() {
    for table in ["gpt", "dos"] {
        let place = tempfile::tempdir().unwrap();
        let image = MiniImage::bootable().write(&place.path().join("image"));
        let (layout, files) = (small_bios(place.path(), table), syslinux_directory(place.path()));
        let output = place.path().join("out");
        let mut command = program::build(&image.reference(), &output);
        command.args(["--type", "raw", "--layout", &layout, "--bootloader", "syslinux", "--no-checksums"]);
        program::succeed(command.arg("--bootloader-dir").arg(&files));
        let raw = fs::read(output.join("image/disk.raw")).unwrap();
        let said = agrees(&tool("sfdisk", "fdisk"), ["--json", output.join("image/disk.raw").to_str().unwrap()]);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let partitions = said["partitiontable"]["partitions"].as_array().unwrap();
        let boot = &partitions[partitions.len() - 2];
        let (start, sectors) = (boot["start"].as_u64().unwrap(), boot["size"].as_u64().unwrap());
        match table {
            "gpt" => assert_eq!(boot["attrs"], "LegacyBIOSBootable"),
            _ => assert_eq!(boot["bootable"], true),
        }
        let code = if table == "gpt" { "gptmbr.bin" } else { "mbr.bin" };
        let code = fs::read(files.join(code)).unwrap();
        assert_eq!(raw[..code.len()], code);

        let bytes = |sector: u64| usize::try_from(sector * 512).unwrap();
        let partition = &raw[bytes(start)..bytes(start + sectors)];
        let cut = place.path().join("boot");
        fs::write(&cut, partition).unwrap();
        agrees(&tool("e2fsck", "e2fsprogs"), ["-fn", cut.to_str().unwrap()]);
        // The boot sector says where ldlinux.sys begins; debugfs says where the file is.
        let request = "blocks /syslinux/ldlinux.sys";
        let blocks = agrees(&tool("debugfs", "e2fsprogs"), ["-R", request, cut.to_str().unwrap()]);
        let line = blocks.lines().find(|line| line.starts_with(|first: char| first.is_ascii_digit())).unwrap();
        let first: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
        let word = |at: usize| u64::from(u32::from_le_bytes(partition[at..at + 4].try_into().unwrap()));
        // At 282 in syslinux 6.04, and the partition's place at 28.
        assert_eq!((word(282), word(28)), (first * 8, start));
        let config = agrees(&tool("debugfs", "e2fsprogs"), ["-R", "cat /loader/syslinux.cfg", cut.to_str().unwrap()]);
        assert!(config.contains("DEFAULT Mini 1 (ostree:0)"), "{config}");
        let mut inspect = program::bootwright();
        let text = program::succeed(inspect.arg("inspect").arg(output.join("image/disk.raw"))).stdout;
        assert!(text.contains("Firmware: BIOS only"), "{text}");
    }
}
