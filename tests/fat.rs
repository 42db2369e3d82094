//! Volumes written by the `fat` room, judged by dosfstools, mtools, util-linux, file and the fatfs crate.

use std::ffi::OsStr;
use std::io::Read;

use crate::judges::fat::*;
use bootwright::fat::{Error, File, image};
use qemu_tests::oracle;

const MIB: u64 = 1 << 20;

fn judge(files: &[File]) {
    for size in [64 * MIB, 128 * MIB, 512 * MIB] {
        let volume = Volume::new(&options(size), files);
        fsck(&volume);
        mcopy_gives_back(&volume, files);
    }
}

#[test]
fn fsck_and_mtools_agree_with_an_efi_tree() {
    judge(&efi_tree());
}

#[test]
fn fsck_and_mtools_agree_with_300_files_in_one_directory() {
    judge(&three_hundred_in_one_directory());
}

#[test]
fn fsck_and_mtools_agree_with_long_and_odd_names() {
    judge(&long_names());
}

#[test]
fn fsck_and_mtools_agree_with_directories_nested_eight_deep() {
    judge(&nested_eight_deep());
}

#[test]
fn fsck_agrees_with_an_empty_volume_and_one_without_label() {
    let mut options = options(64 * MIB);
    fsck(&Volume::new(&options, &[]));
    options.label.clear();
    fsck(&Volume::new(&options, &efi_tree()));
}

#[test]
fn fsck_agrees_at_the_smallest_size_and_on_both_sides_of_a_cluster_size() {
    let Err(Error::TooSmallForFat32 { least, .. }) = image(&options(MIB), &[]) else {
        panic!("1 MiB is no FAT32");
    };
    for size in [least, 260 * MIB, 260 * MIB + 512, 300 * MIB + 1536, 9 << 30] {
        fsck(&Volume::new(&options(size), &efi_tree()));
    }
}

#[test]
fn files_fill_the_volume_to_its_last_cluster_and_one_byte_more_is_refused() {
    let Err(Error::TooSmallForFat32 { least, .. }) = image(&options(0), &[]) else {
        panic!("0 bytes are no FAT32");
    };
    let Err(Error::FilesDoNotFit { have, cluster, .. }) = image(&options(least), &[file("A", 40 << 20)]) else {
        panic!("40 MiB fit {least} bytes");
    };
    let all = usize::try_from(have - u64::from(cluster)).unwrap(); // all but the root directory
    let said = fsck(&Volume::new(&options(least), &[file("A", all)]));
    // fsck.fat counts the label as a file.
    assert!(said.contains("2 files, 65541/65541 clusters"), "{said}");
    assert!(matches!(image(&options(least), &[file("A", all + 1)]), Err(Error::FilesDoNotFit { .. })));
}

#[test]
fn blkid_and_file_show_label_serial_and_type() {
    let volume = Volume::new(&options(512 * MIB), &efi_tree());
    let path = volume.path.as_os_str();
    let probe = ["-p", "-o", "export"].map(OsStr::new).into_iter().chain([path]);
    let blkid = oracle::agrees(&oracle::tool("blkid", "util-linux"), probe);
    for word in ["LABEL=EFI-SYSTEM", "LABEL_FATBOOT=EFI-SYSTEM", "UUID=CAFE-1234", "VERSION=FAT32", "TYPE=vfat"] {
        assert!(blkid.lines().any(|line| line == word), "{word}: {blkid}");
    }
    let file = oracle::agrees(&oracle::tool("file", "file"), [path]);
    for word in ["serial number 0xcafe1234", "label: \"EFI-SYSTEM \"", "FAT (32 bit)", "hidden sectors 2048"] {
        assert!(file.contains(word), "{word}: {file}");
    }
}

#[test]
fn mtools_find_sane_geometry_the_label_and_the_given_time() {
    let volume = Volume::new(&options(64 * MIB), &efi_tree());
    let info = mtool("minfo", &volume, &[OsStr::new("::")]);
    for word in [
        "media descriptor byte: 0xf8",
        "hidden sectors: 2048",
        "reserved (boot) sectors: 32",
        "fats: 2",
        "backup boot sector=6",
    ] {
        assert!(info.contains(word), "{word}: {info}");
    }
    assert!(!info.contains("not a multiple"), "{info}");
    let listing = mtool("mdir", &volume, &[OsStr::new("::EFI/debian")]);
    assert!(listing.contains("Volume in drive : is EFI-SYSTEM"), "{listing}");
    assert!(listing.contains("2024-02-29  12:34"), "{listing}");
}

