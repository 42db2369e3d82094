//! What an inspection finds, as data: the JSON form of `bootwright inspect`.

use serde::Serialize;

/// A disk and what is on it. Sizes and places are in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub format: Format,
    pub virtual_size: u64,
    /// What the file takes on the host.
    pub allocated: u64,
    /// How firmware can start it, in words: "UEFI only", "BIOS and UEFI", …
    pub firmware: String,
    /// Whether the ESP holds a signed shim and a signed boot loader for it to start.
    pub secure_boot: bool,
    pub table: Table,
    /// In the order of their numbers. A filesystem without a partition table is partition 0.
    pub partitions: Vec<Partition>,
    /// Every file of the ESP, by path.
    pub efi_files: Vec<EfiFile>,
    /// In the order of the boot menu, the default first.
    pub boot_entries: Vec<BootEntry>,
    pub deployments: Vec<Deployment>,
    /// Refs of the ostree repository, by name.
    pub refs: Vec<Reference>,
    /// What `/.bootc-aleph.json` says about how the disk was made.
    pub aleph: Option<serde_json::Value>,
    /// Sentences about what looks wrong, or could not be read.
    pub problems: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Raw,
    Qcow2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    Gpt,
    Dos,
    None,
}

#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub kind: TableKind,
    /// GUID of the disk, or the signature of a DOS label.
    pub id: Option<String>,
    /// Bytes of a logical block; 512, or 4096.
    pub sector: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Partition {
    pub number: u32,
    pub start: u64,
    pub bytes: u64,
    /// In words, where the type is known.
    pub type_name: String,
    /// Lower-case GUID, or `0x83` in a DOS label; empty without a table.
    pub type_id: String,
    pub label: Option<String>,
    pub uuid: Option<String>,
    /// Names of the attributes that are set, and the numbers of bits without one.
    pub attributes: Vec<String>,
    pub filesystem: Option<Filesystem>,
}

/// A filesystem, or another thing with a signature that takes a whole partition.
#[derive(Clone, Debug, Serialize)]
pub struct Filesystem {
    /// As `blkid` calls it.
    pub kind: &'static str,
    pub label: Option<String>,
    /// UUID, or a FAT's volume id.
    pub uuid: Option<String>,
    pub size: Option<u64>,
    pub used: Option<u64>,
    pub free: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EfiFile {
    pub partition: u32,
    pub path: String,
    pub bytes: u64,
    pub role: Option<EfiRole>,
    /// Whether it carries an Authenticode signature. Whose, the firmware decides.
    pub signed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EfiRole {
    Shim,
    MokManager,
    Fallback,
    Grub,
    SystemdBoot,
}

/// An entry of the boot menu (Boot Loader Specification, type 1).
#[derive(Clone, Debug, Serialize)]
pub struct BootEntry {
    pub partition: u32,
    pub path: String,
    pub title: String,
    pub version: String,
    pub options: String,
    pub linux: Option<String>,
    pub initrd: Vec<String>,
    /// Whether the menu starts it by itself: the highest version.
    pub default: bool,
    /// Files it names that are not there.
    pub missing: Vec<String>,
    /// The deployment that `ostree=` leads to, as `STATEROOT/COMMIT.SERIAL`.
    pub deployment: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Deployment {
    pub partition: u32,
    pub stateroot: String,
    pub commit: String,
    pub serial: u32,
    /// `PRETTY_NAME` of its os-release.
    pub os: Option<String>,
    /// Of the commit, else of the container image's labels.
    pub version: Option<String>,
    /// RFC 3339, of the commit.
    pub timestamp: Option<String>,
    /// What the commit says of the end of its life (`ostree.endoflife`, `ostree.endoflife-rebase`).
    pub end_of_life: Option<String>,
    /// Digest of the container image's manifest.
    pub manifest_digest: Option<String>,
    pub origin: Option<Origin>,
    pub bootcsum: Option<String>,
    pub kernel: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Origin {
    pub kind: OriginKind,
    /// Where upgrades come from.
    pub reference: Option<String>,
    /// The whole file.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    ContainerImageReference,
    Refspec,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reference {
    pub name: String,
    pub commit: String,
}

impl Partition {
    /// For sentences.
    pub fn name(&self) -> String {
        match self.number {
            0 => "the disk's filesystem".to_owned(),
            number => format!("partition {number}"),
        }
    }

    pub fn is_esp(&self) -> bool {
        matches!(self.type_id.as_str(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" | "0xef")
    }

    pub fn is_bios_boot(&self) -> bool {
        self.type_id == "21686148-6449-6e6f-744e-656564454649"
    }
}

impl Deployment {
    /// Its directory below `/ostree/deploy/STATEROOT/deploy`, after the stateroot.
    pub fn name(&self) -> String {
        format!("{}/{}.{}", self.stateroot, self.commit, self.serial)
    }
}

impl EfiRole {
    pub fn name(self) -> &'static str {
        match self {
            EfiRole::Shim => "shim",
            EfiRole::MokManager => "MokManager",
            EfiRole::Fallback => "fallback",
            EfiRole::Grub => "GRUB",
            EfiRole::SystemdBoot => "systemd-boot",
        }
    }
}
