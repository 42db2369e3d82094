//! The finished disk, judged from outside: partition table, filesystems, formats, checksums and sizes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::support::disk::{self, Disks, partitions};
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::tar::file;
use crate::support::{mounted, program, shelf, sysroot};
use qemu_tests::oracle;
use qemu_tests::oracle::{agrees, tool};
use serde_json::Value;

const ROOT_FEATURES: &str = "has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file \
    dir_nlink extra_isize metadata_csum verity";
/// Of /boot, after `has_journal ` where it has one.
const BOOT_FEATURES: &str = "ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file \
    dir_nlink extra_isize metadata_csum";

/// The mini image on small partitions, built once.
fn mini() -> Disks {
    let scratch = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().write(&scratch.path().join("mini-image-of-the-build-host"));
    let made = shelf::get_for_program("disk-mini", &image.manifest_digest, |directory| {
        disk::build_into(&image.reference(), directory, &["--layout", &small_partitions(directory)]);
    });
    Disks::at(made)
}

fn both() -> [Disks; 2] {
    [mini(), disk::test_os()]
}

fn build_mini(out: &Path, args: &[&str]) -> program::Ended {
    let image = MiniImage::bootable().write(&out.join("image-layout"));
    let layout = small_partitions(out);
    program::end(program::build(&image.reference(), &out.join("out")).args(["--layout", &layout]).args(args))
}

fn qemu_img(args: &[&str]) -> String {
    agrees(&tool("qemu-img", "qemu-utils"), args)
}

fn qcow2_facts(qcow2: &Path, command: &str) -> Value {
    serde_json::from_str(&qemu_img(&[command, "--output=json", qcow2.to_str().unwrap()])).unwrap()
}

fn same_disk(raw: &Path, qcow2: &Path) {
    let (raw, qcow2) = (raw.to_str().unwrap(), qcow2.to_str().unwrap());
    qemu_img(&["check", qcow2]);
    qemu_img(&["compare", "-f", "raw", "-F", "qcow2", raw, qcow2]);
}

fn e2fsck(image: &Path) {
    let said = agrees(&tool("e2fsck", "e2fsprogs"), ["-f".as_ref(), "-n".as_ref(), image.as_os_str()]);
    assert!(!said.contains("Fix?") && !said.contains("? no"), "{said}");
}

fn superblock(image: &Path) -> impl Fn(&str) -> String + use<> {
    let said = agrees(&tool("dumpe2fs", "e2fsprogs"), ["-h".as_ref(), image.as_os_str()]);
    move |field| {
        let line = said.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no `{field}` in\n{said}")).trim().to_owned()
    }
}

#[test]
fn sgdisk_finds_no_fault_in_the_partition_table() {
    for disks in both() {
        let said = agrees(&tool("sgdisk", "gdisk"), ["--verify".as_ref(), disks.raw.as_os_str()]);
        assert!(said.contains("No problems found"), "{said}");
        let names: Vec<_> = partitions(&disks.raw).into_iter().map(|p| (p.name, p.code)).collect();
        let expected = [("bios", "EF02"), ("EFI-SYSTEM", "EF00"), ("boot", "EA00"), ("root", "8304")];
        assert_eq!(names, expected.map(|(name, code)| (name.to_owned(), code.to_owned())));
    }
}

#[test]
fn the_root_partition_asks_to_be_grown() {
    let said = agrees(&tool("sgdisk", "gdisk"), ["--info=4".as_ref(), disk::test_os().raw.as_os_str()]);
    assert!(said.contains("Attribute flags: 0800000000000000"), "{said}");
}

#[test]
fn e2fsck_finds_nothing_to_repair() {
    for disks in both() {
        e2fsck(&disks.cut("root"));
        e2fsck(&disks.cut("boot"));
    }
}

#[test]
fn root_has_verity_and_boot_has_not() {
    for disks in both() {
        assert_eq!(superblock(&disks.cut("root"))("Filesystem features"), ROOT_FEATURES);
        let boot = superblock(&disks.cut("boot"))("Filesystem features");
        assert_eq!(boot, format!("has_journal {BOOT_FEATURES}"));
        assert_eq!(superblock(&disks.cut("root"))("Reserved block count"), "0");
    }
}

