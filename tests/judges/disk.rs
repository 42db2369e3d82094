//! Disks made by other people's tools: sgdisk, mkfs, mcopy and a real ostree sysroot.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use qemu_tests::oracle::{agrees, needs_root, run, tool};

pub const MIB: u64 = 1 << 20;
pub const BOOT_UUID: &str = "11111111-2222-4333-8444-555555555555";
pub const ROOT_UUID: &str = "66666666-7777-4888-8999-aaaaaaaaaaaa";
const SHIM: &str = "/usr/lib/shim/shimx64.efi.signed";
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed";

/// A directory with `disk.raw` and the sysroot it was made from.
pub struct Disk {
    pub dir: tempfile::TempDir,
    pub path: PathBuf,
}

impl Disk {
    pub fn sysroot(&self) -> PathBuf {
        self.dir.path().join("sysroot")
    }

    /// Writes bytes into the image.
    pub fn put(&self, at: u64, bytes: &[u8]) {
        let mut file = fs::OpenOptions::new().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    }
}

pub fn ostree(args: &[&str]) -> String {
    agrees(&tool("ostree", "ostree"), args)
}

pub fn sgdisk(args: &[&str]) -> String {
    agrees(&tool("sgdisk", "gdisk"), args)
}

/// BIOS boot, ESP with Debian's shim and GRUB, /boot and root with one deployment.
pub fn bootable() -> Disk {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.raw");
    let disk = Disk { dir, path };
    sysroot(&disk);
    fs::File::create(&disk.path).unwrap().set_len(200 * MIB).unwrap();
    let target = disk.path.to_str().unwrap();
    sgdisk(&[
        "-U",
        "00000000-1111-4222-8333-444444444444",
        "-n1:2048:+1M",
        "-t1:ef02",
        "-c1:bios",
        "-n2:0:+40M",
        "-t2:ef00",
        "-c2:EFI-SYSTEM",
        "-n3:0:+32M",
        "-t3:ea00",
        "-c3:boot",
        "-n4:0:0",
        "-t4:8304",
        "-c4:root",
        "-A4:set:59",
        target,
    ]);
    disk.put(2 * MIB, &fs::read(esp(disk.dir.path())).unwrap());
    disk.put(42 * MIB, &fs::read(ext4(&disk, "boot.split", "boot", BOOT_UUID, 32)).unwrap());
    disk.put(74 * MIB, &fs::read(ext4(&disk, "sysroot", "root", ROOT_UUID, 125)).unwrap());
    disk
}

fn sysroot(disk: &Disk) {
    needs_root("`ostree admin deploy`");
    let (root, tree) = (disk.sysroot(), disk.dir.path().join("tree"));
    for (file, text) in [
        ("usr/lib/modules/6.1.0-test/vmlinuz", "kernel"),
        ("usr/lib/modules/6.1.0-test/initramfs.img", "initramfs"),
        ("usr/lib/os-release", "ID=test\nPRETTY_NAME=\"Test OS 1\"\n"),
        ("usr/etc/hostname", "test\n"),
    ] {
        let path = tree.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir(&root).unwrap();
    let sysroot = format!("--sysroot={}", root.display());
    ostree(&["admin", "init-fs", "--modern", root.to_str().unwrap()]);
    ostree(&["admin", "os-init", "default", &sysroot]);
    let repo = format!("--repo={}/ostree/repo", root.display());
    let from = format!("--tree=dir={}", tree.display());
    let time = "--timestamp=2025-10-09T08:53:20Z";
    ostree(&[
        "commit",
        &repo,
        "--branch=test/os",
        "--owner-uid=0",
        "--owner-gid=0",
        time,
        "--add-metadata-string=version=1.2",
        &from,
    ]);
    let (root_uuid, boot_uuid) = (format!("--karg=root=UUID={ROOT_UUID}"), format!("--karg=boot=UUID={BOOT_UUID}"));
    ostree(&["admin", "deploy", &sysroot, "--os=default", &root_uuid, "--karg=rw", &boot_uuid, "test/os"]);
    // Or the test's directory could not go.
    // Links have no flags, which it calls an error.
    let _ = run(&tool("chattr", "e2fsprogs"), ["-R".as_ref(), "-f".as_ref(), "-i".as_ref(), root.as_os_str()]);
    // /boot is a filesystem of its own.
    fs::rename(root.join("boot"), disk.dir.path().join("boot.split")).unwrap();
    fs::create_dir(root.join("boot")).unwrap();
}

fn ext4(disk: &Disk, from: &str, label: &str, uuid: &str, mebibytes: u64) -> PathBuf {
    let path = disk.dir.path().join(format!("{label}.ext4"));
    let (from, size) = (disk.dir.path().join(from), format!("{mebibytes}M"));
    let args =
        ["-q", "-t", "ext4", "-L", label, "-U", uuid, "-d", from.to_str().unwrap(), path.to_str().unwrap(), &size];
    agrees(&tool("mke2fs", "e2fsprogs"), args);
    path
}

fn esp(dir: &Path) -> PathBuf {
    let path = dir.join("esp.vfat");
    fs::File::create(&path).unwrap().set_len(40 * MIB).unwrap();
    let image = path.to_str().unwrap();
    agrees(&tool("mkfs.vfat", "dosfstools"), ["-F", "32", "-i", "BEEFCAFE", "-n", "EFI-SYSTEM", image]);
    agrees(&tool("mmd", "mtools"), ["-i", image, "::EFI", "::EFI/BOOT"]);
    for (from, package, to) in
        [(SHIM, "shim-signed", "::EFI/BOOT/BOOTX64.EFI"), (GRUB, "grub-efi-amd64-signed", "::EFI/BOOT/grubx64.efi")]
    {
        assert!(Path::new(from).exists(), "`{from}` is missing: sudo apt-get install {package}");
        agrees(&tool("mcopy", "mtools"), ["-i", image, from, to]);
    }
    path
}
