//! What the boot tests have in common: disks built by the tool, and guests that are asked from inside.

pub mod disk;
pub mod guest;
pub mod life;
pub mod login;
pub mod system;
