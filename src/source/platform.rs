//! Choosing one image of an index that has several, as the clients of the machine do (OCI image-spec `image-index.md`;
//! containers/image `internal/pkg/platform`, `internal/manifest`).

use oci_spec::image::Descriptor;

use super::{Error, Result};

/// Marks an image of zstd layers beside one of gzip layers.
const ZSTD: &str = "io.github.containers.compression.zstd";

/// The machine an image is wanted for. Its system is always Linux.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// In Go's words. None: the only image there is, or the one for the host.
    architecture: Option<String>,
}

impl Platform {
    /// Takes the words of Go (`amd64`) and of the kernel (`x86_64`).
    pub fn new(architecture: Option<&str>) -> Self {
        Self { architecture: architecture.map(|name| go_name(name).to_owned()) }
    }

    /// What the user asked for, in Go's words.
    pub fn architecture(&self) -> Option<&str> {
        self.architecture.as_deref()
    }

    /// Picks one of `images`, and says which platform that has to be for. Entries for no platform at all (`unknown`: attestations)
    /// are passed over.
    pub fn choose<'a>(&self, images: &[&'a Descriptor], location: &str) -> Result<(&'a Descriptor, Platform)> {
        let real: Vec<_> = images.iter().copied().filter(|image| !is_attestation(image)).collect();
        if let ([only], None) = (&real[..], self.architecture()) {
            return Ok((only, self.clone()));
        }
        let wanted = self.architecture().unwrap_or(go_name(std::env::consts::ARCH));
        let fitting = real.iter().filter_map(|image| Some((rank(image, wanted)?, !is_zstd(image), *image)));
        // The first of those that are alike.
        let best = fitting.min_by_key(|&(rank, is_not_zstd, _)| (rank, is_not_zstd));
        let found = || {
            let found = real.iter().map(|image| name(image)).collect::<Vec<_>>();
            if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
        };
        match best {
            Some((_, _, image)) => Ok((image, Self::new(Some(wanted)))),
            None => Err(Error::NoPlatform { wanted: wanted.to_owned(), location: location.to_owned(), found: found() }),
        }
    }

    /// Compares with what the config of the chosen image says.
    pub fn check(&self, os: &str, architecture: &str) -> Result<()> {
        let wanted = self.architecture().unwrap_or(architecture);
        if os == "linux" && architecture == wanted {
            return Ok(());
        }
        Err(Error::WrongPlatform { wanted: format!("linux/{wanted}"), found: format!("{os}/{architecture}") })
    }
}

/// How well an entry fits, 0 best; `None` not at all. An entry that does not say what it is for comes last.
fn rank(image: &Descriptor, wanted: &str) -> Option<usize> {
    let variants: &[&str] = match wanted {
        // A client on such a machine finds out that it has a v8, and prefers it.
        "arm64" => &["v8", ""],
        // What kind of machine it will be is not known here: what runs on all, then the more capable ones.
        "arm" => &["", "v8", "v7", "v6", "v5"],
        _ => &[""],
    };
    let Some(platform) = image.platform() else { return Some(usize::MAX) };
    if platform.os().to_string() != "linux" || platform.architecture().to_string() != wanted {
        return None;
    }
    variants.iter().position(|known| *known == platform.variant().as_deref().unwrap_or_default())
}

/// The one that clients take of two that hold the same.
fn is_zstd(image: &Descriptor) -> bool {
    let annotations = image.annotations().as_ref();
    annotations.and_then(|all| all.get(ZSTD)).is_some_and(|value| value == "true")
}

/// BuildKit stores attestations as manifests for the platform unknown/unknown.
fn is_attestation(image: &Descriptor) -> bool {
    image.platform().as_ref().is_some_and(|platform| platform.architecture().to_string() == "unknown")
}

fn name(image: &Descriptor) -> String {
    let variant = |v: &Option<String>| v.as_ref().map(|v| format!("/{v}")).unwrap_or_default();
    image.platform().as_ref().map_or("an unnamed platform".to_owned(), |platform| {
        format!("{}/{}{}", platform.os(), platform.architecture(), variant(platform.variant()))
    })
}

fn go_name(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64le" | "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        "x86" | "i686" => "386",
        other => other,
    }
}
