//! Boot loaders: which files of the image go where on the ESP and on /boot, and the configuration they read.
//!
//! Loaders come out of the image and are not changed, so that signatures hold; GRUB for BIOS is put together from its modules.

mod grub;
mod grub_bios;

use std::collections::BTreeMap;

pub use grub::{Grub, GrubBoot};
pub use grub_bios::BiosCode;

use crate::os::Architecture;

#[derive(Debug, thiserror::Error)]
pub enum BootloaderError {
    #[error("the image has no GRUB for UEFI on {architecture}: none was found below {places}")]
    NoGrub { architecture: Architecture, places: &'static str },
    #[error("{0} has no UEFI, and GRUB for UEFI is the only boot loader supported yet")]
    NoUefi(Architecture),
    #[error(
        "the GRUB `{path}` can show boot entries with neither `blscfg` nor `{missing}`: it lacks the modules, and Secure Boot \
         forbids loading them from disk"
    )]
    CannotReadEntries { path: String, missing: String },
    #[error("`{path}` of the image could not be read back: {source}")]
    Read { path: String, source: crate::spool::SpoolError },
    #[error(transparent)]
    File(#[from] crate::tree::ReadError),
}

/// Files that a boot loader adds, by their path on the filesystem.
#[derive(Debug, Default)]
pub struct LoaderFiles {
    pub esp: BTreeMap<String, Vec<u8>>,
    pub boot: BTreeMap<String, Vec<u8>>,
    /// For the first sector and the BIOS boot partition.
    pub bios: Option<BiosCode>,
    /// What was chosen and why, for the report.
    pub summary: Summary,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Summary {
    pub loader: String,
    /// The image's files that were used.
    pub files: Vec<String>,
    /// Whether a signed shim starts a signed GRUB.
    pub secure_boot: bool,
    pub firmware: String,
    pub reason: String,
}

impl Summary {
    /// Of a disk without a boot loader.
    pub fn none() -> Summary {
        let reason = "no boot loader was asked for".to_owned();
        Summary {
            loader: "none".to_owned(),
            firmware: "does not boot by itself".to_owned(),
            reason,
            ..Summary::default()
        }
    }
}
