//! Disks that the tool builds, booted in QEMU and judged from inside. Each test is one disk and takes minutes; all are in one
//! binary, so that as many run side by side as there are processors.

mod configured;
mod life;
mod ostree_server;
mod syslinux;
mod systemd_boot;
