//! What depends on the kind of source: from here on all commits are alike.

use std::path::Path;

use super::BuildError;
use crate::deploy::{self, DeployError, Imported, Target, TargetImage};
use crate::os::{Architecture, Os};
use crate::progress::Progress;
use crate::request::Request;
use crate::source::{self, Loaded};

/// Reads the source; its contents go to an unnamed file in `scratch`.
pub fn load(request: &Request, scratch: &Path, progress: &dyn Progress) -> Result<Loaded, BuildError> {
    let source = source::open(&request.image)?;
    let platform = source::Platform::new(request.architecture.map(Architecture::oci));
    let limits = source::Limits::default();
    // What its labels rule out is refused before a layer is read.
    deploy::refuse_unsupported(&source.resolve(&platform, &limits)?.labels()?)?;
    Ok(Loaded::Container(source::load(&*source, &platform, scratch, request.threads, &limits, progress)?))
}

/// When the source was made, in seconds since 1970.
pub fn created(loaded: &Loaded) -> Option<i64> {
    match loaded {
        Loaded::Container(image) => deploy::created(image),
    }
}

/// The commit to be deployed.
pub fn import(loaded: &Loaded, fallback_time: i64) -> Result<Imported, DeployError> {
    match loaded {
        Loaded::Container(image) => deploy::import(image, fallback_time),
    }
}

pub fn architecture(_request: &Request, loaded: &Loaded) -> Result<Architecture, BuildError> {
    match loaded {
        Loaded::Container(image) => {
            image.architecture.parse().map_err(|_| BuildError::Architecture(image.architecture.clone()))
        }
    }
}

/// What the machine upgrades from, and what its owner should know of that.
pub fn target(request: &Request, loaded: &Loaded, os: &Os) -> (Target, Option<String>) {
    match loaded {
        Loaded::Container(image) => {
            let (target, warning) = match &request.target {
                Some(target) => (target.clone(), None),
                None => TargetImage::default_for(image.ref_name.as_deref(), os.release.id.as_deref()),
            };
            let warning = warning.or_else(|| target.pinned_warning());
            (Target::Image(target), warning)
        }
    }
}
