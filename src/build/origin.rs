//! What depends on the kind of source: from here on all commits are alike.

use std::path::Path;

use super::{BuildError, base, trust, upstream};
use crate::cache::Cache;
use crate::container_trust::Accepted;
use crate::deploy::{self, CommitTree, Imported, Remote, Target, TargetImage};
use crate::image_ref::{ImageRef, OstreeRef, SourceRef};
use crate::os::{Architecture, Os, OsError, SelinuxPolicy, architecture};
use crate::ostree::Commit;
use crate::progress::{Event, Progress};
use crate::request::{CacheChoice, Request};
use crate::source::ostree::{self, PulledCommit, Wanted};
use crate::source::{self, Loaded};
use crate::tree::Files;

/// Reads the source; its contents go to an unnamed file in `scratch`.
pub fn load(request: &Request, scratch: &Path, progress: &dyn Progress) -> Result<Loaded, BuildError> {
    match &request.image {
        SourceRef::Container(image) => {
            let found = find_image(image, request)?;
            let accepted = trust::admit(&found, &request.trust)?;
            load_image(found, accepted, request, scratch, progress)
        }
        SourceRef::Ostree(reference) => commit(reference, request, scratch, progress),
    }
}

/// An image whose documents are known, and nothing else yet.
pub struct FoundImage {
    pub source: Box<dyn source::Source>,
    limits: source::Limits,
    pub resolved: source::Resolved,
}

/// Finds the image as the request wants it; no layer is read.
pub fn find_image(image: &ImageRef, request: &Request) -> Result<FoundImage, BuildError> {
    let source = source::open(image, &request.registry)?;
    let platform = source::Platform::new(request.architecture.map(Architecture::oci));
    let limits = source::Limits { layer: request.max_layer_size.0, ..source::Limits::default() };
    let resolved = source.resolve(&platform, &limits)?;
    Ok(FoundImage { source, limits, resolved })
}

