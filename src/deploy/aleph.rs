//! `/.bootc-aleph.json` on the physical root: from what the disk was made, for people and support tools (bootc `install/aleph.rs`).

use std::collections::BTreeMap;

use canon_json::CanonJsonSerialize;
use serde::Serialize;

use super::DeployError;

/// The fields that bootc writes. `image`, the place the image was read from, is left out: it names a path of the build host.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Aleph<'a> {
    pub digest: String,
    pub target_image: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: &'a BTreeMap<String, String>,
    pub version: Option<&'a str>,
    pub timestamp: Option<String>,
    /// The installed system's kernel; bootc writes the installing machine's.
    pub kernel: &'a str,
    pub selinux: &'static str,
}

impl Aleph<'_> {
    pub fn text(&self) -> Result<String, DeployError> {
        self.to_canon_json_string()
            .map_err(|error| DeployError::ImageJson { what: "labels", message: error.to_string() })
    }
}

/// The label's time as chrono prints it; nothing when the label is none.
pub fn timestamp(labels: &BTreeMap<String, String>) -> Option<String> {
    let time: jiff::Timestamp = labels.get("org.opencontainers.image.created")?.parse().ok()?;
    Some(time.to_string())
}

/// What `bootc status` shows as the version.
pub fn version(labels: &BTreeMap<String, String>) -> Option<&str> {
    ["org.opencontainers.image.version", "version"].iter().find_map(|label| labels.get(*label)).map(String::as_str)
}
