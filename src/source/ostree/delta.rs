//! The objects of a static delta, on their way into the spool.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::super::crew::Crew;
use super::fetch::symlink;
use super::pull::Pulled;
use super::{Error, Repository, Result};
use crate::image::{Object, Payload};
use crate::ostree::delta::{DeltaObject, Superblock};
use crate::ostree::{FileMeta, ObjectKind, ObjectName};
use crate::progress::{Event, Progress, Task};
use crate::spool::{Spool, SpoolWriter};

/// More parts at once would need more memory than they save time: each is held as a whole.
const MOST_AT_ONCE: usize = 4;

/// What a delta brings: files are in the spool, objects of other kinds stand by.
#[derive(Default)]
pub struct FromDelta {
    pub pulled: Pulled,
    pub metadata: BTreeMap<ObjectName, Vec<u8>>,
}

/// Fetches all parts.
pub fn fetch(
    repository: &dyn Repository,
    superblock: &Superblock,
    spool: &Spool,
    processors: usize,
    progress: &dyn Progress,
) -> Result<FromDelta> {
    let total = superblock.parts.iter().map(|part| part.size).sum();
    progress.report(&Event::Begin { task: Task::Delta, label: "fetch the static delta", total: Some(total) });
    let order: Vec<usize> = (0..superblock.parts.len()).collect();
    let found = Mutex::new(FromDelta::default());
    let work = |writer: &mut SpoolWriter<'_>, index: usize| {
        part(repository, superblock, index, writer, &found)?;
        progress.report(&Event::Advance { task: Task::Delta, by: superblock.parts[index].size });
        Ok::<_, Error>(())
    };
    let end = |mut writer: SpoolWriter<'_>| Ok(writer.flush()?);
    Crew::new(processors.min(MOST_AT_ONCE)).run(&order, || spool.writer(), work, end)?;
    progress.report(&Event::End { task: Task::Delta });
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn part(
    repository: &dyn Repository,
    superblock: &Superblock,
    index: usize,
    writer: &mut SpoolWriter<'_>,
    found: &Mutex<FromDelta>,
) -> Result<()> {
    let (to, part) = (superblock.to, &superblock.parts[index]);
    let bytes = match &part.inline {
        Some(bytes) => Cow::Borrowed(&bytes[..]),
        None => Cow::Owned(repository.delta_part(to, index, part.size)?),
    };
    let inflated = part.inflate(&bytes).map_err(|source| Error::DeltaPart { to, part: index, source })?;
    drop(bytes);
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    let handed = part.objects(&inflated, &mut |name, object| match object {
        DeltaObject::Metadata(bytes) => {
            if name.kind != ObjectKind::Commit {
                lock().metadata.insert(name, bytes.to_vec());
            }
            Ok(())
        }
        DeltaObject::File(meta, content) => {
            let object = file(name, meta, content, writer)?;
            lock().pulled.keep(name.checksum, object)
        }
    });
    handed.map_err(|source| Error::Delta { to, source })?
}

fn file(name: ObjectName, meta: FileMeta, content: &[u8], writer: &mut SpoolWriter<'_>) -> Result<Object> {
    let payload = if meta.is_symlink() { symlink(name, &meta)? } else { Payload::Regular(writer.append(content)?) };
    let FileMeta { uid, gid, mode, xattrs, .. } = meta;
    Ok(Object { uid, gid, mode, xattrs, payload })
}