#[test]
fn boot_has_no_journal_when_libostree_does_not_write_it_back_and_e2fsck_can_do_without() {
    let features = |disks: &Disks| superblock(&disks.cut("boot"))("Filesystem features");
    assert!(features(&disk::test_os()).starts_with("has_journal "), "libostree 2025.2");
    assert!(features(&mini()).starts_with("has_journal "), "no e2fsck in the image");
    let scratch = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().with([file("usr/sbin/e2fsck", "a program")]);
    let image = image.write(&scratch.path().join("image")).reference();
    let layout = small_partitions(scratch.path());
    let disks = disk::build_into(&image, &scratch.path().join("out"), &["--layout", &layout]);
    assert_eq!(features(&disks), BOOT_FEATURES);
    e2fsck(&disks.cut("boot"));
    let uuid = superblock(&disks.cut("boot"))("Filesystem UUID");
    let escape = ["--path", "--template=systemd-fsck@.service"].map(str::to_owned);
    let unit =
        agrees(&tool("systemd-escape", "systemd"), escape.into_iter().chain([format!("/dev/disk/by-uuid/{uuid}")]));
    let mounted = sysroot::of(&disks);
    let etc = mounted.deployment().join("etc/systemd/system");
    let text = fs::read_to_string(etc.join(format!("{}.d/50-repair.conf", unit.trim()))).unwrap();
    assert!(text.contains("\nExecStart=\nExecStart=/usr/sbin/e2fsck -y %f\n"), "{text}");
}

#[test]
fn labels_and_uuids_are_those_of_the_manifest() {
    let disks = disk::test_os();
    let manifest = disks.manifest();
    for (index, name) in [(2, "boot"), (3, "root")] {
        let planned = &manifest["disk"]["partitions"][index];
        let partition = disks.cut(name);
        let field = superblock(&partition);
        assert_eq!(field("Filesystem volume name"), name);
        assert_eq!(field("Filesystem UUID"), planned["content"]["uuid"].as_str().unwrap());
    }
}

#[test]
fn fsck_fat_finds_no_fault_and_mtools_list_shim_and_grub() {
    for disks in both() {
        let esp = disks.cut("EFI-SYSTEM");
        agrees(&tool("fsck.fat", "dosfstools"), ["-n".as_ref(), "-v".as_ref(), esp.as_os_str()]);
        let listing = agrees(&tool("mdir", "mtools"), ["-/", "-b", "-i", esp.to_str().unwrap(), "::"]);
        for file in ["EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/mmx64.efi", "EFI/debian/grub.cfg"] {
            assert!(
                listing.lines().any(|line| line.eq_ignore_ascii_case(&format!("::/{file}"))),
                "{file} is not in\n{listing}"
            );
        }
    }
}

#[test]
fn grub_accepts_both_of_its_configurations() {
    let disks = disk::test_os();
    let scratch = tempfile::tempdir().unwrap();
    let (stub, menu) = (scratch.path().join("stub.cfg"), scratch.path().join("menu.cfg"));
    let esp = disks.cut("EFI-SYSTEM");
    agrees(
        &tool("mcopy", "mtools"),
        ["-i".as_ref(), esp.as_os_str(), "::/EFI/debian/grub.cfg".as_ref(), stub.as_os_str()],
    );
    let dump = format!("dump /grub2/grub.cfg {}", menu.display());
    agrees(&tool("debugfs", "e2fsprogs"), ["-R".as_ref(), dump.as_ref(), disks.cut("boot").as_os_str()]);
    for config in [&stub, &menu] {
        assert!(config.metadata().unwrap().len() > 0);
        agrees(&tool("grub-script-check", "grub-common"), [config]);
    }
    let boot = superblock(&disks.cut("boot"))("Filesystem UUID");
    assert!(fs::read_to_string(stub).unwrap().contains(&boot));
}

#[test]
fn qemu_reads_the_same_disk_from_both_formats() {
    for disks in both() {
        same_disk(&disks.raw, &disks.qcow2);
    }
}

#[test]
fn sha256sum_confirms_every_output() {
    for disks in both() {
        let mut judge = Command::new(tool("sha256sum", "coreutils"));
        let output = judge.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&disks.directory).output().unwrap();
        let said = oracle::said(&output);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.lines().filter(|line| line.ends_with(": OK")).count(), 2, "{said}");
        for output in disks.manifest()["outputs"].as_array().unwrap() {
            let path = disks.directory.join(output["path"].as_str().unwrap());
            assert_eq!(path.metadata().unwrap().len(), output["bytes"].as_u64().unwrap());
        }
    }
}

#[test]
fn the_manifest_names_no_place_on_the_build_host() {
    for disks in both() {
        let text = fs::read_to_string(disks.directory.join("manifest.json")).unwrap();
        let image_place = qemu_tests::test_os().unwrap().oci.display().to_string();
        for place in [
            disks.directory.to_str().unwrap(),
            &image_place,
            "mini-image-of-the-build-host",
            env!("CARGO_MANIFEST_DIR"),
        ] {
            assert!(!text.contains(place), "{place} is in\n{text}");
        }
    }
}

