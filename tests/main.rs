//! All tests of the library and the program, in one binary: it is linked once, and the tests of every file share the processors
//! to the end. `cargo test --test suite registry::` runs those of one file.
//!
//! `oracle` calls other people's tools, `judges` knows what single ones of them say, `support` makes what is tested, and `layout`
//! images in memory.

mod bad_input;
mod bootupd;
mod cache;
mod chunked;
mod chunked_bad;
mod chunked_commits;
mod cli;
mod commits;
mod composefs;
mod composefs_root;
mod container_trust;
mod customize;
mod disk;
mod esp_mirror;
mod ext4;
mod ext4_mount;
mod ext4_properties;
mod fat;
mod fat_read;
mod grub_bios;
mod grub_efi;
mod hardship;
mod inspect;
mod inspect_source;
mod inspect_text;
mod judges;
mod layer;
mod layout;
mod loaders;
mod odd_layers;
mod oracle;
mod ostree;
mod ostree_layers;
mod ostree_local;
mod ostree_remote;
mod ostree_tls;
mod ostree_trust;
mod ostree_vectors;
mod pull_secret;
mod qcow2;
mod registry;
mod reproducible;
mod selinux;
mod selinux_disk;
mod shadow_utils;
mod signed_images;
mod smoke;
mod source;
mod stores;
mod support;
mod syslinux;
mod sysroot;
mod sysroot_tree;
mod tar;
mod upgrade;
