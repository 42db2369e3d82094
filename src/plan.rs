//! The disk as it will be: every partition with its place, size and names, every filesystem with its geometry. Nothing is left
//! open here, and nothing is written.

use serde::Serialize;
use uuid::Uuid;

use crate::ext4::{self, Geometry, Usage};
use crate::layout::{Layout, Partition, PartitionTable, PartitionType};
use crate::os::Architecture;
use crate::seed::Seed;
use crate::units::{Bytes, MIB, TIB};

pub const SECTOR: u64 = 512;
/// Partitions begin and end at multiples of this.
const ALIGNMENT: u64 = MIB;
/// Room kept behind the last partition: the backup GPT takes 33 sectors of it.
const FOOTER: u64 = MIB;

/// What ext4 with blocks of 4 KiB and 32-bit block numbers reaches.
const MOST: Bytes = Bytes(16 * TIB);

/// What the 32-bit sector numbers of a DOS label reach.
const MOST_DOS: Bytes = Bytes(2 * TIB);

/// GPT attribute 2 (UEFI 2.10, table 5-8); a DOS label has an active flag instead.
const LEGACY_BIOS_BOOTABLE: u64 = 1 << 2;
/// GPT attribute 59 (Discoverable Partitions Specification): grow the filesystem.
const GROW_FILE_SYSTEM: u64 = 1 << 59;

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the system needs a disk of {need}, and `--disk-size` gives {given}")]
    DiskTooSmall { need: Bytes, given: Bytes },
    #[error("a disk with a size of {0} was asked for, and at most {MOST} can be laid out")]
    TooLarge(Bytes),
    #[error("the disk would have {0}, and a DOS label reaches {MOST_DOS}")]
    TooLargeForDos(Bytes),
    #[error("the {what} filesystem cannot be laid out: {source}")]
    Ext4 { what: &'static str, source: ext4::Error },
}

/// Names by which the parts of a disk find each other, all drawn from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    pub disk: Uuid,
    pub disk_signature: u32,
    pub root: Uuid,
    pub boot: Uuid,
    pub esp: u32,
}

impl Identity {
    pub fn from_seed(seed: &Seed) -> Identity {
        Identity {
            disk: seed.uuid("disk"),
            disk_signature: seed.number("disk"),
            root: seed.uuid("filesystem/root"),
            boot: seed.uuid("filesystem/boot"),
            esp: seed.number("filesystem/esp"),
        }
    }

    /// The ESP's volume id as `blkid` and fstab write it.
    pub fn esp_id(&self) -> String {
        format!("{:04X}-{:04X}", self.esp >> 16, self.esp & 0xffff)
    }
}

/// How large the filesystems have to be.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub root: Usage,
    pub boot: Usage,
    /// Bytes that one set of kernel files takes on /boot.
    pub kernel: u64,
    /// The same on the ESP, 0 when the loader does not read kernels there.
    pub kernel_on_esp: u64,
    pub root_min: Bytes,
    pub boot_min: Bytes,
    /// Whether /boot has a journal, which boot loaders do not replay.
    pub boot_journal: bool,
    /// The whole disk, when the user says how large.
    pub disk: Option<Bytes>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DiskPlan {
    pub layout: String,
    pub partition_table: PartitionTable,
    pub bytes: u64,
    /// Of a GPT.
    pub disk_guid: Option<Uuid>,
    /// Of a DOS label; the PARTUUIDs of its partitions begin with it.
    pub disk_signature: Option<u32>,
    pub partitions: Vec<PlannedPartition>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PlannedPartition {
    pub number: u32,
    pub first_lba: u64,
    pub sectors: u64,
    /// On a DOS label [`PlannedPartition::dos_type`] stands for it.
    pub type_guid: Uuid,
    pub part_guid: Uuid,
    pub label: String,
    /// As GPT has them.
    pub attributes: u64,
    pub content: Content,
}

impl PlannedPartition {
    pub fn at(&self) -> u64 {
        self.first_lba * SECTOR
    }

    pub fn bytes(&self) -> u64 {
        self.sectors * SECTOR
    }

    /// The type in a DOS label.
    pub fn dos_type(&self) -> u8 {
        match self.content {
            Content::Esp { .. } => 0xef,
            Content::BiosBoot | Content::Boot(_) | Content::Root(_) => 0x83,
        }
    }

    /// Whether code in the first sector looks for its loader here.
    pub fn is_legacy_bootable(&self) -> bool {
        self.attributes & LEGACY_BIOS_BOOTABLE != 0
    }
}

/// What is in a partition.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Content {
    /// Nothing yet: the place for GRUB's BIOS code.
    BiosBoot,
    Esp {
        volume_id: u32,
        label: String,
    },
    Boot(Filesystem),
    Root(Filesystem),
}

#[derive(Clone, Debug, Serialize)]
pub struct Filesystem {
    pub uuid: Uuid,
    pub label: String,
    /// Bytes that the tree takes.
    pub used: u64,
    /// Inodes that the tree takes.
    pub inodes: u64,
    /// Bytes free when the tree is in.
    pub free: u64,
    pub journal: bool,
    #[serde(skip)]
    pub geometry: Geometry,
}

