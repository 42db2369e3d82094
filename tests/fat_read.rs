//! Reading by the `fat` room: volumes made by others, and volumes damaged at random.

use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::sync::LazyLock;

use crate::judges::fat::*;
use bootwright::fat::{Error, File, Identity, image, label_and_id, list, read_file};
use proptest::prelude::*;
use qemu_tests::oracle;

const MIB: u64 = 1 << 20;

#[test]
fn volumes_of_mkfs_fat_and_mcopy_in_all_three_widths_are_read() {
    for (width, size) in [("12", 4 * MIB), ("16", 64 * MIB), ("32", 64 * MIB)] {
        let volume = Volume::empty(size);
        let options = ["-F", width, "-n", "SOME LABEL", "-i", "0badf00d"].map(OsStr::new);
        oracle::agrees(&oracle::tool("mkfs.fat", "dosfstools"), options.into_iter().chain([volume.path.as_os_str()]));
        let content = file("", 300_000).bytes;
        let source = volume.beside("a rather long name.bin");
        std::fs::write(&source, &content).unwrap();
        mtool("mmd", &volume, &[OsStr::new("::EFI"), OsStr::new("::EFI/boot")]);
        mtool("mcopy", &volume, &[source.as_os_str(), OsStr::new("::EFI/boot")]);

        let path = "EFI/boot/a rather long name.bin";
        assert_eq!(list(volume.open()).unwrap(), [(path.to_string(), 300_000)], "FAT{width}");
        for spelling in [path, "efi/BOOT/A RATHER LONG NAME.BIN", "EFI/boot/ARATHE~1.BIN"] {
            let read = read_file(volume.open(), spelling, 300_000).unwrap();
            assert!(read.as_deref() == Some(&content[..]), "FAT{width} {spelling}");
        }
        let identity = Identity { label: Some("SOME LABEL".into()), volume_id: Some(0x0bad_f00d) };
        assert_eq!(label_and_id(volume.open()).unwrap(), identity);
    }
}

#[test]
fn our_own_volumes_are_read_back() {
    let files: Vec<File> = [efi_tree(), long_names(), nested_eight_deep(), three_hundred_in_one_directory()].concat();
    let volume = Volume::new(&options(128 * MIB), &files);
    let mut expected: Vec<_> = files.iter().map(|f| (f.path.clone(), f.bytes.len() as u64)).collect();
    expected.sort();
    assert_eq!(list(volume.open()).unwrap(), expected);
    for file in &files {
        let read = read_file(volume.open(), &file.path, 4 * MIB).unwrap();
        assert!(read.as_deref() == Some(&file.bytes[..]), "{}", file.path);
    }
}

#[test]
fn a_missing_file_is_none_a_directory_is_none_and_a_large_one_an_error() {
    let volume = Volume::new(&options(64 * MIB), &efi_tree());
    for path in ["nothing", "EFI/BOOT", "EFI/BOOT/BOOTX64.EFI/x", ""] {
        assert!(read_file(volume.open(), path, MIB).unwrap().is_none(), "{path}");
    }
    let error = read_file(volume.open(), "EFI/BOOT/BOOTX64.EFI", 1000).unwrap_err();
    assert_eq!(error.to_string(), "`EFI/BOOT/BOOTX64.EFI` has 949424 bytes, more than the 1000 it may have here");
}

#[test]
fn zeros_and_a_short_file_are_not_fat() {
    assert!(matches!(list(Cursor::new(vec![0; 4096])), Err(Error::NotFat(_))));
    assert!(matches!(list(Cursor::new(vec![0; 100])), Err(Error::Io(_))));
}

#[test]
fn a_directory_that_contains_itself_is_an_error() {
    let mut bytes = ours();
    let at = find(&bytes, b"DEBIAN     \x10");
    let root = find(&bytes, b"EFI        \x10");
    let efi_cluster = [bytes[root + 26], bytes[root + 27]];
    bytes[at + 26..at + 28].copy_from_slice(&efi_cluster);
    assert!(matches!(list(Cursor::new(bytes)), Err(Error::Damaged("a directory is in two places"))));
}

#[test]
fn a_chain_that_runs_in_a_circle_ends_with_the_file() {
    let mut bytes = ours();
    let at = find(&bytes, b"MMX64   EFI");
    let cluster = usize::from(u16::from_le_bytes([bytes[at + 26], bytes[at + 27]]));
    let entry = 32 * 512 + 4 * cluster;
    bytes[entry..entry + 4].copy_from_slice(&(cluster as u32).to_le_bytes());
    let read = read_file(Cursor::new(bytes), "EFI/BOOT/MMX64.EFI", MIB).unwrap().unwrap();
    assert_eq!(read.len(), 856_280);
}

fn find(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|window| window == pattern).unwrap()
}

/// A small FAT32 volume up to its last used byte.
fn ours() -> Vec<u8> {
    let mut bytes = Vec::new();
    for extent in image(&options(34 * MIB), &efi_tree()).unwrap() {
        bytes.resize(usize::try_from(extent.at).unwrap(), 0);
        bytes.extend(extent.bytes);
    }
    bytes
}

/// A volume of another width, made by the fatfs crate.
fn theirs(width: fatfs::FatType, size: usize) -> Vec<u8> {
    let mut disk = Cursor::new(vec![0; size]);
    let options = fatfs::FormatVolumeOptions::new().fat_type(width);
    fatfs::format_volume(&mut disk, options).unwrap();
    disk.set_position(0);
    let system = fatfs::FileSystem::new(disk.get_mut().as_mut_slice().cursor(), fatfs::FsOptions::new()).unwrap();
    let directory = system.root_dir().create_dir("EFI").unwrap();
    directory.create_file("some long name.efi").unwrap().write_all(&[7; 9000]).unwrap();
    drop(directory);
    system.unmount().unwrap();
    disk.into_inner()
}

trait AsCursor {
    fn cursor(&mut self) -> Cursor<&mut [u8]>;
}
impl AsCursor for [u8] {
    fn cursor(&mut self) -> Cursor<&mut [u8]> {
        Cursor::new(self)
    }
}

static VOLUMES: LazyLock<[Vec<u8>; 3]> =
    LazyLock::new(|| [ours(), theirs(fatfs::FatType::Fat16, 5 << 20), theirs(fatfs::FatType::Fat12, 1 << 20)]);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A changed byte of the boot sector, or of anything that is not zero (FATs, directories, content).
    #[test]
    fn damaged_volumes_give_an_answer_or_an_error(
        which in 0..3usize,
        boot in prop::collection::vec((0..90usize, any::<u8>()), 0..4),
        others in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..60),
    ) {
        let mut bytes = VOLUMES[which].clone();
        let used: Vec<usize> = (512..bytes.len()).filter(|at| bytes[*at] != 0).take(6000).collect();
        for (at, value) in boot {
            bytes[at] = value;
        }
        for (at, value) in others {
            bytes[*at.get(&used)] = value;
        }
        let _ = label_and_id(Cursor::new(&bytes));
        for (path, _) in list(Cursor::new(&bytes)).unwrap_or_default().into_iter().take(20) {
            if let Ok(Some(content)) = read_file(Cursor::new(&bytes), &path, MIB) {
                prop_assert!(content.len() as u64 <= MIB);
            }
        }
    }
}