/// Reads its layers. What its labels rule out is refused before.
pub fn load_image(
    found: FoundImage,
    accepted: Option<Accepted>,
    request: &Request,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Loaded, BuildError> {
    let FoundImage { source, limits, resolved } = found;
    let cache = cache(request, progress)?;
    let room = source::Room { spool_dir: scratch, cache: cache.as_ref() };
    deploy::refuse_unsupported(&resolved.labels()?)?;
    let mut image = source::load(&*source, resolved, &room, request.threads, &limits, progress)?;
    image.accepted = accepted;
    Ok(Loaded::Container(Box::new(image)))
}

/// A cache that the user asked for has to work; one of the machine's need not.
fn cache(request: &Request, progress: &dyn Progress) -> Result<Option<Cache>, BuildError> {
    let (place, asked) = match &request.cache {
        CacheChoice::None => return Ok(None),
        CacheChoice::At(place) => (Some(place.clone()), true),
        CacheChoice::Default => (Cache::default_place(), false),
    };
    match place.map(|place| Cache::open(&place)).transpose() {
        Ok(cache) => Ok(cache),
        Err(error) if asked => Err(source::Error::from(error).into()),
        Err(error) => {
            progress.report(&Event::Warning(&format!("layers are not kept for the next build: {error}")));
            Ok(None)
        }
    }
}

fn commit(
    reference: &OstreeRef,
    request: &Request,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Loaded, BuildError> {
    let rev = reference.rev.parse()?;
    let repository = ostree::open(&reference.location, &request.ostree.access)?;
    let policy = &request.ostree.policy;
    let pulled = ostree::load(&*repository, &rev, policy, Wanted::All, scratch, request.threads, progress)?;
    Ok(Loaded::Commit(Box::new(pulled)))
}

/// When the source was made, in seconds since 1970.
pub fn created(loaded: &Loaded) -> Option<i64> {
    match loaded {
        Loaded::Container(image) => deploy::created(image),
        Loaded::Commit(commit) => Some(commit.commit.timestamp),
    }
}

/// The commit to be deployed.
pub fn import(loaded: &Loaded, fallback_time: i64) -> Result<Imported, BuildError> {
    match loaded {
        Loaded::Container(image) => Ok(deploy::import(image, fallback_time)?),
        Loaded::Commit(commit) => Ok(adopt(commit)),
    }
}

/// A commit as the tree of its deployment, labelled where its system asks for that.
pub struct Deployable {
    pub imported: Imported,
    pub checkout: CommitTree,
    pub policy: Option<SelinuxPolicy>,
}

/// Imports the source. The policy that labels an image is in it, so an image with one is imported twice; a commit that somebody
/// else made has the labels that it has.
pub fn deployable(loaded: &mut Loaded, threads: usize, time: i64) -> Result<Deployable, BuildError> {
    if let Loaded::Container(image) = loaded {
        base::settle_layers(image, threads)?;
    }
    let imported = import(loaded, time)?;
    let checkout = CommitTree::checkout(loaded.contents(), &imported.root, time)?;
    let files = Files { tree: &checkout.tree, root: checkout.deployment, spool: &loaded.contents().spool };
    let policy = SelinuxPolicy::find(&files)?;
    let (imported, checkout) = match (&policy, &mut *loaded) {
        (Some(policy), Loaded::Container(image)) => {
            deploy::label_everything(image, policy, threads)?;
            let imported = import(loaded, time)?;
            let checkout = CommitTree::checkout(loaded.contents(), &imported.root, time)?;
            (imported, checkout)
        }
        _ => (imported, checkout),
    };
    Ok(Deployable { imported, checkout, policy })
}

/// A commit that somebody else made is deployed as it is.
fn adopt(commit: &PulledCommit) -> Imported {
    Imported {
        commit: commit.checksum,
        root: commit.root.clone(),
        version: commit.commit.string("version").map(str::to_owned),
        layers: Vec::new(),
        refs: Vec::new(),
        metadata: commit.metadata.clone(),
        warnings: commit.warnings(),
    }
}

/// What the system was built for: a container says so; of a commit its programs do.
pub fn architecture(request: &Request, loaded: &Loaded, files: &Files<'_>) -> Result<Architecture, BuildError> {
    match loaded {
        Loaded::Container(image) => {
            image.architecture.parse().map_err(|_| BuildError::Architecture(image.architecture.clone()))
        }
        Loaded::Commit(commit) => commit_architecture(request.architecture, &commit.commit, files),
    }
}

/// By the programs in the commit, else by what it says of itself; `wanted` decides where nothing tells, and has to agree where
/// something does.
fn commit_architecture(
    wanted: Option<Architecture>,
    commit: &Commit,
    files: &Files<'_>,
) -> Result<Architecture, BuildError> {
    let said = commit.string("ostree.architecture").and_then(|name| name.parse().ok());
    let found = architecture::of_programs(files).map_err(OsError::from)?.or(said);
    match (wanted, found) {
        (Some(wanted), Some(found)) if wanted != found => Err(BuildError::WrongArchitecture { wanted, found }),
        (wanted, found) => wanted.or(found).ok_or(BuildError::NoArchitecture),
    }
}

/// What the machine upgrades from, how it gets there, and what its owner should know of that.
pub struct Upstream {
    pub target: Target,
    /// The remote that the disk has to bring.
    pub remote: Option<Remote>,
    pub warning: Option<String>,
}

pub fn upstream(request: &Request, loaded: &Loaded, os: &Os, files: &Files<'_>) -> Result<Upstream, BuildError> {
    let image = match loaded {
        Loaded::Container(image) => image,
        Loaded::Commit(commit) => return upstream::of_commit(request, commit, files),
    };
    let (target, warning) = match &request.target {
        Some(target) => (target.clone(), None),
        None => TargetImage::default_for(image.ref_name.as_deref(), os.release.id.as_deref()),
    };
    let target = trust::target(target, image.accepted.as_ref(), request, os)?;
    let warning = warning.or_else(|| target.pinned_warning());
    let warning = warning.or(trust::machine_warning(&target, files)?);
    Ok(Upstream { target: Target::Image(target), remote: None, warning })
}
