//! Partition layouts as they are written in `partition-layouts/`: data, read and checked for shape. Sizes are decided in `plan`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::os::Architecture;
use crate::units::{Bytes, MIB, TIB};

/// The layouts that come with the program: name and text.
const BUILT_IN: [(&str, &str); 5] = [
    ("x86_64", include_str!("../../partition-layouts/x86_64.toml")),
    ("aarch64", include_str!("../../partition-layouts/aarch64.toml")),
    ("riscv64", include_str!("../../partition-layouts/riscv64.toml")),
    ("bios", include_str!("../../partition-layouts/bios.toml")),
    ("bios-dos", include_str!("../../partition-layouts/bios-dos.toml")),
];

const LEAST_ESP: Bytes = Bytes(34 * MIB);
/// What ext4 with blocks of 4 KiB and 32-bit block numbers reaches.
const MOST: Bytes = Bytes(16 * TIB);

#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error("there is no layout `{name}`; built in are: {known}")]
    Unknown { name: String, known: String },
    #[error("a disk for {0} could not boot: {why}", why = obstacle(*.0))]
    NoneForArchitecture(Architecture),
    #[error("the layout {} could not be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the layout `{name}` is not right: {message}")]
    Parse { name: String, message: String },
}

/// Why the architecture has no default layout.
fn obstacle(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Ppc64le => "Open Firmware starts GRUB from a PReP partition, and that GRUB is not built here",
        Architecture::S390x => "its loader is zipl, whose map of disk blocks has to be made anew by the machine itself",
        _ => "no layout for it is built in",
    }
}

/// How the disk says where its partitions are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionTable {
    #[default]
    Gpt,
    /// The four primary entries of a master boot record.
    Dos,
}

/// What a partition is for. The words are those of `repart.d(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionType {
    BiosBoot,
    Esp,
    Xbootldr,
    Root,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Vfat,
    Ext4,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Partition {
    #[serde(rename = "Type")]
    pub kind: PartitionType,
    pub label: String,
    pub format: Option<Format>,
    pub mount_point: Option<String>,
    #[serde(default)]
    pub size_min_bytes: Bytes,
    #[serde(default)]
    pub grow_file_system: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Layout {
    #[serde(skip)]
    pub name: String,
    pub description: String,
    pub architecture: Option<String>,
    #[serde(default)]
    pub partition_table: PartitionTable,
    #[serde(rename = "Partition")]
    pub partitions: Vec<Partition>,
}

impl Layout {
    /// Reads and checks a layout's text.
    pub fn parse(name: &str, text: &str) -> Result<Layout, LayoutError> {
        let wrong = |message: String| LayoutError::Parse { name: name.to_owned(), message };
        let mut layout: Layout =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        layout.name = name.to_owned();
        layout.check().map_err(wrong)?;
        Ok(layout)
    }

    /// A built-in layout by its name, else a file.
    pub fn named(name: &str) -> Result<Layout, LayoutError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Layout::parse(name, text);
        }
        let path = Path::new(name);
        if !name.contains('/') && path.extension().is_none() {
            let known = BUILT_IN.map(|(name, _)| name).join(", ");
            return Err(LayoutError::Unknown { name: name.to_owned(), known });
        }
        let text = std::fs::read_to_string(path).map_err(|source| LayoutError::Read { path: path.into(), source })?;
        Layout::parse(&path.file_stem().unwrap_or_default().to_string_lossy(), &text)
    }

    /// The default for an architecture.
    pub fn default_for(architecture: Architecture) -> Result<Layout, LayoutError> {
        let matching = Layout::built_in().into_iter().find(|layout| layout.is_for(architecture));
        matching.ok_or(LayoutError::NoneForArchitecture(architecture))
    }

    pub fn built_in() -> Vec<Layout> {
        // OK to expect: a test reads every built-in layout.
        BUILT_IN.iter().map(|(name, text)| Layout::parse(name, text).expect("a built-in layout is right")).collect()
    }

    pub fn has(&self, kind: PartitionType) -> bool {
        self.partitions.iter().any(|partition| partition.kind == kind)
    }

    /// Whether GRUB for BIOS has a place: a partition of its own, or the gap between a DOS label and the first partition.
    pub fn has_bios_boot(&self) -> bool {
        self.has(PartitionType::BiosBoot) || self.partition_table == PartitionTable::Dos
    }

    /// Whether the root partition grows to a larger disk.
    pub fn grows(&self) -> bool {
        self.partitions.iter().any(|partition| partition.grow_file_system)
    }

    fn is_for(&self, architecture: Architecture) -> bool {
        self.architecture.as_ref().is_some_and(|name| name.parse() == Ok(architecture))
    }

    fn check(&self) -> Result<(), String> {
        for (kind, needed, mount_point, format) in [
            (PartitionType::Esp, false, "/boot/efi", Some(Format::Vfat)),
            (PartitionType::Xbootldr, true, "/boot", Some(Format::Ext4)),
            (PartitionType::Root, true, "/", None),
        ] {
            let of_kind: Vec<_> = self.partitions.iter().filter(|partition| partition.kind == kind).collect();
            if of_kind.len() > 1 || needed && of_kind.is_empty() {
                let count = if needed { "exactly" } else { "at most" };
                return Err(format!("it needs {count} one partition of type {kind:?}"));
            }
            let right = |partition: &&Partition| {
                partition.mount_point.as_deref() == Some(mount_point) && partition.format == format
            };
            if !of_kind.iter().all(right) {
                let with = format
                    .map_or_else(|| "no Format (--rootfs says it)".to_owned(), |format| format!("Format {format:?}"));
                return Err(format!("the partition of type {kind:?} needs MountPoint \"{mount_point}\" and {with}"));
            }
        }
        self.partitions.iter().try_for_each(check_sizes)?;
        self.partitions.iter().try_for_each(|partition| check_label(partition, self.partition_table))?;
        if self.partition_table == PartitionTable::Dos {
            self.check_dos()?;
        }
        match self.partitions.last() {
            Some(last) if last.kind == PartitionType::Root => Ok(()),
            _ => Err("the root partition has to come last, so that it can grow".to_owned()),
        }
    }

    fn check_dos(&self) -> Result<(), String> {
        if self.has(PartitionType::BiosBoot) {
            return Err("a DOS label has no BIOS boot partition: GRUB lies in front of the first partition".to_owned());
        }
        match self.partitions.len() {
            0..=4 => Ok(()),
            many => Err(format!("it has {many} partitions, and a DOS label has entries for 4")),
        }
    }
}