impl DiskPlan {
    /// Decides every size and place. With `legacy_boot` the code in the first sector looks for a loader on /boot.
    pub fn new(
        layout: &Layout,
        architecture: Architecture,
        seed: &Seed,
        sizes: &Sizes,
        legacy_boot: bool,
    ) -> Result<DiskPlan, PlanError> {
        let asked = [sizes.root_min, sizes.boot_min, sizes.disk.unwrap_or_default()];
        if let Some(too_large) = asked.into_iter().find(|&size| size > MOST) {
            return Err(PlanError::TooLarge(too_large));
        }
        let identity = Identity::from_seed(seed);
        let dos = layout.partition_table == PartitionTable::Dos;
        let mut at = ALIGNMENT;
        let mut partitions = Vec::new();
        for (number, partition) in (1..).zip(&layout.partitions) {
            let (bytes, content) = decide(partition, &identity, sizes, at)?;
            partitions.push(PlannedPartition {
                number,
                first_lba: at / SECTOR,
                sectors: bytes / SECTOR,
                type_guid: type_guid(partition.kind, architecture),
                part_guid: seed.uuid(&format!("partition/{number}")),
                label: partition.label.clone(),
                attributes: attributes(partition, dos || legacy_boot),
                content,
            });
            at += bytes;
        }
        let bytes = at + FOOTER;
        if dos && Bytes(bytes) > MOST_DOS {
            return Err(PlanError::TooLargeForDos(Bytes(bytes)));
        }
        Ok(DiskPlan {
            layout: layout.name.clone(),
            partition_table: layout.partition_table,
            bytes,
            disk_guid: (!dos).then_some(identity.disk),
            disk_signature: dos.then_some(identity.disk_signature),
            partitions,
        })
    }

    /// The first partition whose content is `wanted`.
    pub fn partition(&self, wanted: impl Fn(&Content) -> bool) -> Option<&PlannedPartition> {
        self.partitions.iter().find(|partition| wanted(&partition.content))
    }

    /// Says so when the root filesystem is too small for a second system beside the first.
    pub fn upgrade_warning(&self) -> Option<String> {
        let Content::Root(root) = &self.partition(|content| matches!(content, Content::Root(_)))?.content else {
            return None;
        };
        let (free, need) = (Bytes(root.free), Bytes(root.used + kept_free(root.geometry.size_bytes())));
        if root.geometry.inodes() < root.inodes * 2 {
            let free = root.geometry.inodes().saturating_sub(root.inodes);
            return Some(format!(
                "{free} inodes of the root filesystem stay free, and a full upgrade may need {}",
                root.inodes
            ));
        }
        (free < need).then(|| format!("{free} of the root filesystem stay free, and a full upgrade may need {need}"))
    }
}

/// Old BIOSes start a disk with a DOS label only when one of its partitions is active, whatever loader there is.
fn attributes(partition: &Partition, legacy_boot: bool) -> u64 {
    let legacy = legacy_boot && partition.kind == PartitionType::Xbootldr;
    let grow = if partition.grow_file_system { GROW_FILE_SYSTEM } else { 0 };
    if legacy { grow | LEGACY_BIOS_BOOTABLE } else { grow }
}

/// Size and content of a partition that begins at `at`.
fn decide(partition: &Partition, identity: &Identity, sizes: &Sizes, at: u64) -> Result<(u64, Content), PlanError> {
    let least = partition.size_min_bytes.round_up(ALIGNMENT).0;
    let label = partition.label.clone();
    Ok(match partition.kind {
        PartitionType::BiosBoot => (least.max(ALIGNMENT), Content::BiosBoot),
        PartitionType::Esp => (least.max(esp_bytes(sizes)), Content::Esp { volume_id: identity.esp, label }),
        PartitionType::Xbootldr => {
            let geometry = boot_geometry(sizes, least).map_err(|source| PlanError::Ext4 { what: "/boot", source })?;
            let filesystem = Filesystem::new(identity.boot, label, geometry, &sizes.boot);
            (filesystem.geometry.size_bytes().next_multiple_of(ALIGNMENT), Content::Boot(filesystem))
        }
        PartitionType::Root => {
            let (bytes, geometry) = root_geometry(sizes, least, at)?;
            (bytes, Content::Root(Filesystem::new(identity.root, label, geometry, &sizes.root)))
        }
    })
}

impl Filesystem {
    fn new(uuid: Uuid, label: String, geometry: Geometry, usage: &Usage) -> Filesystem {
        let free = geometry.size_bytes().saturating_sub(geometry.blocks_needed(usage) * ext4::BLOCK_SIZE);
        let journal = geometry.journal_blocks > 0;
        Filesystem {
            uuid,
            label,
            used: usage.blocks() * ext4::BLOCK_SIZE,
            inodes: usage.inodes,
            free,
            journal,
            geometry,
        }
    }
}

