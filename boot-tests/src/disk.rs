//! Disks for the boot tests: built by the library as the command line builds them, then handed to QEMU or to a judge.

use std::path::{Path, PathBuf};

use bootwright::build;
use bootwright::config::{Config, Customizations};
use bootwright::output::OutputType;
use bootwright::plan::{Content, PlannedPartition};
use bootwright::progress::Silent;
use bootwright::qcow2::Compression;
use bootwright::report::Report;
use bootwright::request::{OstreeRequest, Request};
use bootwright::smoke::DiskFormat;
use serde_json::Value;
use tempfile::TempDir;

use qemu_tests::oracle;

/// A finished build; its files go with it.
pub struct BuiltDisk {
    pub path: PathBuf,
    pub format: DiskFormat,
    pub report: Report,
    _directory: TempDir,
}

/// Builds the image's tag `latest` with an optional config.toml.
pub fn build(oci: &Path, kind: OutputType, config: Option<&str>) -> BuiltDisk {
    build_from(&format!("oci:{}:latest", oci.display()), kind, config, OstreeRequest::default())
}

/// Builds from any source.
pub fn build_from(source: &str, kind: OutputType, config: Option<&str>, ostree: OstreeRequest) -> BuiltDisk {
    build_as(source, kind, config, |request| request.ostree = ostree)
}

/// Builds from any source, after the request was adjusted.
pub fn build_as(source: &str, kind: OutputType, config: Option<&str>, adjust: impl FnOnce(&mut Request)) -> BuiltDisk {
    let directory = tempfile::tempdir().unwrap();
    let customizations =
        config.map_or_else(Customizations::default, |toml| Config::parse_toml(toml).unwrap().customizations);
    let image = source.parse().unwrap();
    let plain = Request::plain(image, kind, directory.path());
    let mut request = Request { compression: Compression::Zlib, customizations, ..plain };
    adjust(&mut request);
    let report = build::build(&request, &Silent).unwrap_or_else(|error| panic!("{error}"));
    let path = directory.path().join(kind.path());
    let format = if kind == OutputType::Raw { DiskFormat::Raw } else { DiskFormat::Qcow2 };
    BuiltDisk { path, format, report, _directory: directory }
}

impl BuiltDisk {
    pub fn root(&self) -> &PlannedPartition {
        self.partition(|content| matches!(content, Content::Root(_)))
    }

    pub fn root_uuid(&self) -> String {
        filesystem_uuid(self.root())
    }

    pub fn boot_uuid(&self) -> String {
        filesystem_uuid(self.partition(|content| matches!(content, Content::Boot(_))))
    }

    fn partition(&self, wanted: impl Fn(&Content) -> bool) -> &PlannedPartition {
        self.report.disk.partition(wanted).expect("every layout has it")
    }

    /// A disk of `bytes` with this one as its beginning, for writes that have to stay.
    pub fn copy_on_larger_disk(&self, directory: &TempDir, bytes: u64) -> PathBuf {
        let copy = directory.path().join("larger.qcow2");
        let (driver, bytes) = (self.format.driver(), bytes.to_string());
        let paths = [self.path.to_str().unwrap(), copy.to_str().unwrap()];
        qemu_img(&["create", "-q", "-f", "qcow2", "-F", driver, "-b", paths[0], paths[1], &bytes]);
        copy
    }
}

fn filesystem_uuid(partition: &PlannedPartition) -> String {
    match &partition.content {
        Content::Boot(filesystem) | Content::Root(filesystem) => filesystem.uuid.to_string(),
        other => panic!("{other:?} has no filesystem UUID"),
    }
}

/// A disk that a guest has written to, as the judges on the host see it after the guest is off.
pub struct UsedDisk {
    raw: PathBuf,
    /// (first byte, bytes) of each partition.
    pub partitions: Vec<(u64, u64)>,
    _directory: TempDir,
}

impl UsedDisk {
    pub fn of(qcow2: &Path) -> UsedDisk {
        let directory = tempfile::tempdir().unwrap();
        let raw = directory.path().join("disk.raw");
        qemu_img(&["convert", "-O", "raw", qcow2.to_str().unwrap(), raw.to_str().unwrap()]);
        let sfdisk = oracle::tool("sfdisk", "fdisk");
        let table: Value = serde_json::from_str(&oracle::agrees(&sfdisk, ["--json", raw.to_str().unwrap()])).unwrap();
        let bytes = |entry: &Value, key: &str| entry[key].as_u64().unwrap() * 512;
        let entries = table["partitiontable"]["partitions"].as_array().unwrap();
        let partitions = entries.iter().map(|entry| (bytes(entry, "start"), bytes(entry, "size"))).collect();
        UsedDisk { raw, partitions, _directory: directory }
    }

    /// Both GPTs are where they belong and agree.
    pub fn partition_table_is_whole(&self) {
        let said = oracle::agrees(&oracle::tool("sfdisk", "fdisk"), ["--verify", self.raw.to_str().unwrap()]);
        assert!(said.contains("No errors detected."), "{said}");
    }

    /// e2fsck finds the filesystem in partition `number` (from 1) clean, and nothing to repair with `-f`.
    pub fn ext4_is_clean(&self, number: u32) {
        let at = self.at(number);
        oracle::agrees(&oracle::tool("e2fsck", "e2fsprogs"), ["-f", "-n", &at]);
        let superblock = self.superblock(number);
        assert!(superblock.contains("Filesystem state:         clean"), "{superblock}");
    }

    /// dumpe2fs' words about the superblock.
    pub fn superblock(&self, number: u32) -> String {
        oracle::agrees(&oracle::tool("dumpe2fs", "e2fsprogs"), ["-h", &self.at(number)])
    }

    fn at(&self, number: u32) -> String {
        let (start, _) = self.partitions[usize::try_from(number).unwrap() - 1];
        format!("{}?offset={start}", self.raw.display())
    }
}

fn qemu_img(arguments: &[&str]) {
    oracle::agrees(&oracle::tool("qemu-img", "qemu-utils"), arguments);
}
