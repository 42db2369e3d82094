//! A streaming reader of tar: v7, ustar, pax and GNU, with their sparse files (POSIX.1-2001 pax; GNU tar manual, "Tar Internals").
//!
//! It answers with entries as they stand in the stream; what paths mean is decided in `layer/apply` and `layer/encapsulated`.
//! User names, device numbers and the times in PAX records are not read, because no object holds them. Writing tar is not here.

mod body;
mod entry;
mod error;
mod header;
mod input;
mod pax;
mod reader;
mod sparse;

pub use entry::{Entry, Kind, Piece};
pub use error::Error;
pub use input::Input;
pub use pax::Xattr;
pub use reader::Reader;
