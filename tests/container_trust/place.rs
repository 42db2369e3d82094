//! Images in a registry with signatures beside them, and both verdicts on them.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bootwright::container_trust::{
    Accepted, Identity, Image, InDirectory, InRegistry, Policy, Refused, RegistriesD, admit,
};
use bootwright::digest::Digest;
use bootwright::image_ref::Reference;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::skopeo::Judge;
use crate::support::gpg::Gpg;
use crate::support::registry::Registry;
use crate::support::repository_of_registry::OCI_MANIFEST;

/// A registry, a lookaside in a directory, and the keys `vendor` and `other` of gpg.
pub struct Place {
    registry: Option<Registry>,
    pub gpg: Gpg,
    directory: TempDir,
    tags: RefCell<Vec<String>>,
}

impl Place {
    pub fn new() -> Place {
        Place { registry: Some(Registry::open()), ..Self::without_registry() }
    }

    pub fn without_registry() -> Place {
        let gpg = Gpg::new();
        gpg.key("vendor", "rsa3072", "never", None);
        gpg.key("other", "ed25519", "never", None);
        let directory = tempfile::tempdir().unwrap();
        let place = Place { registry: None, gpg, directory, tags: RefCell::default() };
        fs::create_dir(place.registries_d()).unwrap();
        let text = format!(
            "# All of them.\ndefault-docker:\n  lookaside: file://{}\n  use-sigstore-attachments: true\n",
            place.lookaside().display()
        );
        fs::write(place.registries_d().join("all.yaml"), text).unwrap();
        place
    }

    pub fn registry(&self) -> &Registry {
        self.registry.as_ref().unwrap()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn registries_d(&self) -> PathBuf {
        self.directory().join("registries.d")
    }

    pub fn lookaside(&self) -> PathBuf {
        self.directory().join("lookaside")
    }

    pub fn tags(&self) -> Vec<String> {
        self.tags.borrow().clone()
    }

    /// An image that differs from others in a label; answers its manifest's digest.
    pub fn push(&self, repository: &str, tag: &str) -> String {
        let to = self.registry().repository(repository);
        let layer = to.put_blob(&empty_layer());
        let (config, manifest) = image(tag, layer);
        to.put_blob(&config);
        to.put_manifest(tag, OCI_MANIFEST, &manifest);
        self.tags.borrow_mut().push(tag.to_owned());
        Digest::of(&manifest).to_string()
    }

    /// Where the lookaside keeps signature `number` of an image in `me/os`.
    fn kept(&self, digest: &str, number: usize) -> PathBuf {
        self.lookaside().join(format!("me/os@{}/signature-{number}", digest.replace(':', "=")))
    }

    /// skopeo signs the manifest under a name.
    pub fn sign_simple(&self, name: &str, digest: &str, key: &str, number: usize) {
        let manifest = self.directory().join("manifest");
        fs::write(&manifest, self.registry().repository("me/os").get_manifest(digest)).unwrap();
        let to = self.kept(digest, number);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let key = self.gpg.fingerprint(key);
        let (manifest, to) = (manifest.display().to_string(), to.display().to_string());
        self.judge().agrees(&["standalone-sign".into(), "--output".into(), to, manifest, name.into(), key]);
    }

    /// The first signature of one image becomes that of another.
    pub fn copy_simple(&self, from: &str, to: &str) {
        fs::create_dir_all(self.kept(to, 1).parent().unwrap()).unwrap();
        fs::copy(self.kept(from, 1), self.kept(to, 1)).unwrap();
    }

    pub fn judge(&self) -> Judge<'_> {
        Judge { registries_d: self.registries_d(), home: self.gpg.home.path() }
    }

    /// Our verdict, with the registry's configuration that skopeo gets, too.
    pub fn ours(&self, policy: &Policy, reference: &str) -> Result<Accepted, Box<Refused>> {
        self.ours_with(policy, reference, RegistriesD::load(&self.registries_d()).unwrap())
    }

