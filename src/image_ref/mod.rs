//! The words by which a user names a source: a container image (containers-transports(5)) or a ref of an ostree repository.

mod credentials;
mod docker_archive;
mod ostree;
mod reference;
mod registry;
mod storage;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use credentials::{repeatable, without_credentials};
pub use docker_archive::ArchivedImage;
pub use ostree::{Location, OstreeRef};
pub use reference::{Prefix, Reference, ReferenceError, has_host};
pub use registry::RegistryRef;
pub use storage::{StorageRef, StoreSpec};

/// What a disk is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRef {
    Container(ImageRef),
    /// `ostree:PATH#REF` or `ostree:URL#REF`.
    Ostree(OstreeRef),
}

/// Where a container image lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// `oci:PATH[:TAG]`: a directory in OCI image layout.
    Oci { path: PathBuf, tag: Option<String> },
    /// `oci-archive:PATH[:TAG]`: a tar file of such a directory.
    OciArchive { path: PathBuf, tag: Option<String> },
    /// `docker://HOST/REPOSITORY[:TAG][@DIGEST]`, or the same without transport: in a registry.
    Registry(RegistryRef),
    /// `docker-archive:PATH[:NAME[:TAG]|:@INDEX]`: a tar file of `docker save`.
    DockerArchive { path: PathBuf, image: Option<ArchivedImage> },
    /// `dir:PATH`: a directory of skopeo's.
    Dir { path: PathBuf },
    /// `containers-storage:[STORE]IMAGE`: in the store of podman.
    ContainersStorage(StorageRef),
}

/// Why a text names no image that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    #[error("`{text}`: reading {what} is not supported yet")]
    NotSupportedYet { text: String, what: &'static str, copy: String },

    #[error(
        "`{text}`: there is no transport `{transport}`; `docker://`, `oci:`, `oci-archive:`, `docker-archive:`, `dir:`, `containers-storage:` and \
         `ostree:` are supported"
    )]
    UnknownTransport { text: String, transport: String },

    #[error("`{text}` has no transport; it is a directory in OCI image layout, so write `oci:{text}`")]
    LayoutWithoutTransport { text: String },

    #[error("`{text}` names no path after `{transport}:`")]
    NoPath { text: String, transport: &'static str },

    #[error("`{text}` has an empty tag after the last `:`")]
    EmptyTag { text: String },

    #[error("`{text}` is no image in a registry: {why}")]
    Registry { text: String, why: String },

    #[error("`{text}` does not say which registry the image is in")]
    ShortName { text: String, full: String },

    /// The text is without them.
    #[error("`{text}`: a user's name and password have no place in the name of an image")]
    Credentials { text: String },

    #[error("`{text}` names no image of a Docker archive: {why}")]
    DockerArchive { text: String, why: &'static str },

    #[error("`{text}` names no image of a container store: {why}")]
    Storage { text: String, why: &'static str },

    #[error("`{text}` is no ostree repository and ref: {why}")]
    Ostree { text: String, why: &'static str },
}

impl ImageRefError {
    /// The command that turns such a reference into one that can be read.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotSupportedYet { copy, .. } => Some(format!("copy it first: skopeo copy {copy} oci:DIR:TAG")),
            Self::Registry { .. } => {
                Some("write docker://HOST/REPOSITORY:TAG or docker://HOST/REPOSITORY@sha256:…".to_owned())
            }
            Self::ShortName { full, .. } => Some(format!("name it; at Docker Hub that is docker://{full}")),
            Self::DockerArchive { .. } => {
                Some("write docker-archive:FILE:NAME:TAG or docker-archive:FILE:@INDEX".to_owned())
            }
            Self::Storage { .. } => {
                Some("write containers-storage:NAME:TAG or containers-storage:[overlay@/GRAPHROOT]NAME:TAG".to_owned())
            }
            Self::Credentials { .. } => Some(
                "skopeo login or podman login keeps them in a file, which is found, or given with --authfile"
                    .to_owned(),
            ),
            Self::UnknownTransport { transport, .. } if matches!(transport.as_str(), "http" | "https") => {
                Some("an image in a registry is docker://HOST/REPOSITORY:TAG".to_owned())
            }
            Self::Ostree { .. } => Some("write ostree:DIRECTORY#REF or ostree:https://HOST/PATH#REF".to_owned()),
            _ => None,
        }
    }
}

impl FromStr for SourceRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, ImageRefError> {
        match text.strip_prefix("ostree:") {
            Some(rest) => OstreeRef::parse(text, rest).map(Self::Ostree),
            None => text.parse().map(Self::Container),
        }
    }
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    /// A text without a transport is looked up in the file system only to word the error.
    fn from_str(text: &str) -> Result<Self, ImageRefError> {
        let Some((transport, rest)) = text.split_once(':') else {
            return bare(text).map(Self::Registry);
        };
        match transport {
            "oci" => local("oci", text, rest).map(|(path, tag)| Self::Oci { path, tag }),
            "oci-archive" => local("oci-archive", text, rest).map(|(path, tag)| Self::OciArchive { path, tag }),
            "docker" => match rest.strip_prefix("//") {
                Some(name) => RegistryRef::parse(text, name).map(Self::Registry),
                None => {
                    let why = "`//` follows the transport".to_owned();
                    Err(ImageRefError::Registry { text: repeatable(text), why })
                }
            },
            "docker-archive" => {
                let (path, image) = local("docker-archive", text, rest)?;
                let image = image.map(|image| ArchivedImage::parse(text, &image)).transpose()?;
                Ok(Self::DockerArchive { path, image })
            }
            "dir" if rest.is_empty() => Err(ImageRefError::NoPath { text: text.to_owned(), transport: "dir" }),
            "dir" => Ok(Self::Dir { path: rest.into() }),
            "containers-storage" => StorageRef::parse(text, rest).map(Self::ContainersStorage),
            "docker-daemon" => Err(not_yet(text, "from a Docker daemon", text)),
            "sif" | "tarball" => Err(not_yet(text, "this transport", text)),
            _ => without_transport(text, transport).map(Self::Registry),
        }
    }
}

