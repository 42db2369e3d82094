//! How the image wants to be installed: the merged `[install]` table of `bootc/install/*.toml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::{Architecture, CONFIG_LIMIT, OsError};
use crate::tree::Files;

/// In order of growing precedence; a file replaces one of the same name from an earlier directory.
const DIRECTORIES: [&str; 3] = ["usr/lib/bootc/install", "usr/local/lib/bootc/install", "usr/etc/bootc/install"];

/// The filesystems that an image may name for its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RootFilesystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl fmt::Display for RootFilesystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RootFilesystem::Ext4 => "ext4",
            RootFilesystem::Xfs => "xfs",
            RootFilesystem::Btrfs => "btrfs",
        })
    }
}

/// What the image asks of its installer. Absent means that the image says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallConfig {
    pub root_filesystem: Option<RootFilesystem>,
    pub kargs: Vec<String>,
    pub karg_deletes: Vec<String>,
    pub stateroot: Option<String>,
    pub root_mount_spec: Option<String>,
    /// Empty: no /boot line in fstab and no `boot=` argument.
    pub boot_mount_spec: Option<String>,
    pub bootloader: Option<String>,
    pub bls_append_except_default: Option<String>,
    pub enforce_container_sigpolicy: bool,
}

#[derive(Deserialize)]
struct File {
    install: Option<Table>,
}

/// bootc's table. Keys that concern block devices and discoverable partitions are read, so that a file holding them is accepted;
/// the disk's layout decides those here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    root_fs_type: Option<RootFilesystem>,
    filesystem: Option<Filesystem>,
    kargs: Option<Vec<String>>,
    karg_deletes: Option<Vec<String>>,
    match_architectures: Option<Vec<String>>,
    ostree: Option<Ostree>,
    stateroot: Option<String>,
    root_mount_spec: Option<String>,
    boot_mount_spec: Option<String>,
    bootloader: Option<String>,
    enforce_container_sigpolicy: Option<bool>,
    #[serde(rename = "block")]
    _block: Option<toml::Value>,
    #[serde(rename = "bootupd")]
    _bootupd: Option<toml::Value>,
    #[serde(rename = "discoverable-partitions")]
    _discoverable_partitions: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filesystem {
    root: Option<Root>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    #[serde(rename = "type")]
    kind: Option<RootFilesystem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Ostree {
    bls_append_except_default: Option<String>,
}

impl InstallConfig {
    /// Merges the files in order of their names; lists append, other values are replaced.
    pub fn read(files: &Files<'_>, architecture: Architecture) -> Result<InstallConfig, OsError> {
        let mut by_name = BTreeMap::new();
        for directory in DIRECTORIES {
            for name in files.list(directory)?.into_iter().filter(|name| name.ends_with(".toml")) {
                by_name.insert(name.clone(), format!("{directory}/{name}"));
            }
        }
        let mut config = InstallConfig::default();
        for path in by_name.into_values() {
            let text = files.read_text(&path, CONFIG_LIMIT)?.unwrap_or_default();
            let file: File = toml::from_str(&text)
                .map_err(|error| OsError::Config { path, message: error.to_string().trim_end().to_owned() })?;
            if let Some(table) = file.install {
                config.apply(table, architecture);
            }
        }
        Ok(config)
    }

    fn apply(&mut self, table: Table, architecture: Architecture) {
        if table.match_architectures.is_some_and(|names| !names.iter().any(|name| name == architecture.rust())) {
            return;
        }
        let named = table.filesystem.and_then(|filesystem| filesystem.root).and_then(|root| root.kind);
        replace(&mut self.root_filesystem, named.or(table.root_fs_type));
        replace(&mut self.stateroot, table.stateroot);
        replace(&mut self.root_mount_spec, table.root_mount_spec);
        replace(&mut self.boot_mount_spec, table.boot_mount_spec);
        replace(&mut self.bootloader, table.bootloader);
        replace(&mut self.bls_append_except_default, table.ostree.and_then(|ostree| ostree.bls_append_except_default));
        self.enforce_container_sigpolicy =
            table.enforce_container_sigpolicy.unwrap_or(self.enforce_container_sigpolicy);
        self.kargs.extend(table.kargs.unwrap_or_default());
        self.karg_deletes.extend(table.karg_deletes.unwrap_or_default());
    }
}

fn replace<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(files: &[&str]) -> InstallConfig {
        let mut config = InstallConfig::default();
        for text in files {
            config.apply(toml::from_str::<File>(text).unwrap().install.unwrap(), Architecture::X86_64);
        }
        config
    }

    #[test]
    fn later_files_replace_values_and_append_arguments() {
        let config = merged(&[
            "[install]\nkargs = ['a']\nroot-fs-type = 'xfs'\nstateroot = 'one'",
            "[install]\nkargs = ['b']\n[install.filesystem.root]\ntype = 'ext4'",
            "[install]\nmatch-architectures = ['s390x']\nkargs = ['c']",
        ]);
        assert_eq!(config.kargs, ["a", "b"]);
        assert_eq!(config.root_filesystem, Some(RootFilesystem::Ext4));
        assert_eq!(config.stateroot.as_deref(), Some("one"));
    }

    #[test]
    fn unknown_keys_of_the_table_are_errors_and_other_tables_are_not() {
        assert!(toml::from_str::<File>("[install]\nkarg = ['a']").is_err());
        assert!(toml::from_str::<File>("[other]\nkey = 1").is_ok());
    }
}
