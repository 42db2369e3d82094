//! A bootable container of a few megabytes: everything that has to be there, the kernel a fake, shim and GRUB the test OS's own.
//! Written as an OCI layout directory, right in every respect unless a test asks otherwise.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::shelf;
use super::tar::{Entry, directory, file, hardlink, stream, symlink};
use qemu_tests::oracle;

pub const KERNEL: &str = "6.1.0-mini";
pub const CREATED: &str = "2025-10-09T08:53:20Z";
/// [`CREATED`] in seconds since 1970.
pub const CREATED_SECONDS: i64 = 1_760_000_000;

/// How a layer's blob is stored.
#[derive(Clone, Copy, Debug)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// An image before it is written.
#[derive(Clone, Debug)]
pub struct MiniImage {
    pub layers: Vec<(Packing, Vec<Entry>)>,
    pub labels: BTreeMap<String, String>,
    pub architecture: String,
    pub tag: String,
    /// Takes the place of a layer's diff_id in the config.
    pub wrong_diff_id: Option<(usize, String)>,
}

impl MiniImage {
    /// One gzip layer that makes a system, and the label that says so.
    pub fn bootable() -> MiniImage {
        MiniImage {
            layers: vec![(Packing::Gzip, base())],
            labels: BTreeMap::from([("containers.bootc".to_owned(), "1".to_owned())]),
            architecture: "amd64".to_owned(),
            tag: "registry.example/mini:1".to_owned(),
            wrong_diff_id: None,
        }
    }

    pub fn layer(mut self, packing: Packing, entries: impl Into<Vec<Entry>>) -> MiniImage {
        self.layers.push((packing, entries.into()));
        self
    }

    /// Another gzip layer.
    pub fn with(self, entries: impl Into<Vec<Entry>>) -> MiniImage {
        self.layer(Packing::Gzip, entries)
    }

    /// Takes a path and what is below it out of the first layer.
    pub fn without(mut self, path: &str) -> MiniImage {
        let below = format!("{path}/");
        self.layers[0].1.retain(|entry| entry.path != path && !entry.path.starts_with(&below));
        self
    }

