//! The one pass: threads gather chunks of the disk and hand each to every output.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::checksums::{self, RawChecksum};
use super::chunk::{Buffers, Chunks};
use super::order;
use super::qcow2::Qcow2;
use super::raw::Raw;
use super::spool_room::SpoolRoom;
use super::{Disk, OutputError, OutputType, Sha256Text, Sink, Staging, Worker};
use crate::progress::{Event, Progress, Task};
use crate::qcow2::Compression;
use crate::spool::Spool;

pub struct Options<'a> {
    pub types: &'a [OutputType],
    pub compression: Compression,
    pub checksums: bool,
    pub threads: usize,
}

/// An output that is written but not yet renamed.
pub struct Written {
    pub kind: OutputType,
    pub bytes: u64,
    pub sha256: Option<Sha256Text>,
}

/// Writes the disk in all formats asked for. The spool is used up by it.
pub fn write(
    disk: &Disk,
    spool: &Spool,
    staging: &mut Staging,
    options: &Options<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Written>, OutputError> {
    let mut files: Vec<(OutputType, File, PathBuf)> = Vec::new();
    let mut sinks: Vec<Box<dyn Sink + '_>> = Vec::new();
    let raw_checksum = RawChecksum::new(disk.bytes);
    for &kind in options.types {
        let (file, path) = staging.create(kind.path())?;
        let other = file.try_clone().map_err(OutputError::io("opening", &path))?;
        match kind {
            OutputType::Raw => sinks.push(Box::new(Raw::new(other, &path, disk.bytes)?)),
            OutputType::Qcow2 => sinks.push(Box::new(Qcow2::new(other, disk.bytes, options.compression)?)),
        }
        files.push((kind, file, path));
    }
    let hash_raw = options.checksums && options.types.contains(&OutputType::Raw);
    let feeds: Vec<&dyn Sink> =
        sinks.iter().map(|sink| &**sink).chain(hash_raw.then_some(&raw_checksum as &dyn Sink)).collect();
    progress.report(&Event::Begin { task: Task::Write, label: "write the disk", total: Some(disk.data_bytes()) });
    run(disk, spool, &feeds, options.threads, progress)?;
    sinks.iter().try_for_each(|sink| sink.finish())?;
    let mut raw_text = if hash_raw { raw_checksum.text() } else { None };
    let mut written = Vec::new();
    for (kind, file, path) in files {
        let bytes = file.metadata().map_err(OutputError::io("reading the size of", &path))?.len();
        let sha256 = match kind {
            OutputType::Raw => raw_text.take(),
            _ if options.checksums => Some(checksums::of_file(&file).map_err(OutputError::io("reading back", &path))?),
            _ => None,
        };
        written.push(Written { kind, bytes, sha256 });
    }
    progress.report(&Event::End { task: Task::Write });
    Ok(written)
}

/// Lets the threads loose on the chunks. The first error wins; it stops the others at their next chunk.
fn run(
    disk: &Disk,
    spool: &Spool,
    sinks: &[&dyn Sink],
    threads: usize,
    progress: &dyn Progress,
) -> Result<(), OutputError> {
    let chunks = Chunks::of(disk);
    let room = SpoolRoom::new(&chunks, spool);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failure: Mutex<Option<OutputError>> = Mutex::new(None);
    let work = || -> Result<(), OutputError> {
        let mut workers: Vec<Box<dyn Worker + '_>> =
            sinks.iter().map(|sink| sink.worker()).collect::<Result<_, _>>()?;
        let mut buffers = Buffers::default();
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= chunks.len() {
                break;
            }
            let chunk = chunks.read(index, spool, &mut buffers)?;
            room.was_read(index)?;
            workers.iter_mut().try_for_each(|worker| worker.chunk(&chunk))?;
            let data = chunk.data.iter().map(|range| range.len() as u64).sum(); // usize is at most 64 bits
            progress.report(&Event::Advance { task: Task::Write, by: data });
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, order::WINDOW) {
            scope.spawn(|| {
                if let Err(error) = work() {
                    stop.store(true, Ordering::Relaxed);
                    sinks.iter().for_each(|sink| sink.abort());
                    failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), Err)
}