    pub fn ours_with(
        &self,
        policy: &Policy,
        reference: &str,
        registries: RegistriesD,
    ) -> Result<Accepted, Box<Refused>> {
        let reference: Reference = reference.parse().unwrap();
        let repository = self.registry().repository(reference.path());
        let text = reference.clone().exact().to_string();
        let tag = &text[reference.name().len() + 1..];
        let manifest = repository.get_manifest(tag);
        let keeping = registries.keeping(&reference).unwrap();
        let signatures = InRegistry { reference: reference.clone(), keeping, fetch: &repository };
        let image = Image { identity: &Identity::docker(&reference), manifest: &manifest, index: None };
        admit(policy, image, &signatures, now())
    }
}

/// Our verdict on a `dir:`.
pub fn ours_in_directory(policy: &Policy, path: &Path) -> Result<Accepted, Box<Refused>> {
    let manifest = fs::read(path.join("manifest.json")).unwrap();
    let signatures = InDirectory { path: path.to_owned(), primary: Digest::of(&manifest) };
    let identity = Identity::dir(path).unwrap();
    admit(policy, Image { identity: &identity, manifest: &manifest, index: None }, &signatures, now())
}

pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

pub fn policy_file(directory: &Path, policy: &Value) -> PathBuf {
    let path = directory.join("policy.json");
    fs::write(&path, policy.to_string()).unwrap();
    path
}

/// Config and manifest of an image of one layer.
fn image(label: &str, layer: Digest) -> (Vec<u8>, Vec<u8>) {
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Labels": {"is": label}},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&[0; 1024]).to_string()]},
    });
    let config = config.to_string().into_bytes();
    let descriptor = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": Digest::of(&config).to_string(), "size": config.len(),
    });
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": layer.to_string(), "size": empty_layer().len(),
    });
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor, "layers": [layer]});
    (config, manifest.to_string().into_bytes())
}

/// An empty tar archive.
fn empty_layer() -> Vec<u8> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap()
}

/// An image as a `dir:`, unsigned; answers its manifest's digest.
pub fn in_directory(path: &Path, label: &str) -> String {
    let layer = Digest::of(&empty_layer());
    let (config, manifest) = image(label, layer);
    fs::create_dir(path).unwrap();
    fs::write(path.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    fs::write(path.join(layer.hex()), empty_layer()).unwrap();
    fs::write(path.join(Digest::of(&config).hex()), config).unwrap();
    fs::write(path.join("manifest.json"), &manifest).unwrap();
    Digest::of(&manifest).to_string()
}

pub fn accept() -> Value {
    json!([{"type": "insecureAcceptAnything"}])
}

pub fn reject() -> Value {
    json!([{"type": "reject"}])
}

/// A policy with one scope of `docker`; everything else is rejected.
pub fn docker(scope: &str, requirements: Value) -> Value {
    json!({"default": reject(), "transports": {"docker": {scope: requirements}}})
}

/// A policy for all of `dir:`, by the name that the signature gives.
pub fn of_name(requirement: &str, keys: &Value) -> Value {
    let mut requirement = json!({"type": requirement, "signedIdentity": {"type": "exactRepository", "dockerRepository": "quay.io/me/os"}});
    requirement.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({"default": reject(), "transports": {"dir": {"": [requirement]}}})
}

/// Asks both for their verdict on the only signature of an image in a directory, and fails where they differ.
pub fn both_say(place: &Place, policy: &Value, image: &Path, signature: &[u8], what: &str) -> bool {
    fs::write(image.join("signature-1"), signature).unwrap();
    let file = policy_file(place.directory(), policy);
    let ours = ours_in_directory(&Policy::load(&file).unwrap(), image);
    let theirs = place.judge().signature_verdict(&file, &format!("dir:{}", image.display()));
    assert!(theirs.accepts().is_none_or(|accepts| accepts == ours.is_ok()), "{what}: {ours:?}, {theirs:?}");
    ours.is_ok()
}

pub fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(bytes)
}
