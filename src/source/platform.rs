//! Choosing one image of an index that has several (OCI image-spec `image-index.md`).

use oci_spec::image::Descriptor;

use super::{Error, Result};

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

    /// Picks one of `images`. Entries for no platform at all (`unknown`: attestations) are passed over.
    pub fn choose<'a>(&self, images: &[&'a Descriptor], location: &str) -> Result<&'a Descriptor> {
        let real: Vec<_> = images.iter().copied().filter(|image| !is_attestation(image)).collect();
        if let ([only], None) = (&real[..], self.architecture()) {
            return Ok(only);
        }
        let wanted = self.architecture().unwrap_or(go_name(std::env::consts::ARCH));
        let fits = |image: &&Descriptor| {
            image
                .platform()
                .as_ref()
                .is_none_or(|p| p.os().to_string() == "linux" && p.architecture().to_string() == wanted)
        };
        let exact = real.iter().copied().filter(|image| image.platform().is_some()).find(fits);
        exact.or_else(|| real.iter().copied().find(fits)).ok_or_else(|| {
            let found = real.iter().map(|image| name(image)).collect::<Vec<_>>();
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
            Error::NoPlatform { wanted: wanted.to_owned(), location: location.to_owned(), found }
        })
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
