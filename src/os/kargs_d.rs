//! Kernel arguments that the image brings: `usr/lib/bootc/kargs.d/*.toml`.

use serde::Deserialize;

use super::{Architecture, CONFIG_LIMIT, OsError};
use crate::tree::Files;

const DIRECTORY: &str = "usr/lib/bootc/kargs.d";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KargsFile {
    kargs: Vec<String>,
    match_architectures: Option<Vec<String>>,
}

/// The arguments of every file that speaks of this architecture, in file-name order.
///
/// They have to be on the first boot entry: an upgrade applies only what differs between the old image's files and the new one's.
pub fn read(files: &Files<'_>, architecture: Architecture) -> Result<Vec<String>, OsError> {
    let mut all = Vec::new();
    for name in files.list(DIRECTORY)?.into_iter().filter(|name| name.ends_with(".toml")) {
        let path = format!("{DIRECTORY}/{name}");
        let text = files.read_text(&path, CONFIG_LIMIT)?.unwrap_or_default();
        let file: KargsFile = toml::from_str(&text)
            .map_err(|error| OsError::Config { path, message: error.to_string().trim_end().to_owned() })?;
        let matches = |names: &Vec<String>| names.iter().any(|name| name == architecture.rust());
        if file.match_architectures.as_ref().is_none_or(matches) {
            all.extend(file.kargs);
        }
    }
    Ok(all)
}