/// The first `:` ends the path: containers-transports(5) allows none in it.
fn local(transport: &'static str, text: &str, rest: &str) -> Result<(PathBuf, Option<String>), ImageRefError> {
    let (path, tag) = rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag)));
    if path.is_empty() {
        return Err(ImageRefError::NoPath { text: text.to_owned(), transport });
    }
    if tag == Some("") {
        return Err(ImageRefError::EmptyTag { text: text.to_owned() });
    }
    Ok((path.into(), tag.map(str::to_owned)))
}

fn not_yet(text: &str, what: &'static str, copy: &str) -> ImageRefError {
    ImageRefError::NotSupportedYet { text: text.to_owned(), what, copy: copy.to_owned() }
}

/// `host:5000/image` and `image:tag` also have a colon: what stands before it is a transport only when it looks like one of
/// a URL, or when nothing like an image name follows.
fn without_transport(text: &str, before_colon: &str) -> Result<RegistryRef, ImageRefError> {
    let word = before_colon.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let after = &text[before_colon.len() + 1..];
    if text.contains("://") || (word && after.starts_with('/')) || before_colon.is_empty() {
        return Err(ImageRefError::UnknownTransport { text: repeatable(text), transport: before_colon.to_owned() });
    }
    bare(text)
}

/// A registry's image, unless something of that name lies here.
fn bare(text: &str) -> Result<RegistryRef, ImageRefError> {
    if PathBuf::from(text).join("index.json").is_file() {
        return Err(ImageRefError::LayoutWithoutTransport { text: text.to_owned() });
    }
    RegistryRef::parse(text, text)
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(image) => image.fmt(f),
            Self::Ostree(reference) => write!(f, "ostree:{reference}"),
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, tag) = match self {
            Self::Registry(reference) => return write!(f, "docker://{reference}"),
            Self::Oci { path, tag } => ("oci", path, tag.clone()),
            Self::OciArchive { path, tag } => ("oci-archive", path, tag.clone()),
            Self::DockerArchive { path, image } => ("docker-archive", path, image.as_ref().map(ToString::to_string)),
            Self::Dir { path } => ("dir", path, None),
            Self::ContainersStorage(reference) => return write!(f, "containers-storage:{reference}"),
        };
        write!(f, "{transport}:{}", path.display())?;
        tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_after_the_transport_ends_the_path() {
        let tag = Some("quay.io/a/b:42".to_owned());
        assert_eq!("oci:/a/b:quay.io/a/b:42".parse(), Ok(ImageRef::Oci { path: "/a/b".into(), tag }));
        assert_eq!("oci:b".parse(), Ok(ImageRef::Oci { path: "b".into(), tag: None }));
        let archive = ImageRef::OciArchive { path: "a.tar".into(), tag: Some("1".into()) };
        assert_eq!(archive.to_string().parse(), Ok(archive));
    }

    #[test]
    fn archives_of_docker_and_directories_of_skopeo_turn_into_text_and_back() {
        let path = PathBuf::from("a.tar");
        let name = Some(ArchivedImage::Name("quay.io/a/b:42".to_owned()));
        for (text, reference) in [
            ("docker-archive:a.tar:quay.io/a/b:42", ImageRef::DockerArchive { path: path.clone(), image: name }),
            (
                "docker-archive:a.tar:@3",
                ImageRef::DockerArchive { path: path.clone(), image: Some(ArchivedImage::Index(3)) },
            ),
            ("docker-archive:a.tar", ImageRef::DockerArchive { path, image: None }),
            ("dir:/a:b", ImageRef::Dir { path: "/a:b".into() }),
        ] {
            assert_eq!(text.parse().as_ref(), Ok(&reference));
            assert_eq!(reference.to_string(), text);
        }
        for text in ["docker-archive:a:@x", "docker-archive:a:@-1", "docker-archive:a:b@sha256:00"] {
            assert!(matches!(text.parse::<ImageRef>(), Err(ImageRefError::DockerArchive { .. })), "{text}");
        }
    }

    #[test]
    fn a_docker_daemon_gets_the_skopeo_command() {
        let error = "docker-daemon:a:1".parse::<ImageRef>().unwrap_err();
        assert!(error.to_string().ends_with("is not supported yet"), "{error}");
        assert_eq!(error.hint(), Some("copy it first: skopeo copy docker-daemon:a:1 oci:DIR:TAG".to_owned()));
    }

    #[test]
    fn an_unknown_transport_is_named() {
        for (text, name) in [("https://quay.io/a", "https"), ("ocii:/a/b", "ocii"), (":a", "")] {
            let transport = name.to_owned();
            assert_eq!(text.parse::<ImageRef>(), Err(ImageRefError::UnknownTransport { text: text.into(), transport }));
        }
    }

    #[test]
    fn a_layout_directory_without_transport_gets_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.json"), "{}").unwrap();
        let text = dir.path().display().to_string();
        assert!(text.parse::<ImageRef>().unwrap_err().to_string().ends_with(&format!("so write `oci:{text}`")));
    }

    #[test]
    fn empty_paths_and_tags_are_refused() {
        assert!(matches!("oci:".parse::<ImageRef>(), Err(ImageRefError::NoPath { .. })));
        assert!(matches!("oci::tag".parse::<ImageRef>(), Err(ImageRefError::NoPath { .. })));
        assert!(matches!("dir:".parse::<ImageRef>(), Err(ImageRefError::NoPath { .. })));
        assert!(matches!("oci:a:".parse::<ImageRef>(), Err(ImageRefError::EmptyTag { .. })));
        assert!(matches!("docker-archive:a:".parse::<ImageRef>(), Err(ImageRefError::EmptyTag { .. })));
    }
}
