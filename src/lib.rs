//! bootwright: from a bootable container to a disk that boots, as plain data.
//!
//! ```text
//! image_ref → source, layer → image, spool → ostree, deploy → customize → plan → disk → output
//! ```
//!
//! `build` is the sentence that connects the rooms. Rooms marked as leaves (`ostree`, `composefs`, `containers_conf`, `ext4`, `fat`,
//! `qcow2`, `grub_pc`, `grub_efi`, `syslinux`, `http`, `selinux`, `trust`) know nothing of the others; `container_trust` stands on
//! `trust`. Only `cli` prints.

pub mod bootloader;
pub mod build;
pub mod cache;
pub mod cli;
pub mod composefs;
pub mod config;
pub mod container_trust;
pub mod containers_conf;
pub mod customize;
pub mod deploy;
pub mod digest;
pub mod disk;
pub mod ext4;
pub mod fat;
pub mod grub_efi;
pub mod grub_module;
pub mod grub_pc;
pub mod http;
pub mod image;
pub mod image_ref;
pub mod inspect;
pub mod layer;
pub mod layout;
pub mod os;
pub mod ostree;
pub mod output;
mod page_buffer;
pub mod plan;
pub mod progress;
pub mod qcow2;
pub mod report;
pub mod request;
pub mod seed;
pub mod selinux;
pub mod smoke;
pub mod source;
pub mod spool;
pub mod survey;
pub mod syslinux;
pub mod tree;
pub mod trust;
pub mod units;
