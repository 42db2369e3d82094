//! Reading a whole image: documents first, then all layers, several at once.

use std::collections::BTreeMap;
use std::path::Path;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};

use super::assemble::{Assembled, assemble};
use super::crew::Crew;
use super::encapsulated::Composition;
use super::{Error, Limits, Platform, Result, Source, json};
use crate::digest::Digest;
use crate::image::{Contents, Image, LayerBlob};
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
    let labels = config.config().as_ref().and_then(|config| config.labels().clone()).unwrap_or_default();
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    let composition = Composition::of(&labels, config.rootfs().diff_ids())?;
    let jobs = jobs(&manifest, &config, composition, limits)?;
    let spool = Spool::new_in(spool_dir)?;
    let crew = Crew::new(threads.min(MOST_AT_ONCE));
    let finished = Layers { source, jobs: &jobs, spool: &spool, progress, crew }.read_all()?;
    let read = jobs.iter().zip(finished).map(|(job, finished)| (job.blob(finished.uncompressed), finished.unpacked));
    let Assembled { base, layers, objects, warnings } = assemble(composition, read, &labels)?;
    let mut image = Image {
        manifest_digest: resolved.manifest_digest,
        architecture: config.architecture().to_string(),
        labels,
        created: config.created().clone(),
        ref_name: resolved.ref_name,
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
    descriptor: Descriptor,
    media_type: String,
    expected: Expected,
}

fn jobs(
    manifest: &ImageManifest,
    config: &ImageConfiguration,
    composition: Composition,
    limits: &Limits,
) -> Result<Vec<Job>> {
    let (layers, diff_ids) = (manifest.layers(), config.rootfs().diff_ids());
    if layers.len() != diff_ids.len() {
        return Err(Error::LayerCount { layers: layers.len(), diff_ids: diff_ids.len() });
    }
    let pairs = layers.iter().zip(diff_ids).enumerate();
    pairs.map(|(index, (descriptor, diff_id))| job(index, descriptor, diff_id, composition, limits)).collect()
}

fn job(index: usize, descriptor: &Descriptor, diff_id: &str, composition: Composition, limits: &Limits) -> Result<Job> {
    let blob = json::announced(descriptor, &format!("layer {index}"))?;
    let diff_id = json::digest(diff_id, &format!("the diff_id of layer {index}"))?;
    let media_type = descriptor.media_type().to_string();
    let compression =
        Compression::of(&media_type).map_err(|source| Error::Layer { index, digest: blob.digest, source })?;
    let expected = Expected { role: composition.role(index), blob, diff_id, compression, limit: limits.layer };
    Ok(Job { descriptor: descriptor.clone(), media_type, expected })
}

impl Job {
    fn blob(&self, uncompressed: u64) -> LayerBlob {
        let Expected { blob, diff_id, .. } = self.expected;
        let media_type = self.media_type.clone();
        LayerBlob { digest: blob.digest, diff_id, media_type, compressed: blob.size, uncompressed }
    }
}

/// Reads layers, several at once.
struct Layers<'a> {
    source: &'a dyn Source,
    jobs: &'a [Job],
    spool: &'a Spool,
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
        let Announced { digest, size } = self.jobs[index].expected.blob;
        let label = format!("layer {} of {} ({})", index + 1, self.jobs.len(), digest.short());
        let task = Task::Layer(index);
        self.progress.report(&Event::Begin { task, label: &label, total: Some(size) });
        let result = self.read(index, digest);
        self.progress.report(&Event::End { task });
        result
    }

    fn read(&self, index: usize, digest: Digest) -> Result<Finished> {
        let job = &self.jobs[index];
        let blob = self.source.blob(&job.descriptor);
        let blob = blob.map_err(|source| Error::LayerBlob { index, digest, source: Box::new(source) })?;
        let watch = Watch { layers: self, index };
        layer::run(blob, &job.expected, self.spool, &watch).map_err(|source| Error::Layer { index, digest, source })
    }
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
