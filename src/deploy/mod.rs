//! The ostree sysroot of a fresh disk: repository, stateroot, deployment, boot files and boot entry, as two trees in memory.
//!
//! Follows what `bootc install` leaves behind. How the trees become filesystems is not here.

mod aleph;
mod boot_check;
mod boot_entry;
mod boot_files;
mod checkout;
mod composefs_image;
mod fstab;
mod go_json;
mod growth;
mod import;
mod kernel_arguments;
mod label_sysroot;
mod labels;
mod outside_usr;
mod remote;
mod repository;
mod stateroot;
mod sysroot;
mod target;
mod target_image;

pub use aleph::version as image_version;
pub use boot_check::can_be_placed as checks_boot;
pub use boot_entry::BootEntry;
pub use checkout::CommitTree;
pub use growth::Grower;
pub use import::{Imported, created, import, refuse_unsupported};
pub use kernel_arguments::{KernelArguments, RootMount, check_argument};
pub use label_sysroot::label_sysroot;
pub use labels::{label_everything, label_layers};
pub use outside_usr::leave_out_what_is_outside_usr;
pub use remote::{Remote, RemoteKeys, ShippedRemote, shipped as shipped_remotes};
pub use stateroot::check_name as check_stateroot;
pub use sysroot::{Options, Sysroot, sysroot};
pub use target::{Refspec, Target};
pub use target_image::TargetImage;

use crate::tree::ReadError;

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Ostree(#[from] crate::ostree::Error),
    #[error(transparent)]
    Spool(#[from] crate::spool::SpoolError),
    #[error(transparent)]
    Composefs(#[from] crate::composefs::Error),
    #[error("the image is no bootable container: it has neither the label `containers.bootc` nor `ostree.bootable`")]
    NoBootableLabel,
    #[error("the image's {what} is not what the OCI specification describes: {message}")]
    ImageJson { what: &'static str, message: String },
    #[error("the image's creation time `{text}` is no RFC 3339 date")]
    Created { text: String },
    #[error(
        "`{name}` is not a name for a stateroot: letters, digits, `_`, `-` and `.` make one, and a letter, digit or `_` begins it"
    )]
    Stateroot { name: String },
    #[error("the target image reference `{reference}` is not one: {reason}")]
    Target { reference: String, reason: &'static str },
    #[error("`{path}` of the commit: {message}")]
    Remote { path: String, message: String },
    #[error("the kernel version {version:?} (the directory below usr/lib/modules) cannot stand in a boot entry")]
    KernelVersion { version: String },
    #[error("`{path}` is one of ostree's embedded whiteouts, and laying those down is not supported yet")]
    EmbeddedWhiteout { path: String },
    #[error("the kernel argument `{argument}` cannot be used: {reason}")]
    KernelArgument { argument: String, reason: String },
    #[error(
        "the boot menu cannot show the system's name `{title}` (PRETTY_NAME in os-release, and the commit's version): {reason}"
    )]
    Title { title: String, reason: String },
    #[error("the object {0} is named by a tree of the image, but the image does not bring it")]
    MissingObject(crate::ostree::Checksum),
}
