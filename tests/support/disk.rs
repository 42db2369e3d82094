//! A raw disk taken apart with sgdisk and dd.

use std::path::{Path, PathBuf};

use crate::support::{program, shelf};
use qemu_tests::oracle;

/// One line of `sgdisk --print`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub number: u32,
    pub at: u64,
    pub bytes: u64,
    pub code: String,
    pub name: String,
}

/// The partition table as sgdisk reads it.
pub fn partitions(raw: &Path) -> Vec<Partition> {
    let said = oracle::agrees(&oracle::tool("sgdisk", "gdisk"), [raw.as_os_str(), "--print".as_ref()]);
    let table = said.lines().skip_while(|line| !line.starts_with("Number")).skip(1);
    table.filter(|line| !line.trim().is_empty()).map(partition).collect()
}

/// `   1            2048            4095   1024.0 KiB  EF02  bios`
fn partition(line: &str) -> Partition {
    let words: Vec<&str> = line.split_whitespace().collect();
    let sector = |at: usize| words[at].parse::<u64>().unwrap();
    Partition {
        number: words[0].parse().unwrap(),
        at: sector(1) * 512,
        bytes: (sector(2) - sector(1) + 1) * 512,
        code: words[5].to_owned(),
        name: words[6].to_owned(),
    }
}

pub fn partition_named(raw: &Path, name: &str) -> Partition {
    let all = partitions(raw);
    all.iter()
        .find(|partition| partition.name == name)
        .unwrap_or_else(|| panic!("no partition `{name}` in {all:?}"))
        .clone()
}

/// Copies one partition into a sparse file of its own.
pub fn cut_out(raw: &Path, partition: &Partition, to: &Path) {
    const MIB: u64 = 1 << 20;
    let args = [
        format!("if={}", raw.display()),
        format!("of={}", to.display()),
        "bs=1M".to_owned(),
        format!("skip={}", partition.at / MIB),
        format!("count={}", partition.bytes / MIB),
        "conv=sparse".to_owned(),
        "status=none".to_owned(),
    ];
    oracle::agrees(&oracle::tool("dd", "coreutils"), args);
    std::fs::OpenOptions::new().write(true).open(to).unwrap().set_len(partition.bytes).unwrap();
}

/// The disks of one build, and each partition beside them.
pub struct Disks {
    pub directory: PathBuf,
    pub raw: PathBuf,
    pub qcow2: PathBuf,
}

impl Disks {
    pub fn at(directory: PathBuf) -> Disks {
        Disks { raw: directory.join("image/disk.raw"), qcow2: directory.join("qcow2/disk.qcow2"), directory }
    }

    /// A partition as a file, cut out when the disk was built.
    pub fn cut(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.partition"))
    }

    pub fn manifest(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.directory.join("manifest.json")).unwrap()).unwrap()
    }
}

/// Builds raw and qcow2 into `directory` and cuts the partitions out.
pub fn build_into(image: &str, directory: &Path, args: &[&str]) -> Disks {
    let mut command = program::build(image, directory);
    program::succeed(command.args(["--type", "raw", "--type", "qcow2"]).args(args));
    cut_all(directory)
}

/// Cuts the partitions out of the raw disk that was built into `directory`.
pub fn cut_all(directory: &Path) -> Disks {
    let disks = Disks::at(directory.to_owned());
    for partition in partitions(&disks.raw) {
        cut_out(&disks.raw, &partition, &disks.cut(&partition.name));
    }
    disks
}

/// The reference under which the test OS's disk upgrades.
pub const TARGET: &str = "registry.example/os:latest";

/// The disk of the test OS, built once.
pub fn test_os() -> Disks {
    let os = qemu_tests::test_os().unwrap();
    let image = format!("oci:{}:latest", os.oci.display());
    let made = shelf::get_for_program("test-os-disk", &image, |directory| {
        build_into(&image, directory, &["--target-imgref", TARGET]);
    });
    Disks::at(made)
}
