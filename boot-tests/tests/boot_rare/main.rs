//! Disks that few have, booted in QEMU and judged from inside. They take minutes and packages of their own, so they are only
//! there with the feature `matrix`.

mod bootupd;
mod selinux;
