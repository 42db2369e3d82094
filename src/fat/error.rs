//! What can go wrong in the `fat` room: a wish FAT32 cannot fulfil, or bytes that are not a sound FAT volume.

/// Errors of writing and of reading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a FAT volume consists of 512-byte sectors, {size} bytes are not a multiple")]
    SizeNotWholeSectors { size: u64 },
    #[error("{size} bytes are too small for FAT32, which needs at least {least} bytes")]
    TooSmallForFat32 { size: u64, least: u64 },
    #[error("{size} bytes are too large for FAT32, which ends at {most} bytes")]
    TooLargeForFat32 { size: u64, most: u64 },
    #[error("the files need {need} bytes in clusters of {cluster}, the volume has {have}")]
    FilesDoNotFit { need: u64, have: u64, cluster: u32 },
    #[error("`{path}` has {size} bytes, a FAT file ends at 4294967295")]
    FileTooLarge { path: String, size: u64 },
    #[error("the directory of `{path}` needs {slots} entries, FAT allows 65536")]
    DirectoryTooLarge { path: String, slots: usize },
    #[error("`{path}` cannot be on FAT: {why}")]
    BadPath { path: String, why: &'static str },
    #[error("`{path}` and `{other}` are the same name on FAT")]
    SameName { path: String, other: String },
    #[error("volume label `{label}` cannot be on FAT: {why}")]
    BadLabel { label: String, why: &'static str },
    #[error("not a FAT volume: {0}")]
    NotFat(&'static str),
    #[error("damaged FAT volume: entry of cluster {cluster} says {next}, there are {clusters} clusters")]
    BadChain { cluster: u32, next: u32, clusters: u32 },
    #[error("damaged FAT volume: {0}")]
    Damaged(&'static str),
    #[error("`{path}` has {size} bytes, more than the {limit} it may have here")]
    OverLimit { path: String, size: u64, limit: u64 },
    #[error("reading the FAT volume: {0}")]
    Io(#[from] std::io::Error),
}
