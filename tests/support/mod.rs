//! What tests of several files share: images made on the fly, running the program, taking disks apart.

pub mod chunked;
pub mod cosign;
pub mod disk;
pub mod gpg;
pub mod importer;
pub mod mini_image;
pub mod mounted;
pub mod nginx;
pub mod program;
pub mod registry;
pub mod repository;
pub mod repository_of_registry;
pub mod selinux;
pub mod shelf;
pub mod store;
pub mod sysroot;
pub mod tar;
pub mod walk;
pub mod way;
