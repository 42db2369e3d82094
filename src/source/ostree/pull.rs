//! All objects of a commit out of a repository: directories lead to more directories and to files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::fetch::{self, Fetcher};
use super::queue::Queue;
use super::tree::Directories;
use super::{Error, Repository, Result};
use crate::image::Object;
use crate::ostree::{Checksum, ObjectKind, ObjectName};
use crate::progress::{Event, Progress, Task};
use crate::spool::Spool;

/// What all contents of one commit may take.
const CONTENTS: u64 = 64 << 30;

/// Fetches objects, several at once.
pub struct Pull<'a> {
    pub repository: &'a dyn Repository,
    pub spool: &'a Spool,
    pub threads: usize,
    pub progress: &'a dyn Progress,
    /// Objects that need not be fetched.
    pub known: &'a BTreeMap<ObjectName, Vec<u8>>,
}

/// What came of it.
#[derive(Default)]
pub struct Pulled {
    pub directories: Directories,
    /// Looked up only, so its order does not show.
    pub files: HashMap<Checksum, Object>,
    contents: u64,
}

impl Pull<'_> {
    /// Fetches the objects named and, where they are directories, all below them; files below only `with_files`.
    pub fn run(&self, pulled: Pulled, roots: Vec<ObjectName>, with_files: bool) -> Result<Pulled> {
        self.progress.report(&Event::Begin { task: Task::Pull, label: "fetch objects", total: Some(0) });
        let queue = Queue::new();
        let pulled = Mutex::new(pulled);
        self.add(&queue, false, roots);
        let member = || {
            let mut fetcher = Fetcher::new(self.repository, self.spool.writer());
            queue.work(|name| self.piece(&queue, &pulled, &mut fetcher, name, with_files))?;
            fetcher.finish()
        };
        thread::scope(|scope| {
            let members: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(member)).collect();
            let join = |member: thread::ScopedJoinHandle<'_, Result<()>>| {
                member.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            // All are waited for; of several errors the first thread's is told.
            members.into_iter().map(join).fold(Ok(()), Result::and)
        })?;
        self.progress.report(&Event::End { task: Task::Pull });
        Ok(pulled.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn piece(
        &self,
        queue: &Queue<ObjectName>,
        pulled: &Mutex<Pulled>,
        fetcher: &mut Fetcher<'_>,
        name: ObjectName,
        with_files: bool,
    ) -> Result<()> {
        let lock = || pulled.lock().unwrap_or_else(PoisonError::into_inner);
        if name.kind == ObjectKind::File && lock().files.contains_key(&name.checksum) {
            // A delta brought it.
        } else if name.kind == ObjectKind::File {
            let object = self.file(fetcher, name.checksum)?;
            lock().keep(name.checksum, object)?;
        } else {
            let known = self.known.get(&name).cloned();
            let bytes = known.map_or_else(|| fetch::required(self.repository, name), Ok)?;
            let (directories, files) = lock().directories.add(name, bytes)?;
            self.add(queue, true, directories);
            if with_files {
                self.add(queue, false, files);
            }
        }
        self.progress.report(&Event::Advance { task: Task::Pull, by: 1 });
        Ok(())
    }

    fn add(&self, queue: &Queue<ObjectName>, urgent: bool, names: Vec<ObjectName>) {
        let by = queue.add(urgent, names);
        self.progress.report(&Event::Grow { task: Task::Pull, by });
    }

    fn file(&self, fetcher: &mut Fetcher<'_>, checksum: Checksum) -> Result<Object> {
        let mut fetch = || fetcher.file(checksum, CONTENTS);
        match self.repository.retry() {
            Some(retry) => retry.run(fetch),
            None => fetch(),
        }
    }
}

impl Pulled {
    /// Adds a file.
    pub fn keep(&mut self, checksum: Checksum, object: Object) -> Result<()> {
        self.contents = self.contents.saturating_add(object.len());
        if self.contents > CONTENTS {
            return Err(Error::TooLarge { what: "the commit's files together".into(), limit: CONTENTS });
        }
        self.files.insert(checksum, object);
        Ok(())
    }
}