#[test]
fn the_backup_boot_sector_and_the_second_fat_equal_the_first() {
    let volume = Volume::new(&options(64 * MIB), &efi_tree());
    let bytes = std::fs::read(&volume.path).unwrap();
    assert_eq!(bytes[..1024], bytes[6 * 512..8 * 512]);
    let fat_bytes = 512 * usize::from(u16::from_le_bytes([bytes[36], bytes[37]]));
    let (first, second) = bytes[32 * 512..][..2 * fat_bytes].split_at(fat_bytes);
    assert!(first == second);
}

#[test]
fn free_count_and_next_free_are_what_the_fat_says() {
    let volume = Volume::new(&options(64 * MIB), &efi_tree());
    let bytes = std::fs::read(&volume.path).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (free, next) = (word(512 + 488), word(512 + 492));
    let fat = |cluster: u32| word(32 * 512 + 4 * cluster as usize) & 0x0fff_ffff;
    let end = 2 + (131_072 - 32 - 2 * word(36)); // one sector per cluster
    assert_eq!((2..end).filter(|cluster| fat(*cluster) == 0).count(), free as usize);
    assert_eq!((2..end).find(|cluster| fat(*cluster) == 0), Some(next));
}

#[test]
fn fatfs_reads_every_file_back() {
    // mtools 4.0 cannot read names beyond the basic plane, fatfs can.
    let beyond_the_basic_plane = vec![file("🚀.efi", 5)];
    let files: Vec<File> = [efi_tree(), long_names(), nested_eight_deep(), beyond_the_basic_plane].concat();
    let volume = Volume::new(&options(128 * MIB), &files);
    let disk = std::fs::OpenOptions::new().read(true).write(true).open(&volume.path).unwrap();
    let system = fatfs::FileSystem::new(disk, fatfs::FsOptions::new()).unwrap();
    assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("EFI-SYSTEM"));
    for file in &files {
        let mut bytes = Vec::new();
        let mut found = system.root_dir().open_file(&file.path).unwrap();
        found.read_to_end(&mut bytes).unwrap();
        assert!(bytes == *file.bytes, "{}", file.path);
    }
}

#[test]
fn neither_the_order_of_the_files_nor_the_time_zone_changes_a_byte() {
    let files = three_hundred_in_one_directory();
    let mut reversed = files.clone();
    reversed.reverse();
    let bytes = image(&options(64 * MIB), &reversed).unwrap();
    assert_eq!(image(&options(64 * MIB), &files).unwrap(), bytes);

    // The test runs itself in another zone and compares what that process wrote.
    const TARGET: &str = "BOOTWRIGHT_TEST_FAT_TARGET";
    let flat: Vec<u8> = bytes.into_iter().flat_map(|extent| extent.bytes).collect();
    if let Some(target) = std::env::var_os(TARGET) {
        return std::fs::write(target, flat).unwrap();
    }
    let target = tempfile::NamedTempFile::new().unwrap();
    let this = "fat::neither_the_order_of_the_files_nor_the_time_zone_changes_a_byte";
    let mut elsewhere = std::process::Command::new(std::env::current_exe().unwrap());
    elsewhere.args(["--exact", this]).env("TZ", "Pacific/Kiritimati").env(TARGET, target.path());
    assert!(elsewhere.output().unwrap().status.success());
    assert!(std::fs::read(target.path()).unwrap() == flat);
}

#[test]
fn extents_increase_without_touching_and_hold_little_more_than_the_files() {
    let extents = image(&options(512 * MIB), &[file("A", 10 << 20), file("ZERO", 0)]).unwrap();
    let held: usize = extents.iter().map(|extent| extent.bytes.len()).sum();
    assert!(held < (10 << 20) + 64 * 1024, "{held}");
    for pair in extents.windows(2) {
        assert!(pair[0].at + pair[0].bytes.len() as u64 <= pair[1].at);
    }
    assert!(extents.iter().all(|extent| extent.at % 4096 == 0 && extent.bytes.len() <= 1 << 20));
}

#[test]
fn what_fat_cannot_hold_is_refused_with_its_numbers() {
    let said = |size, files: &[File]| image(&options(size), files).unwrap_err().to_string();
    assert_eq!(said(64 * MIB + 1, &[]), "a FAT volume consists of 512-byte sectors, 67108865 bytes are not a multiple");
    assert_eq!(said(MIB, &[]), "1048576 bytes are too small for FAT32, which needs at least 34098688 bytes");
    assert_eq!(said(3 << 40, &[]), "3298534883328 bytes are too large for FAT32, which ends at 2199023255040 bytes");
    assert_eq!(said(64 * MIB, &[file("a", 1), file("A", 1)]), "`a` and `A` are the same name on FAT");
    let many: Vec<File> = (0..33_000).map(|n| file(format!("d/long name {n}"), 0)).collect();
    assert_eq!(said(512 * MIB, &many), "the directory of `d` needs 98002 entries, FAT allows 65536");
}