#[test]
fn the_raw_disk_is_sparse() {
    let metadata = disk::test_os().raw.metadata().unwrap();
    assert!(
        metadata.blocks() * 512 < metadata.len() / 2,
        "{} of {} bytes are stored",
        metadata.blocks() * 512,
        metadata.len()
    );
}

#[test]
fn a_single_type_makes_a_single_disk() {
    let out = tempfile::tempdir().unwrap();
    let ended = build_mini(out.path(), &["--type", "raw"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(program::files_below(&out.path().join("out")), ["SHA256SUMS", "image/disk.raw", "manifest.json"]);
    assert!(!out.path().join("out/qcow2").exists());
}

#[test]
fn qcow2_clusters_are_compressed_as_asked() {
    for (method, kind, compressed) in [("zlib", "zlib", true), ("zstd", "zstd", true), ("none", "zlib", false)] {
        let out = tempfile::tempdir().unwrap();
        let ended =
            build_mini(out.path(), &["--type", "raw", "--type", "qcow2", "--no-checksums", "--compression", method]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let qcow2 = out.path().join("out/qcow2/disk.qcow2");
        same_disk(&out.path().join("out/image/disk.raw"), &qcow2);
        assert_eq!(qcow2_facts(&qcow2, "info")["format-specific"]["data"]["compression-type"], kind, "{method}");
        let clusters = qcow2_facts(&qcow2, "check")["compressed-clusters"].as_u64().unwrap_or(0);
        assert_eq!(clusters > 0, compressed, "{method}: {clusters} compressed clusters");
    }
}

#[test]
fn a_larger_disk_gives_the_rest_to_the_root() {
    let out = tempfile::tempdir().unwrap();
    let ended = build_mini(out.path(), &["--type", "raw", "--no-checksums", "--disk-size", "777M"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let raw = out.path().join("out/image/disk.raw");
    assert_eq!(raw.metadata().unwrap().len(), 777 << 20);
    let said = agrees(&tool("sgdisk", "gdisk"), ["--verify".as_ref(), raw.as_os_str()]);
    assert!(said.contains("No problems found"), "{said}");
    let root = disk::partition_named(&raw, "root");
    assert_eq!((root.at + root.bytes) >> 20, 776, "one MiB for the backup table, the rest is root");
    let cut = out.path().join("root");
    disk::cut_out(&raw, &root, &cut);
    e2fsck(&cut);
    let blocks: u64 = superblock(&cut)("Block count").parse().unwrap();
    assert_eq!(blocks * 4096, root.bytes);
}

#[test]
fn a_disk_too_small_is_refused_with_both_sizes_and_the_one_that_works() {
    let out = tempfile::tempdir().unwrap();
    let ended = build_mini(out.path(), &["--type", "raw", "--disk-size", "64M"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("needs a disk of") && ended.stderr.contains("64 MiB"), "{}", ended.stderr);
    assert!(!out.path().join("out").exists());
    let hint = ended.stderr.split("--disk-size ").last().unwrap();
    let size = hint.split('`').next().unwrap();
    let ended = build_mini(out.path(), &["--type", "raw", "--no-checksums", "--disk-size", size]);
    assert_eq!(ended.code, Some(0), "the hint said {size}: {}", ended.stderr);
}

#[test]
fn one_full_upgrade_fits_beside_the_system() {
    for disks in both() {
        let root = mounted::read_only(&disks.cut("root"));
        let space = nix::sys::statvfs::statvfs(root.path()).unwrap();
        let used = space.blocks() - space.blocks_free();
        let kept_by_ostree = space.blocks() * 3 / 100;
        assert!(
            space.blocks_available() >= used * 11 / 10 + kept_by_ostree,
            "{} blocks of {} are used, {} are left",
            used,
            space.blocks(),
            space.blocks_available()
        );
        // Ten inodes of ext4's own hold no file.
        let inodes = space.files() - space.files_free() - 10;
        assert!(space.files_free() >= inodes * 2, "{inodes} inodes are used, {} are left", space.files_free());
    }
}

#[test]
fn three_sets_of_kernels_fit_on_boot() {
    for disks in both() {
        let boot = mounted::read_only(&disks.cut("boot"));
        let space = nix::sys::statvfs::statvfs(boot.path()).unwrap();
        let files = program::files_below(&boot.join("ostree"));
        let kernel: u64 = files.iter().map(|file| boot.join("ostree").join(file).metadata().unwrap().len()).sum();
        let free = space.blocks_available() * space.fragment_size();
        assert!(files.len() == 2 && free >= 2 * kernel, "{free} bytes are left for kernels of {kernel}");
    }
}
