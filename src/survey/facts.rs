//! The words of a survey, as `--format json` prints them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::CommitFacts;
use crate::source::KeptSignatures;

/// Everything that is known of a source.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    pub source: String,
    /// Of a container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSurvey>,
    /// Of a ref of an ostree repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitFacts>,
    /// Bytes of all files unpacked; none where the repository does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes to fetch from a server, where the commit says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemSurvey>,
    /// Why no disk can be made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    pub warnings: Vec<String>,
}

/// What the documents of an image say.
#[derive(Clone, Debug, Serialize)]
pub struct ImageSurvey {
    pub manifest_digest: String,
    pub architecture: String,
    pub created: Option<String>,
    pub version: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// What the policy says; none where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustSurvey>,
    pub signatures: SignaturesSurvey,
    /// The lowest first.
    pub layers: Vec<LayerSurvey>,
    /// What a machine would upgrade from, where the image has a name that a registry serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Whether a build would take the image.
#[derive(Clone, Debug, Serialize)]
pub struct TrustSurvey {
    pub accepted: bool,
    /// Whether a signature was asked for and found good.
    pub signed: bool,
    /// By which signature and rule, or why not.
    pub because: String,
}

/// Signatures of the image. None of them was checked to be here.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SignaturesSurvey {
    #[serde(flatten)]
    pub kept: KeptSignatures,
    /// Why they could not be looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A layer as the manifest lists it.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSurvey {
    pub digest: String,
    pub media_type: String,
    pub compressed: u64,
}

/// The operating system in it, and what a build would choose.
#[derive(Clone, Debug, Serialize)]
pub struct SystemSurvey {
    pub name: String,
    pub kernel: String,
    pub architecture: String,
    pub update_client: Option<&'static str>,
    pub grows_at_first_boot: bool,
    pub composefs: bool,
    pub stateroot: String,
    /// The partition layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_filesystem: Option<Choice>,
    pub bootloader_files: Vec<BootFile>,
    /// Which loader and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootloader: Option<String>,
}

/// What a build would take where the user says nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    pub name: String,
    pub why: String,
}

/// An EFI program.
#[derive(Clone, Debug, Serialize)]
pub struct BootFile {
    pub path: String,
    pub role: &'static str,
    pub signed: bool,
}
