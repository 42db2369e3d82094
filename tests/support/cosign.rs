//! Signatures as other people's tools make them: openssl in cosign's format, gpg and skopeo in that of simple signing.

use std::fs;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use super::repository_of_registry::{OCI_MANIFEST, Repository};
use qemu_tests::oracle;

/// A pair of keys in files.
pub struct KeyPair {
    pub private: PathBuf,
    pub public: PathBuf,
}

impl KeyPair {
    /// `options` are those of `openssl genpkey`.
    pub fn new(directory: &Path, name: &str, options: &[&str]) -> KeyPair {
        let pair =
            KeyPair { private: directory.join(format!("{name}.key")), public: directory.join(format!("{name}.pub")) };
        let (private, public) = (pair.private.to_str().unwrap(), pair.public.to_str().unwrap());
        openssl(&[&["genpkey", "-out", private], options].concat());
        openssl(&["pkey", "-in", private, "-pubout", "-out", public]);
        pair
    }

    pub fn p256(directory: &Path, name: &str) -> KeyPair {
        Self::new(directory, name, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    /// A signature over `bytes`, in base64.
    pub fn sign(&self, bytes: &[u8]) -> String {
        let (data, signature) = (self.private.with_extension("data"), self.private.with_extension("sig"));
        fs::write(&data, bytes).unwrap();
        let ed25519 = openssl(&["pkey", "-in", self.private.to_str().unwrap(), "-noout", "-text"]).contains("ED25519");
        let digest = if ed25519 { &[][..] } else { &["-digest", "sha256"] };
        let args = ["pkeyutl", "-sign", "-rawin", "-inkey", self.private.to_str().unwrap()];
        let files = ["-in", data.to_str().unwrap(), "-out", signature.to_str().unwrap()];
        openssl(&[&args[..], &files, digest].concat());
        Base64::encode_string(&fs::read(signature).unwrap())
    }

    /// The public key as policies carry it.
    pub fn public_base64(&self) -> String {
        Base64::encode_string(&fs::read(&self.public).unwrap())
    }
}

pub fn openssl(args: &[&str]) -> String {
    oracle::agrees(&oracle::tool("openssl", "openssl"), args)
}

/// What cosign signs.
pub fn cosign_payload(reference: &str, digest: &str) -> Value {
    payload("cosign container image signature", reference, digest, Value::Null)
}

/// What simple signing signs.
pub fn simple_payload(reference: &str, digest: &str) -> Value {
    payload("atomic container signature", reference, digest, json!({"creator": "me", "timestamp": 1_700_000_000}))
}

fn payload(kind: &str, reference: &str, digest: &str, optional: Value) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": kind,
        },
        "optional": optional,
    })
}

/// Puts signatures beside the manifest with this digest, as `cosign sign` does.
pub fn attach(repository: &Repository<'_>, digest: &str, signatures: &[(Vec<u8>, String)]) {
    let config = repository.put_blob(b"{}");
    let layers: Vec<_> = signatures
        .iter()
        .map(|(payload, signature)| {
            json!({
                "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": repository.put_blob(payload).to_string(),
                "size": payload.len(),
                "annotations": {"dev.cosignproject.cosign/signature": signature},
            })
        })
        .collect();
    let config =
        json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.to_string(), "size": 2});
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers});
    repository.put_manifest(
        &format!("{}.sig", digest.replace(':', "-")),
        OCI_MANIFEST,
        manifest.to_string().as_bytes(),
    );
}

/// A cosign signature as a file of a `dir:`.
pub fn sigstore_file(payload: &[u8], signature: &str) -> Vec<u8> {
    let json = json!({
        "mimeType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "payload": Base64::encode_string(payload),
        "annotations": {"dev.cosignproject.cosign/signature": signature},
    });
    [b"\0sigstore-json\n", json.to_string().as_bytes()].concat()
}
