//! What the boot tests have in common: disks built by the tool, and guests that are asked from inside.
#![allow(dead_code)] // Every test binary uses its own part of this module.

pub mod disk;
pub mod guest;
pub mod life;
pub mod login;
#[path = "../../../tests/support/server.rs"]
pub mod server;
pub mod system;
