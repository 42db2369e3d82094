//! syslinux beside its own installers: `extlinux --install` on ext4 and `syslinux --install` on FAT32 leave the bytes that we
//! compute for the same places.

use std::fs::{self, File};
use std::path::Path;

use crate::support::mounted;
use bootwright::syslinux::{Error, Loader, Partition, SECTOR, Volume, boot_sector, file_bytes, mbr_code, patch};
use qemu_tests::oracle::{agrees, tool};

fn installer(name: &str) -> Vec<u8> {
    fs::read(tool(name, &format!("{name} syslinux-common"))).unwrap()
}

fn loader() -> Loader {
    Loader::carve(&installer("extlinux")).unwrap()
}

fn image(directory: &Path, bytes: u64) -> std::path::PathBuf {
    let path = directory.join("image");
    File::create(&path).unwrap().set_len(bytes).unwrap();
    path
}

fn first_sector(image: &Path) -> [u8; SECTOR] {
    fs::read(image).unwrap()[..SECTOR].try_into().unwrap()
}

#[test]
fn the_version_is_told_and_both_installers_carry_the_same_loader() {
    let loader = loader();
    assert!(loader.version().starts_with("6."), "{}", loader.version());
    assert_eq!(Loader::carve(&installer("syslinux")).unwrap().ldlinux_sys, loader.ldlinux_sys);
}

#[test]
fn on_ext4_extlinux_leaves_the_bytes_that_we_compute_for_its_placement() {
    for block in ["1024", "4096"] {
        let directory = tempfile::tempdir().unwrap();
        let image = image(directory.path(), 64 << 20);
        let path = image.to_str().unwrap();
        agrees(&tool("mke2fs", "e2fsprogs"), ["-q", "-t", "ext4", "-b", block, path]);
        let mounted = mounted::mount(&image, None, "rw");
        let place = mounted.join("boot/syslinux");
        fs::create_dir_all(&place).unwrap();
        agrees(&tool("extlinux", "extlinux"), ["--install", place.to_str().unwrap()]);
        let theirs = fs::read(place.join("ldlinux.sys")).unwrap();
        assert_eq!(fs::read(place.join("ldlinux.c32")).unwrap(), loader().ldlinux_c32);
        drop(mounted);

        // One line with the numbers of the file's blocks.
        let blocks = agrees(&tool("debugfs", "e2fsprogs"), ["-R", "blocks /boot/syslinux/ldlinux.sys", path]);
        let in_block = block.parse::<u64>().unwrap() / 512;
        let line = blocks.lines().find(|line| line.starts_with(|first: char| first.is_ascii_digit())).unwrap();
        let blocks = line.split_whitespace().map(|number| number.parse::<u64>().unwrap());
        let mut sectors: Vec<u64> = blocks.flat_map(|block| block * in_block..(block + 1) * in_block).collect();
        sectors.truncate(file_bytes(&loader().ldlinux_sys) / SECTOR);
        assert_eq!(patch(&loader().ldlinux_sys, &sectors, "/boot/syslinux").unwrap(), theirs, "blocks of {block}");

        let partition = Partition { first_sector: 0, sectors: (64 << 20) / 512, volume: Volume::Ext4 };
        let mut ours = boot_sector(&loader(), &partition, sectors[0], &[0; SECTOR]).unwrap();
        let theirs = first_sector(&image);
        // The installer asks the loop device for its geometry.
        ours[24..28].copy_from_slice(&theirs[24..28]);
        assert_eq!(ours, theirs, "blocks of {block}");
    }
}

#[test]
fn on_fat32_syslinux_leaves_the_bytes_that_we_compute_for_its_placement() {
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path(), 64 << 20);
    let path = image.to_str().unwrap();
    agrees(&tool("mkfs.fat", "dosfstools"), ["-F", "32", "-s", "1", path]);
    let before = first_sector(&image);
    agrees(&tool("syslinux", "syslinux"), ["--install", path]);
    let theirs = agrees(&tool("mshowfat", "mtools"), ["-i", path, "::/ldlinux.sys"]);
    // `::/ldlinux.sys <2-117> ` or several ranges.
    let clusters = theirs.split(['<', '>', ' ', ',']).filter_map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some(first.trim().parse::<u64>().ok()?..=last.trim().parse::<u64>().ok()?)
    });
    let word = |at: usize| u64::from(u16::from_le_bytes([before[at], before[at + 1]]));
    let fat = u64::from(u32::from_le_bytes(before[36..40].try_into().unwrap()));
    let data = word(14) + u64::from(before[16]) * fat;
    let sectors: Vec<u64> = clusters.flatten().map(|cluster| data + cluster - 2).collect();

    let copied = directory.path().join("ldlinux.sys");
    agrees(&tool("mcopy", "mtools"), ["-i", path, "::/ldlinux.sys", copied.to_str().unwrap()]);
    // Without a directory it looks in the root.
    assert_eq!(patch(&loader().ldlinux_sys, &sectors, "").unwrap(), fs::read(copied).unwrap());
    let partition = Partition { first_sector: 0, sectors: (64 << 20) / 512, volume: Volume::Fat32 };
    assert_eq!(boot_sector(&loader(), &partition, sectors[0], &before).unwrap(), first_sector(&image));
}

#[test]
fn what_cannot_be_installed_is_refused_with_the_numbers() {
    let sys = loader().ldlinux_sys;
    let need = file_bytes(&sys) / SECTOR;
    let scattered: Vec<u64> = (0..need as u64 * 2).step_by(2).collect();
    assert!(patch(&sys, &scattered, "/").is_ok(), "as many pieces as sectors still fit");
    assert_eq!(patch(&sys, &scattered[1..], "/"), Err(Error::WrongMap { need, given: need - 1 }));
    let error = patch(&sys, &scattered, &"/x".repeat(300)).unwrap_err();
    assert!(matches!(error, Error::DirectoryTooLong { limit: 255, .. }), "{error}");
    assert!(matches!(mbr_code("mbr.bin", &[0; 441]), Err(Error::MbrTooLong { bytes: 441, .. })));
    let mut cut = installer("extlinux");
    for len in [cut.len() / 2, 4096, 64] {
        cut.truncate(len);
        assert!(Loader::carve(&cut).is_err(), "{len}");
    }
}
