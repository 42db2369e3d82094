//! Reading a whole image: documents first, then all layers, several at once.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};

use super::assemble::{Assembled, assemble};
use super::crew::Crew;
use super::encapsulated::Composition;
use super::{Error, Limits, Parsed, Resolved, Result, Source, json};
use crate::cache::{Cache, Cached};
use crate::digest::Digest;
use crate::image::{Contents, Image, LayerBlob};
use crate::layer::{self, Compression, Expected, Finished, Memory, Role, Watcher};
use crate::progress::{Event, Progress, Task};
use crate::spool::Spool;

/// More layers at once would need more memory than they save time.
const MOST_AT_ONCE: usize = 16;

/// Docker stacks 127 layers and the kernel 500; each may need an open file here.
const MOST_LAYERS: usize = 512;

/// Where what is read goes.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// Unnamed files are made here.
    pub spool_dir: &'a Path,
    /// Layers are taken from here, and those that are not there are entered.
    pub cache: Option<&'a Cache>,
}

/// Reads the layers of the image that was found. Up to `threads` layers are read
/// at once, or as many as the source likes; the answer does not depend on how many, and the error only where an image needs too much
/// memory and is wrong otherwise as well.
pub fn load(
    source: &dyn Source,
    resolved: Resolved,
    room: &Room<'_>,
    threads: usize,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Image> {
    let parsed = resolved.parsed()?;
    let labels = parsed.labels();
    let Parsed { manifest, config } = parsed;
    let composition = Composition::of(&labels, config.rootfs().diff_ids())?;
    let jobs = jobs(source, &manifest, &config, composition, limits)?;
    let spool = Spool::new_in(room.spool_dir)?;
    let crew = Crew::new(threads.max(source.at_once()).min(MOST_AT_ONCE));
    let layers = Layers {
        source,
        jobs: &jobs,
        spool: &spool,
        memory: Memory::new(limits.memory),
        cache: room.cache,
        cache_is_full: AtomicBool::new(false),
        progress,
        crew,
    };
    let finished = layers.read_all()?;
    let read = jobs.iter().zip(finished).map(|(job, finished)| (job.blob(finished.uncompressed), finished.unpacked));
    let Assembled { base, layers, objects, warnings } = assemble(composition, read, &labels)?;
    let mut image = Image {
        manifest_digest: resolved.manifest_digest,
        architecture: config.architecture().to_string(),
        labels,
        created: config.created().clone(),
        ref_name: resolved.ref_name,
        accepted: None,
        manifest: resolved.manifest,
        config: resolved.config,
        base,
        layers,
        contents: Contents { objects, spool },
        warnings,
    };
    image.drop_unnamed_objects();
    Ok(image)
}

/// One layer to be read.
struct Job {
    /// In the manifest.
    listed: Descriptor,
    digest: Digest,
    /// What the source gives for it.
    kept: Descriptor,
    expected: Expected,
}

fn jobs(
    source: &dyn Source,
    manifest: &ImageManifest,
    config: &ImageConfiguration,
    composition: Composition,
    limits: &Limits,
) -> Result<Vec<Job>> {
    let (layers, diff_ids) = (manifest.layers(), config.rootfs().diff_ids());
    if layers.len() != diff_ids.len() {
        return Err(Error::LayerCount { layers: layers.len(), diff_ids: diff_ids.len() });
    }
    if layers.len() > MOST_LAYERS {
        return Err(Error::TooManyLayers { layers: layers.len(), limit: MOST_LAYERS });
    }
    let kept = source.kept(manifest, config)?;
    let all = layers.iter().zip(kept).zip(diff_ids).enumerate();
    let role = |index| composition.role(index);
    all.map(|(index, ((listed, kept), diff_id))| job(index, role(index), listed, kept, diff_id, limits)).collect()
}

fn job(index: usize, role: Role, listed: &Descriptor, kept: Descriptor, diff_id: &str, limits: &Limits) -> Result<Job> {
    let what = format!("layer {index}");
    let digest = json::announced(listed, &what)?.digest;
    let blob = json::announced(&kept, &what)?;
    let diff_id = json::digest(diff_id, &format!("the diff_id of layer {index}"))?;
    let compression = Compression::of(kept.media_type().as_ref());
    let compression = compression.map_err(|source| Error::Layer { index, digest, source })?;
    let expected = Expected { role, blob, diff_id, compression, limit: limits.layer };
    Ok(Job { listed: listed.clone(), digest, kept, expected })
}

impl Job {
    /// As the manifest lists it.
    fn blob(&self, uncompressed: u64) -> LayerBlob {
        LayerBlob {
            digest: self.digest,
            diff_id: self.expected.diff_id,
            media_type: self.listed.media_type().to_string(),
            compressed: self.listed.size(),
            uncompressed,
        }
    }
}

/// Reads layers, several at once.
struct Layers<'a> {
    source: &'a dyn Source,
    jobs: &'a [Job],
    spool: &'a Spool,
    memory: Memory,
    cache: Option<&'a Cache>,
    /// Nothing is entered any more.
    cache_is_full: AtomicBool,
    progress: &'a dyn Progress,
    crew: Crew,
}