/// Three sets of kernel files, as on /boot, beside the loader and the file allocation tables.
fn esp_bytes(sizes: &Sizes) -> u64 {
    match sizes.kernel_on_esp {
        0 => 0,
        kernel => (kernel * 3 + 32 * MIB).next_multiple_of(ALIGNMENT),
    }
}

/// Three sets of kernel files: the running one, the rollback, and the one an upgrade is writing.
fn boot_geometry(sizes: &Sizes, least: u64) -> Result<Geometry, ext4::Error> {
    let least = least.max(sizes.boot_min.round_up(ALIGNMENT).0);
    let smallest = Geometry::smallest(&sizes.boot, sizes.kernel * 2, 0, ALIGNMENT)?;
    let geometry = if smallest.size_bytes() >= least { smallest } else { Geometry::for_size(least, &sizes.boot)? };
    Ok(if sizes.boot_journal { geometry } else { geometry.without_journal() })
}

/// The rest of the disk when its size is given; else the smallest that also holds one full upgrade.
fn root_geometry(sizes: &Sizes, least: u64, at: u64) -> Result<(u64, Geometry), PlanError> {
    let wrong = |source| PlanError::Ext4 { what: "root", source };
    let least = least.max(sizes.root_min.round_up(ALIGNMENT).0);
    let geometry = match sizes.disk {
        Some(disk) => {
            let given = Bytes(disk.0 / ALIGNMENT * ALIGNMENT);
            let smallest = smallest_that_holds(&sizes.root).map_err(wrong)?.max(least);
            let need = Bytes(at + smallest + FOOTER);
            if given < need {
                return Err(PlanError::DiskTooSmall { need, given: disk });
            }
            Geometry::for_size(given.0 - at - FOOTER, &sizes.root).map_err(wrong)?
        }
        None => {
            let smallest = with_room_for_upgrade(&sizes.root).map_err(wrong)?;
            if smallest.size_bytes() >= least {
                smallest
            } else {
                Geometry::for_size(least, &sizes.root).map_err(wrong)?
            }
        }
    };
    let bytes = match sizes.disk {
        Some(disk) => disk.0 / ALIGNMENT * ALIGNMENT - at - FOOTER,
        None => geometry.size_bytes().next_multiple_of(ALIGNMENT),
    };
    Ok((bytes, geometry))
}

/// Bytes of the smallest root filesystem that the tree just fits into. A filesystem made for a size has inodes by that size,
/// so it may need a little more than one made for the tree.
fn smallest_that_holds(usage: &Usage) -> Result<u64, ext4::Error> {
    const TRIES: u64 = 64;
    let least = Geometry::smallest(usage, 0, 0, ALIGNMENT)?.size_bytes().next_multiple_of(ALIGNMENT);
    let sizes = (0..TRIES).map(|more| least + more * ALIGNMENT);
    let last = least + TRIES * ALIGNMENT;
    match sizes.into_iter().find(|&size| Geometry::for_size(size, usage).is_ok()) {
        Some(size) => Ok(size),
        None => Geometry::for_size(last, usage).map(|_| last),
    }
}

/// Free space of 1.1 times what the system takes, beside what nobody may fill, and as many free inodes again, twice.
fn with_room_for_upgrade(usage: &Usage) -> Result<Geometry, ext4::Error> {
    let used = usage.blocks() * ext4::BLOCK_SIZE;
    let wanted = used + used / 10;
    let mut free = wanted;
    loop {
        let geometry = Geometry::smallest(usage, free, usage.inodes * 2, ALIGNMENT)?;
        let needed = wanted + kept_free(geometry.size_bytes());
        if free >= needed {
            return Ok(geometry);
        }
        free = needed;
    }
}

/// Bytes that stay free on an ext4 root of `size` bytes: libostree's 3 % (`min-free-space-percent`), and what the kernel keeps
/// from everybody for its own metadata, 2 % but at most 4096 blocks (`ext4_calculate_resv_clusters`).
fn kept_free(size: u64) -> u64 {
    size * 3 / 100 + (size / 50).min(4096 * ext4::BLOCK_SIZE)
}

/// Discoverable Partitions Specification, and the UEFI specification for the ESP.
fn type_guid(kind: PartitionType, architecture: Architecture) -> Uuid {
    Uuid::from_u128(match (kind, architecture) {
        (PartitionType::BiosBoot, _) => 0x21686148_6449_6e6f_744e_656564454649,
        (PartitionType::Esp, _) => 0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b,
        (PartitionType::Xbootldr, _) => 0xbc13c2ff_59e6_4262_a352_b275fd6f7172,
        (PartitionType::Root, Architecture::X86_64) => 0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
        (PartitionType::Root, Architecture::Aarch64) => 0xb921b045_1df0_41c3_af44_4c6f280d3fae,
        (PartitionType::Root, Architecture::Riscv64) => 0x72ec70a6_cf74_40e6_bd49_4bda08e8f224,
        (PartitionType::Root, Architecture::Ppc64le) => 0xc31c45e6_3f39_412e_80fb_4809c4980599,
        (PartitionType::Root, Architecture::S390x) => 0x5eead9a9_fe09_4a1e_a1d7_520d00531306,
    })
}
