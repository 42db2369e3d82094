//! All tests of the library and the program, in one binary: it is linked once, and the tests of every file share the processors
//! to the end. `cargo test --test suite registry::` runs those of one file.
//!
//! `qemu_tests::oracle` calls other people's tools, `judges` knows what single ones of them say, `support` makes what is tested, and
//! `layout` images in memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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
mod hints;
mod inspect;
mod inspect_source;
mod inspect_text;
mod judges;
mod layer;
mod layout;
mod loaders;
mod memory;
mod odd_layers;
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

#[test]
fn every_file_of_this_directory_is_part_of_the_suite() {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect();
    let modules = include_str!("main.rs").lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let missing: Vec<_> =
        files.iter().filter(|file| *file != "main" && !modules.clone().any(|it| it == *file)).collect();
    assert!(missing.is_empty(), "a `mod` line is missing for {missing:?}");
}
