//! GRUB for BIOS, made of an image's own modules: `core.img` and the code of the first sector (GRUB `util/mkimage.c`,
//! `util/setup.c`, platform i386-pc).
//!
//! Nothing of GRUB runs here: an image is its kernel, its modules and a configuration, compressed behind a loader that is found
//! by its place on the disk. Which modules, and what the configuration says, is not known here.

mod core_image;
mod embed;
mod kernel;

pub use core_image::{Parts, core_image, payload};
pub use embed::{CODE, Embedded, embed};

/// Bytes of a sector; GRUB's boot sector knows no others.
pub const SECTOR: usize = 512;

/// Why these files make no GRUB.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{file}` is not what GRUB for i386-pc has: {what}")]
    Malformed { file: &'static str, what: &'static str },

    #[error("the module `{name}` is missing")]
    MissingModule { name: String },

    #[error("core.img has {bytes} bytes, and GRUB's loader takes {limit}")]
    TooLarge { bytes: usize, limit: usize },

    #[error("core.img needs {need} sectors, and its place on the disk has {room}")]
    NoRoom { need: usize, room: u64 },

    #[error("core.img cannot be compressed: {0}")]
    Compression(String),
}
