//! Volumes for the tests of the `fat` room, and the judges of dosfstools and mtools.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bootwright::fat::{Extent, File, Options, image};
use tempfile::TempDir;

use qemu_tests::oracle;

/// 2024-02-29 12:34:56 UTC.
pub const TIME: i64 = 1_709_210_096;

pub fn options(size: u64) -> Options {
    Options { size, volume_id: 0xcafe_1234, label: "EFI-SYSTEM".into(), time: TIME, hidden_sectors: 2048 }
}

/// A file whose content follows from its path and size.
pub fn file(path: impl Into<String>, size: usize) -> File {
    let path = path.into();
    let start = path.bytes().map(usize::from).sum::<usize>();
    let byte = |n: usize| (start.wrapping_add(n).wrapping_mul(2_654_435_761) >> 7) as u8;
    File { bytes: (0..size).map(byte).collect(), path }
}

pub fn efi_tree() -> Vec<File> {
    vec![
        file("EFI/BOOT/BOOTX64.EFI", 949_424),
        file("EFI/BOOT/fbx64.efi", 88_568),
        file("EFI/BOOT/mmx64.efi", 856_280),
        file("EFI/debian/grub.cfg", 126),
        file("EFI/debian/grubx64.efi", 2_656_640),
        file("EFI/debian/empty", 0),
    ]
}

pub fn three_hundred_in_one_directory() -> Vec<File> {
    let name = |n: usize| file(format!("EFI/Linux/fedora-coreos-entry-{n}.conf"), n * 37);
    (0..300).map(name).collect()
}

pub fn long_names() -> Vec<File> {
    let lengths = [1, 12, 13, 14, 26, 27, 200, 255];
    let mut files: Vec<_> = lengths.iter().map(|n| file("x".repeat(*n), 600 + n)).collect();
    let odd = [
        "straße ñandú.conf",
        ".hidden",
        "a.b.c.d",
        "LONGNA~1.TXT",
        "long name.txt",
        "UPPER.lower",
        "日本語 ファイル",
        " space first",
    ];
    files.extend(odd.map(|name| file(format!("odd names/{name}"), 77)));
    files
}

pub fn nested_eight_deep() -> Vec<File> {
    let deep = (1..=8).map(|n| format!("level {n}")).collect::<Vec<_>>();
    let path = |depth: usize| format!("{}/file at {depth}", deep[..depth].join("/"));
    (1..=8).map(|depth| file(path(depth), depth * 5000)).collect()
}

/// A volume as a sparse file in a directory of its own.
pub struct Volume {
    dir: TempDir,
    pub path: PathBuf,
}

impl Volume {
    pub fn new(options: &Options, files: &[File]) -> Self {
        let volume = Self::empty(options.size);
        let mut disk = fs::OpenOptions::new().write(true).open(&volume.path).unwrap();
        for Extent { at, bytes } in image(options, files).unwrap() {
            disk.seek(SeekFrom::Start(at)).unwrap();
            disk.write_all(&bytes).unwrap();
        }
        volume
    }

    /// Only zeros, for somebody else to format.
    pub fn empty(size: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("volume");
        fs::File::create(&path).unwrap().set_len(size).unwrap();
        Self { dir, path }
    }

    pub fn open(&self) -> fs::File {
        fs::File::open(&self.path).unwrap()
    }

    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Fails unless fsck.fat has nothing to say but its version and the count.
pub fn fsck(volume: &Volume) -> String {
    let path = volume.path.as_os_str();
    let said = oracle::agrees(&oracle::tool("fsck.fat", "dosfstools"), [OsStr::new("-n"), path]);
    assert_eq!(said.lines().count(), 2, "{said}");
    said
}

/// One of the mtools on the volume; names travel as UTF-8.
pub fn mtool(name: &str, volume: &Volume, args: &[&OsStr]) -> String {
    let program = oracle::tool(name, "mtools");
    let mut command = std::process::Command::new(&program);
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    let output = command.arg("-i").arg(&volume.path).args(args).output().unwrap();
    let said = oracle::said(&output);
    assert!(output.status.success(), "{name} ended with {}:\n{said}", output.status);
    said
}

/// Fails unless mcopy brings back exactly `files`.
pub fn mcopy_gives_back(volume: &Volume, files: &[File]) {
    let target = volume.beside("copied");
    fs::create_dir(&target).unwrap();
    mtool(
        "mcopy",
        volume,
        &["-n", "-s", "-Q", "::*"].map(OsStr::new).into_iter().chain([target.as_os_str()]).collect::<Vec<_>>(),
    );
    let mut copied = Vec::new();
    collect(&target, &mut copied);
    assert_eq!(copied.len(), files.len());
    for file in files {
        let bytes = fs::read(target.join(&file.path)).unwrap_or_else(|e| panic!("{}: {e}", file.path));
        assert!(bytes == *file.bytes, "{} differs", file.path);
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => collect(&entry.path(), files),
            false => files.push(entry.path()),
        }
    }
}
