//! What was built from what: `manifest.json` beside the outputs. No path of the build host, no clock and no secret is in it.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::bootloader::Summary;
use crate::container_trust::Accepted;
use crate::deploy::{Imported, Sysroot, Target};
use crate::image::Image;
use crate::os::Os;
use crate::output::{OutputError, OutputType, SUMS, Sha256Text, Staging};
use crate::plan::DiskPlan;
use crate::seed::Seed;
use crate::source::Loaded;
use crate::source::ostree::{PulledCommit, Verification};

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub bootwright: &'static str,
    /// Of a disk made from a container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFacts>,
    /// Of a disk made from a ref of an ostree repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ostree: Option<CommitFacts>,
    pub system: SystemFacts,
    pub deployment: DeploymentFacts,
    pub bootloader: Summary,
    /// Draws every UUID of the disk; `--seed` repeats it.
    pub seed: String,
    pub disk: DiskPlan,
    pub outputs: Vec<Output>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ImageFacts {
    pub manifest_digest: String,
    pub target: String,
    pub architecture: String,
    pub created: Option<String>,
    pub version: Option<String>,
    /// The ostree commit that the image was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// By whose signatures, where the policy asked for some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    pub layers: Vec<LayerFacts>,
}

/// What an ostree commit says of itself, and what is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct CommitFacts {
    pub commit: String,
    /// The ref that was asked for; none where a commit was.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub created: String,
    pub version: Option<String>,
    pub subject: String,
    /// Every metadata key, values as text.
    pub metadata: BTreeMap<String, String>,
    pub verification: Verification,
    /// File objects.
    pub files: usize,
}

impl CommitFacts {
    pub fn of(pulled: &PulledCommit) -> CommitFacts {
        let commit = &pulled.commit;
        let time = jiff::Timestamp::from_second(commit.timestamp);
        CommitFacts {
            commit: pulled.checksum.to_string(),
            name: pulled.found.name.clone(),
            created: time.map_or_else(|_| commit.timestamp.to_string(), |time| time.to_string()),
            version: commit.string("version").map(str::to_owned),
            subject: commit.subject.clone(),
            metadata: commit.metadata.iter().map(|(key, value)| (key.clone(), value.to_string())).collect(),
            verification: pulled.verification.clone(),
            files: pulled.contents.objects.len(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct LayerFacts {
    pub digest: String,
    pub diff_id: String,
    pub compressed: u64,
    pub uncompressed: u64,
    pub commit: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct SystemFacts {
    pub name: String,
    pub kernel: String,
    pub update_client: Option<&'static str>,
    pub grows_at_first_boot: bool,
    pub composefs: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct DeploymentFacts {
    pub stateroot: String,
    pub commit: String,
    pub boot_checksum: String,
    pub kernel_arguments: String,
    /// What the machine upgrades from.
    pub target: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Output {
    #[serde(rename = "type")]
    pub kind: OutputType,
    pub path: String,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Text>,
}

impl ImageFacts {
    fn of(image: &Image, imported: &Imported, target: &Target) -> ImageFacts {
        let layers = image.blobs().zip(&imported.layers).map(|(blob, commit)| LayerFacts {
            digest: blob.digest.to_string(),
            diff_id: blob.diff_id.to_string(),
            compressed: blob.compressed,
            uncompressed: blob.uncompressed,
            commit: commit.to_string(),
        });
        ImageFacts {
            manifest_digest: image.manifest_digest.to_string(),
            target: target.to_string(),
            architecture: image.architecture.clone(),
            created: image.created.clone(),
            accepted: image.accepted.clone().filter(Accepted::is_signed),
            version: crate::deploy::image_version(&image.labels).map(str::to_owned),
            base_commit: image.base.as_ref().map(|base| base.commit.to_string()),
            layers: layers.collect(),
        }
    }
}

impl Report {
    #[expect(clippy::too_many_arguments, reason = "a report is the one place where everything that was decided meets")]
    pub fn new(
        loaded: &Loaded,
        os: &Os,
        sysroot: &Sysroot,
        imported: &Imported,
        plan: &DiskPlan,
        target: &Target,
        bootloader: Summary,
        seed: &Seed,
    ) -> Report {
        Report {
            bootwright: env!("CARGO_PKG_VERSION"),
            image: loaded.image().map(|image| ImageFacts::of(image, imported, target)),
            ostree: loaded.commit().map(CommitFacts::of),
            system: SystemFacts {
                name: os.release.pretty_name.clone(),
                kernel: os.kernel.version.clone(),
                update_client: os.update_client,
                grows_at_first_boot: sysroot.grows,
                composefs: os.wants_composefs(),
            },
            deployment: DeploymentFacts {
                stateroot: sysroot.stateroot.clone(),
                commit: imported.commit.to_string(),
                boot_checksum: sysroot.boot_checksum.clone(),
                kernel_arguments: sysroot.entry.options.clone(),
                target: target.to_string(),
            },
            bootloader,
            seed: seed.to_string(),
            disk: plan.clone(),
            outputs: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What the source calls itself.
    pub fn version(&self) -> Option<&str> {
        let of_image = self.image.as_ref().and_then(|image| image.version.as_deref());
        of_image.or_else(|| self.ostree.as_ref()?.version.as_deref())
    }

    pub fn json(&self) -> String {
        // OK to expect: the report holds strings and numbers only.
        serde_json::to_string_pretty(self).expect("a report is JSON") + "\n"
    }

    /// Adds `manifest.json`, and SHA256SUMS where checksums were made, to the files of a build.
    pub fn write(&self, staging: &mut Staging) -> Result<(), OutputError> {
        let mut add = |name: &str, text: &str| {
            let (mut file, path) = staging.create(name)?;
            file.write_all(text.as_bytes()).map_err(OutputError::io("writing", &path))
        };
        add("manifest.json", &self.json())?;
        let sums: String = self
            .outputs
            .iter()
            .filter_map(|output| Some(format!("{}  {}\n", output.sha256.as_ref()?, output.path)))
            .collect();
        if sums.is_empty() { Ok(()) } else { add(SUMS, &sums) }
    }
}
