//! Whether an image may be used at all: asked when its documents are known and before any layer is read.

use std::path::Path;

use super::{Error, Resolved, Result, Source};
use crate::container_trust::{self, Accepted, Identity, Policy, Reference};
use crate::image_ref::{ArchivedImage, ImageRef};

/// Asks `policy` about the image at the time `now`, in seconds since 1970.
pub fn admit(
    source: &dyn Source,
    image: &ImageRef,
    resolved: &Resolved,
    policy: &Policy,
    now: i64,
) -> Result<Accepted> {
    let identity = source.identity(image)?;
    let signatures = source.signatures(image, resolved, policy)?;
    let image =
        container_trust::Image { identity: &identity, manifest: &resolved.manifest, index: resolved.index.as_deref() };
    Ok(container_trust::admit(policy, image, &*signatures, now)?)
}

/// The image by its reference alone. A store knows more of its images.
pub fn identity(image: &ImageRef) -> Result<Identity> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        |source| Error::Io { path, source }
    };
    match image {
        ImageRef::Registry(name) => Ok(Identity::docker(&reference(&name.to_string())?)),
        ImageRef::Oci { path, .. } => Identity::oci(path).map_err(failed(path)),
        ImageRef::OciArchive { path, .. } => Identity::oci_archive(path).map_err(failed(path)),
        ImageRef::Dir { path } => Identity::dir(path).map_err(failed(path)),
        ImageRef::DockerArchive { path, image: Some(ArchivedImage::Name(name)) } => {
            Ok(Identity::docker_archive(path, Some(&reference(name)?)))
        }
        ImageRef::DockerArchive { path, .. } => Ok(Identity::docker_archive(path, None)),
        ImageRef::ContainersStorage(stored) => {
            let store = stored.store.as_ref().map(|store| store.root.as_path());
            Ok(Identity::containers_storage("overlay", store.unwrap_or(Path::new("/")), None, None))
        }
    }
}

pub fn reference(name: &str) -> Result<Reference> {
    name.parse().map_err(Error::Reference)
}

/// The word before the colon.
pub fn transport(image: &ImageRef) -> &'static str {
    match image {
        ImageRef::Registry(_) => "docker",
        ImageRef::Oci { .. } => "oci",
        ImageRef::OciArchive { .. } => "oci-archive",
        ImageRef::DockerArchive { .. } => "docker-archive",
        ImageRef::Dir { .. } => "dir",
        ImageRef::ContainersStorage(_) => "containers-storage",
    }
}