    pub fn label(mut self, name: &str, value: &str) -> MiniImage {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Writes the layout directory.
    pub fn write(&self, path: &Path) -> Layout {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let mut layout = Layout { path: path.to_owned(), tag: self.tag.clone(), ..Layout::default() };
        let (mut descriptors, mut diff_ids) = (Vec::new(), Vec::new());
        for (packing, entries) in &self.layers {
            let tar = stream(entries);
            let (blob, media_type) = pack(*packing, &tar);
            diff_ids.push(digest(&tar));
            let descriptor = layout.add(media_type, &blob);
            layout.layers.push(descriptor["digest"].as_str().unwrap().to_owned());
            descriptors.push(descriptor);
        }
        if let Some((layer, digest)) = &self.wrong_diff_id {
            diff_ids[*layer].clone_from(digest);
        }
        let config = json!({
            "architecture": self.architecture, "os": "linux", "created": CREATED,
            "config": {"Labels": self.labels},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        layout.config = config.to_string();
        let config = layout.add("application/vnd.oci.image.config.v1+json", layout.config.clone().as_bytes());
        let manifest_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": descriptors});
        layout.set_manifest(manifest.to_string());
        layout
    }
}

/// An image that lies in a directory.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub path: PathBuf,
    pub tag: String,
    /// Digests of the layers' blobs.
    pub layers: Vec<String>,
    pub manifest: String,
    pub manifest_digest: String,
    pub config: String,
}

impl Layout {
    /// As the command line names it.
    pub fn reference(&self) -> String {
        format!("oci:{}:{}", self.path.display(), self.tag)
    }

    /// The file of a blob.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    /// The same layout as a tar archive.
    pub fn archive(&self, to: &Path) -> String {
        let args = ["-cf".as_ref(), to.as_os_str(), "-C".as_ref(), self.path.as_os_str(), ".".as_ref()];
        oracle::agrees(&oracle::tool("tar", "tar"), args);
        format!("oci-archive:{}:{}", to.display(), self.tag)
    }

    /// The image is what this manifest says from now on.
    pub fn set_manifest(&mut self, manifest: String) {
        let mut entry = self.add("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        self.manifest_digest = entry["digest"].as_str().unwrap().to_owned();
        self.manifest = manifest;
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": self.tag});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        fs::write(self.path.join("index.json"), index.to_string()).unwrap();
    }

    fn add(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        fs::write(self.blob(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }
}

/// A partition layout that makes small disks, for `--layout`.
pub fn small_partitions(directory: &Path) -> String {
    let text = "Description = \"small\"\n\
        [[Partition]]\nType = \"bios-boot\"\nLabel = \"bios\"\nSizeMinBytes = \"1M\"\n\
        [[Partition]]\nType = \"esp\"\nLabel = \"EFI-SYSTEM\"\nFormat = \"vfat\"\nMountPoint = \"/boot/efi\"\nSizeMinBytes = \"40M\"\n\
        [[Partition]]\nType = \"xbootldr\"\nLabel = \"boot\"\nFormat = \"ext4\"\nMountPoint = \"/boot\"\nSizeMinBytes = \"16M\"\n\
        [[Partition]]\nType = \"root\"\nLabel = \"root\"\nMountPoint = \"/\"\nGrowFileSystem = true\n";
    let path = directory.join("small.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn pack(packing: Packing, tar: &[u8]) -> (Vec<u8>, &'static str) {
    match packing {
        Packing::Plain => (tar.to_vec(), "application/vnd.oci.image.layer.v1.tar"),
        Packing::Zstd => (zstd::encode_all(tar, 1).unwrap(), "application/vnd.oci.image.layer.v1.tar+zstd"),
        Packing::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(tar).unwrap();
            (gzip.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip")
        }
    }
}

/// The files of the mini system, parents first.
pub fn base() -> Vec<Entry> {
    let modules = format!("usr/lib/modules/{KERNEL}");
    let mut entries: Vec<Entry> = [
        "boot",
        "dev",
        "etc",
        "proc",
        "run",
        "sys",
        "sysroot",
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/lib/modules",
        modules.as_str(),
        "usr/lib/ostree",
        "usr/lib/shim",
        "usr/lib/grub",
        "usr/lib/grub/x86_64-efi-signed",
        "usr/share",
        "var",
        "var/lib",
    ]
    .map(directory)
    .to_vec();
    entries.extend([
        directory("tmp").mode(0o1777),
        directory("var/lib/mini").mode(0o750).owner(7, 8),
        file("var/lib/mini/state", "first\n").owner(7, 8),
        symlink("ostree", "sysroot/ostree"),
        symlink("bin", "usr/bin"),
        symlink("home", "var/home"),
        file(&format!("{modules}/vmlinuz"), b"not a kernel ".repeat(1000)),
        file(&format!("{modules}/initramfs.img"), b"not an initramfs ".repeat(2000)).mode(0o600),
        file("usr/lib/os-release", "ID=mini\nPRETTY_NAME=Mini 1\n"),
        file("usr/lib/ostree/prepare-root.conf", "[sysroot]\nreadonly=true\n"),
        file("usr/bin/ostree", "#!/bin/sh\n").mode(0o755),
        file("usr/bin/systemd-repart", "#!/bin/sh\n").mode(0o755),
        file("usr/lib/systemd/systemd-growfs", "#!/bin/sh\n").mode(0o755),
        file("usr/bin/su", "setuid\n").mode(0o4755),
        file("usr/bin/ping", "capable\n").mode(0o755).xattr("security.capability", &CAP_NET_RAW),
        file("usr/share/one", "two names\n"),
        hardlink("usr/share/two", "usr/share/one"),
        file("usr/share/empty", ""),
        file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        file("etc/shadow", "root:!:0:0:99999:7:::\n").mode(0o640).owner(0, 42),
        file("etc/fstab", "/dev/sda1 / ext4 defaults 0 1\ntmpfs /scratch tmpfs size=1m 0 0\n"),
        symlink("etc/localtime", "../usr/share/zoneinfo/UTC"),
    ]);
    entries.extend(loaders());
    entries
}

/// `struct vfs_cap_data`, revision 2: permitted and effective cap_net_raw (`linux/capability.h`).
const CAP_NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// shim and GRUB, taken out of the test OS once.
fn loaders() -> Vec<Entry> {
    const PATHS: [&str; 3] = [
        "usr/lib/shim/shimx64.efi.signed",
        "usr/lib/shim/mmx64.efi.signed",
        "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    ];
    let directory = shelf::get("efi-programs", |directory| {
        let rootfs = qemu_tests::test_os().unwrap().rootfs_tar;
        let args = ["-xf".as_ref(), rootfs.as_os_str(), "-C".as_ref(), directory.as_os_str()].into_iter();
        oracle::agrees(&oracle::tool("tar", "tar"), args.chain(PATHS.iter().map(|path| path.as_ref())));
    });
    PATHS.iter().map(|path| file(path, fs::read(directory.join(path)).unwrap())).collect()
}