/// GPT keeps 36 UTF-16 units, a DOS label nothing; the filesystem keeps its own copy.
fn check_label(Partition { kind, label, .. }: &Partition, table: PartitionTable) -> Result<(), String> {
    if table == PartitionTable::Gpt && label.encode_utf16().count() > 36 {
        return Err(format!("the label `{label}` has more than the 36 characters that GPT keeps"));
    }
    let most = match kind {
        PartitionType::BiosBoot => return Ok(()),
        PartitionType::Esp => 11,
        PartitionType::Xbootldr | PartitionType::Root => 16,
    };
    if label.len() > most {
        return Err(format!("the label `{label}` is too long for its filesystem: 11 characters in vfat, 16 in ext4"));
    }
    Ok(())
}

/// Sizes that can be laid out, and no key that would do nothing.
fn check_sizes(partition: &Partition) -> Result<(), String> {
    let Partition { kind, label, size_min_bytes, .. } = partition;
    if *kind == PartitionType::Esp && *size_min_bytes < LEAST_ESP {
        return Err(format!("the ESP `{label}` needs SizeMinBytes of at least {LEAST_ESP}, the smallest FAT32 volume"));
    }
    if *size_min_bytes > MOST {
        return Err(format!("SizeMinBytes of `{label}` is {size_min_bytes}, and at most {MOST} can be laid out"));
    }
    if *kind == PartitionType::BiosBoot && (partition.format.is_some() || partition.mount_point.is_some()) {
        return Err(format!(
            "the BIOS boot partition `{label}` holds no filesystem: Format and MountPoint do not belong there"
        ));
    }
    if *kind != PartitionType::Root && partition.grow_file_system {
        return Err(format!("only the root partition can grow, `{label}` cannot have GrowFileSystem"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_layout_is_right_and_firmware_with_uefi_has_its_default() {
        assert_eq!(Layout::built_in().len(), BUILT_IN.len());
        for (architecture, partitions) in
            [(Architecture::X86_64, 4), (Architecture::Aarch64, 3), (Architecture::Riscv64, 3)]
        {
            assert_eq!(Layout::default_for(architecture).unwrap().partitions.len(), partitions);
        }
    }

    #[test]
    fn an_architecture_whose_machines_could_not_boot_is_refused_with_the_reason() {
        for (architecture, reason) in [(Architecture::S390x, "zipl"), (Architecture::Ppc64le, "PReP")] {
            let error = Layout::default_for(architecture).unwrap_err().to_string();
            assert!(error.contains(&architecture.to_string()) && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn layouts_that_could_not_work_are_refused_with_the_reason() {
        let text = BUILT_IN[0].1;
        for (from, to, reason) in [
            ("Type = \"xbootldr\"", "Type = \"esp\"", "at most one"),
            ("Type = \"xbootldr\"", "Type = \"bios-boot\"", "exactly one"),
            ("Architecture", "PartitionTable = \"dos\"\nArchitecture", "no BIOS boot"),
            ("Format = \"ext4\"", "", "Xbootldr"),
            ("512M", "1M", "FAT32"),
            ("\"1G\"", "\"99999T\"", "16 TiB"),
            ("Label = \"bios\"", "Labl = \"bios\"", "Labl"),
            ("Label = \"root\"", "Label = \"a-label-longer-than-16\"", "too long"),
        ] {
            let error = Layout::parse("x", &text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(Layout::named("nonesuch").unwrap_err().to_string().contains("built in are: x86_64"));
    }
}