impl Layers<'_> {
    fn read_all(&self) -> Result<Vec<Finished>> {
        self.crew.run(&self.largest_first(), || (), |(), index| self.layer(index), Ok)
    }

    /// A large layer begun last would be read alone in the end.
    fn largest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(self.jobs[index].expected.blob.size));
        order
    }

    fn layer(&self, index: usize) -> Result<Finished> {
        self.begin(index);
        let result = self.read(index);
        self.progress.report(&Event::End { task: Task::Layer(index) });
        result
    }

    fn begin(&self, index: usize) {
        let Job { digest, expected, .. } = &self.jobs[index];
        let label = format!("layer {} of {} ({})", index + 1, self.jobs.len(), digest.short());
        let task = Task::Layer(index);
        self.progress.report(&Event::Begin { task, label: &label, total: Some(expected.blob.size) });
    }

    fn read(&self, index: usize) -> Result<Finished> {
        let Some(cache) = self.cache else { return self.read_into(self.spool, index) };
        if let Some(cached) = cache.layer(&self.jobs[index].expected) {
            return self.take(index, cached);
        }
        if !self.cache_is_full.load(Ordering::Relaxed) {
            match self.enter(cache, index) {
                Ok(cached) => return Ok(cached.lend_to(self.spool)),
                Err(error) if is_of_the_cache(&error) => self.go_on_without(&error, index),
                Err(error) => return Err(error),
            }
        }
        self.read_into(self.spool, index)
    }

    /// Compares a layer out of the cache with the limits, which may be others than those it was read with.
    fn take(&self, index: usize, cached: Cached) -> Result<Finished> {
        let Expected { limit, blob, .. } = self.jobs[index].expected;
        if cached.inflated() > limit {
            return Err(self.refused(index, layer::Error::TooLarge { limit }));
        }
        let mut share = self.memory.share();
        share.take(cached.memory()).map_err(|error| self.refused(index, error))?;
        share.keep();
        self.progress.report(&Event::Advance { task: Task::Layer(index), by: blob.size });
        Ok(cached.lend_to(self.spool))
    }

    fn enter(&self, cache: &Cache, index: usize) -> Result<Cached> {
        let making = cache.begin()?;
        let finished = self.read_into(&making.spool, index)?;
        let memory = finished.memory;
        let entered = cache.enter(&self.jobs[index].expected, making, finished);
        Ok(entered.inspect_err(|_| self.memory.give_back(memory))?)
    }

    /// A cache that has no room or cannot be written any more is no reason to fail: the layer is read from its beginning.
    fn go_on_without(&self, error: &Error, index: usize) {
        if !self.cache_is_full.swap(true, Ordering::Relaxed) {
            let text = format!("layers are not kept for the next build: {error}");
            self.progress.report(&Event::Warning(&text));
        }
        self.begin(index);
    }

    fn read_into(&self, spool: &Spool, index: usize) -> Result<Finished> {
        let job = &self.jobs[index];
        let blob = self.source.blob(&job.kept);
        let blob = blob.map_err(|source| Error::LayerBlob { index, digest: job.digest, source: Box::new(source) })?;
        let (room, watch) = (layer::Room { spool, memory: &self.memory }, Watch { layers: self, index });
        layer::run(blob, &job.expected, room, &watch).map_err(|error| self.refused(index, error))
    }

    /// Which layer needs more memory than there is for all depends on which was read first.
    fn refused(&self, index: usize, source: layer::Error) -> Error {
        match source {
            layer::Error::TooManyEntries { limit } => Error::TooManyEntries { limit },
            source => Error::Layer { index, digest: self.jobs[index].digest, source },
        }
    }
}

/// Whether it is the cache that refused, and not the source or the layer.
fn is_of_the_cache(error: &Error) -> bool {
    matches!(error, Error::Cache(_) | Error::Layer { source: layer::Error::Spool(_), .. })
}

/// Ties a layer to the others.
struct Watch<'a> {
    layers: &'a Layers<'a>,
    index: usize,
}

impl Watcher for Watch<'_> {
    fn advance(&self, bytes: u64) {
        self.layers.progress.report(&Event::Advance { task: Task::Layer(self.index), by: bytes });
    }

    fn is_stopped(&self) -> bool {
        self.layers.crew.is_stopped(self.index)
    }
}
