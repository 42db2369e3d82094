//! The server that the installed machine upgrades from, as a file of /etc/ostree/remotes.d (ostree.repo-config(5)).
//!
//! There and not in the repository's own configuration: the same remote in both is fatal to every client, and a commit to come may
//! bring the remote in a file of its own. Then the merge of /etc keeps the machine's.

use super::DeployError;
use crate::os::CONFIG_LIMIT;
use crate::ostree::keyfile::KeyFile;
use crate::tree::{Files, InodeId, Seconds, Stat, Tree};

const DIRECTORY: &str = "ostree/remotes.d";

/// A remote that does not exist yet.
#[derive(Clone, Debug)]
pub struct Remote {
    pub name: String,
    /// `https://…`, or `mirrorlist=https://…`.
    pub url: String,
    pub content_url: Option<String>,
    pub collection_id: Option<String>,
    pub keys: RemoteKeys,
    /// The authority that signed the server's certificate, as PEM.
    pub authority: Option<Vec<u8>>,
}

/// Whose signatures the machine takes; a kind without keys is not asked for.
#[derive(Clone, Debug, Default)]
pub struct RemoteKeys {
    /// Certificates as one binary keyring.
    pub gpg: Vec<u8>,
    /// Each the base64 of 32 bytes.
    pub ed25519: Vec<String>,
    /// Each the base64 of a SubjectPublicKeyInfo.
    pub spki: Vec<String>,
}

impl Remote {
    /// Puts the remote into the deployment's /etc, its keyring into the repository: there every client looks first, also one
    /// that works on the disk from outside.
    pub fn place(&self, tree: &mut Tree, etc: InodeId, repository: InodeId, time: Seconds) {
        let (directory, file) = (Stat::root(0o755, time), Stat::root(0o644, time));
        let remotes = tree.ensure_directories(etc, DIRECTORY, &directory);
        let mut add = |at: InodeId, suffix: &str, bytes: Vec<u8>| {
            if !bytes.is_empty() {
                tree.add_file(at, &format!("{}.{suffix}", self.name), file.clone(), bytes);
            }
        };
        add(remotes, "conf", self.text().into_bytes());
        add(repository, "trustedkeys.gpg", self.keys.gpg.clone());
        add(remotes, "ed25519", lines(&self.keys.ed25519));
        add(remotes, "spki", lines(&self.keys.spki));
        add(remotes, "ca.pem", self.authority.clone().unwrap_or_default());
    }

    fn text(&self) -> String {
        let mut text = format!("[remote \"{}\"]\nurl={}\n", self.name, self.url);
        let mut line = |key: &str, value: &str| text.push_str(&format!("{key}={value}\n"));
        if let Some(url) = &self.content_url {
            line("contenturl", url);
        }
        if let Some(collection) = &self.collection_id {
            line("collection-id", collection);
        }
        line("gpg-verify", if self.keys.gpg.is_empty() { "false" } else { "true" });
        let path = |suffix: &str| format!("/etc/{DIRECTORY}/{}.{suffix}", self.name);
        let kinds = [("ed25519", &self.keys.ed25519), ("spki", &self.keys.spki)];
        let kinds: Vec<&str> = kinds.into_iter().filter(|(_, keys)| !keys.is_empty()).map(|(kind, _)| kind).collect();
        if !kinds.is_empty() {
            line("sign-verify", &kinds.join(";"));
        }
        for kind in kinds {
            line(&format!("verification-{kind}-file"), &path(kind));
        }
        if self.authority.is_some() {
            line("tls-ca-path", &path("ca.pem"));
        }
        text
    }
}

/// A remote that the commit itself brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippedRemote {
    pub name: String,
    pub url: Option<String>,
}

/// The remotes in the commit's usr/etc/ostree/remotes.d.
pub fn shipped(files: &Files<'_>) -> Result<Vec<ShippedRemote>, DeployError> {
    let mut remotes = Vec::new();
    let directory = format!("usr/etc/{DIRECTORY}");
    for name in files.list(&directory)?.into_iter().filter(|name| name.ends_with(".conf")) {
        let path = format!("{directory}/{name}");
        let text = files.read_text(&path, CONFIG_LIMIT)?.unwrap_or_default();
        let file = KeyFile::parse(&text).map_err(|error| DeployError::Remote { path, message: error.to_string() })?;
        for name in file.remotes() {
            remotes.push(ShippedRemote { url: file.remote(name, "url").map(str::to_owned), name: name.to_owned() });
        }
    }
    Ok(remotes)
}

fn lines(keys: &[String]) -> Vec<u8> {
    keys.iter().flat_map(|key| format!("{key}\n").into_bytes()).collect()
}
