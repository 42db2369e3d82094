//! Partition layouts as they are written in `partition-layouts/`: data, read and checked for shape. Sizes are decided in `plan`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::os::Architecture;
use crate::units::{Bytes, MIB, TIB};

/// The layouts that come with the program: name and text.
const BUILT_IN: [(&str, &str); 1] = [("x86_64", include_str!("../../partition-layouts/x86_64.toml"))];

const LEAST_ESP: Bytes = Bytes(34 * MIB);
/// What ext4 with blocks of 4 KiB and 32-bit block numbers reaches.
const MOST: Bytes = Bytes(16 * TIB);

#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error("there is no layout `{name}`; built in are: {known}")]
    Unknown { name: String, known: String },
    #[error("there is no layout for {0} yet")]
    NoneForArchitecture(Architecture),
    #[error("the layout {} could not be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the layout `{name}` is not right: {message}")]
    Parse { name: String, message: String },
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

    /// Whether there is a place for a boot loader that a BIOS starts.
    pub fn has_bios_boot(&self) -> bool {
        self.partitions.iter().any(|partition| partition.kind == PartitionType::BiosBoot)
    }

    fn is_for(&self, architecture: Architecture) -> bool {
        self.architecture.as_ref().is_some_and(|name| name.parse() == Ok(architecture))
    }

    fn check(&self) -> Result<(), String> {
        for (kind, mount_point, format) in [
            (PartitionType::Esp, "/boot/efi", Some(Format::Vfat)),
            (PartitionType::Xbootldr, "/boot", Some(Format::Ext4)),
            (PartitionType::Root, "/", None),
        ] {
            let mut of_kind = self.partitions.iter().filter(|partition| partition.kind == kind);
            let (Some(partition), None) = (of_kind.next(), of_kind.next()) else {
                return Err(format!("it needs exactly one partition of type {kind:?}"));
            };
            if partition.mount_point.as_deref() != Some(mount_point) || partition.format != format {
                let with = format
                    .map_or_else(|| "no Format (--rootfs says it)".to_owned(), |format| format!("Format {format:?}"));
                return Err(format!("the partition of type {kind:?} needs MountPoint \"{mount_point}\" and {with}"));
            }
        }
        for partition in &self.partitions {
            check_sizes(partition)?;
        }
        if let Some(long) = self.partitions.iter().find(|partition| partition.label.encode_utf16().count() > 36) {
            return Err(format!("the label `{}` has more than the 36 characters that GPT keeps", long.label));
        }
        let short = |partition: &&Partition| match partition.kind {
            PartitionType::BiosBoot => false,
            PartitionType::Esp => partition.label.len() > 11,
            PartitionType::Xbootldr | PartitionType::Root => partition.label.len() > 16,
        };
        if let Some(long) = self.partitions.iter().find(short) {
            return Err(format!(
                "the label `{}` is too long for its filesystem: 11 characters in vfat, 16 in ext4",
                long.label
            ));
        }
        match self.partitions.last() {
            Some(last) if last.kind == PartitionType::Root => Ok(()),
            _ => Err("the root partition has to come last, so that it can grow".to_owned()),
        }
    }
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
    fn every_built_in_layout_is_right_and_x86_64_has_its_default() {
        assert_eq!(Layout::built_in().len(), BUILT_IN.len());
        assert_eq!(Layout::default_for(Architecture::X86_64).unwrap().partitions.len(), 4);
        assert!(Layout::default_for(Architecture::S390x).is_err());
    }

    #[test]
    fn layouts_that_could_not_work_are_refused_with_the_reason() {
        let text = BUILT_IN[0].1;
        for (from, to, reason) in [
            ("Type = \"xbootldr\"", "Type = \"esp\"", "exactly one"),
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
