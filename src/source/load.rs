//! Reading a whole image: documents first, then all layers, several at once.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};

use super::{Error, Limits, Platform, Result, Source, json};
use crate::digest::Digest;
use crate::image::{Contents, Image, Layer, Objects};
use crate::layer::{self, Announced, Compression, Expected, Finished, Watcher};
use crate::progress::{Event, Progress, Task};
use crate::spool::Spool;

/// More layers at once would need more memory than they save time.
const MOST_AT_ONCE: usize = 16;

/// Reads the image for `platform`; contents go to an unnamed file in `spool_dir`. Up to `threads` layers are read at once;
/// neither the answer nor the error depends on how many.
pub fn load(
    source: &dyn Source,
    platform: &Platform,
    spool_dir: &Path,
    threads: usize,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Image> {
    let resolved = source.resolve(platform, limits)?;
    let manifest: ImageManifest = json::parse(&resolved.manifest, "the manifest")?;
    let config: ImageConfiguration = json::parse(&resolved.config, "the config")?;
    let jobs = jobs(&manifest, &config, limits)?;
    let spool = Spool::new_in(spool_dir)?;
    let finished =
        Crew { source, jobs: &jobs, spool: &spool, progress, failed: AtomicUsize::new(usize::MAX) }.run(threads)?;
    let (layers, objects) = assemble(&jobs, finished);
    let labels = config.config().as_ref().and_then(|config| config.labels().clone()).unwrap_or_default();
    Ok(Image {
        manifest_digest: resolved.manifest_digest,
        architecture: config.architecture().to_string(),
        labels: labels.into_iter().collect(),
        created: config.created().clone(),
        ref_name: resolved.ref_name,
        manifest: resolved.manifest,
        config: resolved.config,
        layers,
        contents: Contents { objects, spool },
    })
}

/// One layer to be read.
struct Job {
    descriptor: Descriptor,
    media_type: String,
    expected: Expected,
}

fn jobs(manifest: &ImageManifest, config: &ImageConfiguration, limits: &Limits) -> Result<Vec<Job>> {
    let (layers, diff_ids) = (manifest.layers(), config.rootfs().diff_ids());
    if layers.len() != diff_ids.len() {
        return Err(Error::LayerCount { layers: layers.len(), diff_ids: diff_ids.len() });
    }
    let pairs = layers.iter().zip(diff_ids).enumerate();
    pairs.map(|(index, (descriptor, diff_id))| job(index, descriptor, diff_id, limits)).collect()
}

fn job(index: usize, descriptor: &Descriptor, diff_id: &str, limits: &Limits) -> Result<Job> {
    let blob = json::announced(descriptor, &format!("layer {index}"))?;
    let diff_id = json::digest(diff_id, &format!("the diff_id of layer {index}"))?;
    let media_type = descriptor.media_type().to_string();
    let compression =
        Compression::of(&media_type).map_err(|source| Error::Layer { index, digest: blob.digest, source })?;
    let expected = Expected { blob, diff_id, compression, limit: limits.layer };
    Ok(Job { descriptor: descriptor.clone(), media_type, expected })
}

fn assemble(jobs: &[Job], finished: Vec<Finished>) -> (Vec<Layer>, Objects) {
    let mut objects = Objects::default();
    let mut layers = Vec::with_capacity(jobs.len());
    for (index, (job, finished)) in jobs.iter().zip(finished).enumerate() {
        objects.add_layer(index, finished.applied.objects);
        layers.push(Layer {
            digest: job.expected.blob.digest,
            diff_id: job.expected.diff_id,
            media_type: job.media_type.clone(),
            compressed: job.expected.blob.size,
            uncompressed: finished.uncompressed,
            tree: finished.applied.tree,
        });
    }
    objects.keep_only(layers.iter().map(|layer| &layer.tree));
    (layers, objects)
}

/// The threads that read layers.
struct Crew<'a> {
    source: &'a dyn Source,
    jobs: &'a [Job],
    spool: &'a Spool,
    progress: &'a dyn Progress,
    /// The lowest layer that failed. Those above it are given up; those below go on, since they may fail as well and the
    /// error of the lowest is the one that is told.
    failed: AtomicUsize,
}

impl Crew<'_> {
    fn run(&self, threads: usize) -> Result<Vec<Finished>> {
        let results: Vec<_> = self.jobs.iter().map(|_| Mutex::new(None)).collect();
        let order = self.largest_first();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..threads.clamp(1, MOST_AT_ONCE).min(order.len()) {
                scope.spawn(|| {
                    while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = self.layer(index);
                        *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    }
                });
            }
        });
        // OK to expect: the threads took every index of `order`.
        let result =
            |slot: Mutex<Option<_>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner).expect("a result");
        results.into_iter().map(result).collect()
    }

    /// A large layer begun last would be read alone in the end.
    fn largest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(self.jobs[index].expected.blob.size));
        order
    }

    fn layer(&self, index: usize) -> Result<Finished> {
        let Announced { digest, size } = self.jobs[index].expected.blob;
        let label = format!("layer {} of {} ({})", index + 1, self.jobs.len(), digest.short());
        let task = Task::Layer(index);
        self.progress.report(&Event::Begin { task, label: &label, total: Some(size) });
        let result = self.read(index, digest);
        self.progress.report(&Event::End { task });
        if result.is_err() {
            self.failed.fetch_min(index, Ordering::Relaxed);
        }
        result
    }

    fn read(&self, index: usize, digest: Digest) -> Result<Finished> {
        let job = &self.jobs[index];
        let watch = Watch { crew: self, index };
        if watch.is_stopped() {
            return Err(Error::Layer { index, digest, source: layer::Error::Stopped });
        }
        let blob = self.source.blob(&job.descriptor);
        let blob = blob.map_err(|source| Error::LayerBlob { index, digest, source: Box::new(source) })?;
        layer::run(blob, &job.expected, self.spool, &watch).map_err(|source| Error::Layer { index, digest, source })
    }
}

/// Ties a layer to the crew.
struct Watch<'a> {
    crew: &'a Crew<'a>,
    index: usize,
}

impl Watcher for Watch<'_> {
    fn advance(&self, bytes: u64) {
        self.crew.progress.report(&Event::Advance { task: Task::Layer(self.index), by: bytes });
    }

    fn is_stopped(&self) -> bool {
        self.crew.failed.load(Ordering::Relaxed) < self.index
    }
}
