//! What is said of images that are refused, and what keys of the command line take.

use std::fs;

use bootwright::container_trust::{Identity, Image, InRegistry, Keeping, Policy, admit};
use bootwright::digest::Digest;
use bootwright::image_ref::Reference;
use serde_json::{Value, json};

use super::place::{self, Place, docker, of_name, ours_in_directory, policy_file, reject};
use crate::support::cosign::{KeyPair, attach, cosign_payload, sigstore_file, simple_payload};
use crate::support::repository_of_registry::OCI_MANIFEST;

#[test]
fn a_cosign_key_takes_the_image_or_the_index_that_led_to_it_under_its_own_repository() {
    let place = Place::new();
    let host = place.registry().host();
    let repository = place.registry().repository("me/os");
    let (key, stranger) = (KeyPair::p256(place.directory(), "a"), KeyPair::p256(place.directory(), "b"));
    let policy = Policy::of_cosign_keys(&[stranger.public.clone(), key.public.clone()]).unwrap();
    assert!(!policy.accepts_anything());
    let sign = |digest: &str, name: &str| {
        let payload = cosign_payload(name, digest).to_string().into_bytes();
        attach(&repository, digest, &[(payload.clone(), key.sign(&payload))]);
    };
    let reference: Reference = format!("{host}/me/os:1").parse().unwrap();
    let keeping = Keeping::find(&policy, &reference).unwrap();
    assert_eq!(keeping, Keeping { lookaside: None, use_sigstore_attachments: true });
    let verdict = |policy: &Policy, reference: &Reference, manifest: &[u8], index: Option<&[u8]>| {
        let signatures = InRegistry { reference: reference.clone(), keeping: keeping.clone(), fetch: &repository };
        let identity = Identity::docker(reference);
        admit(policy, Image { identity: &identity, manifest, index }, &signatures, place::now())
    };
    let digest = place.push("me/os", "1");
    let manifest = repository.get_manifest("1");
    let error = verdict(&policy, &reference, &manifest, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "docker://{host}/me/os:1 may not be used: it is not signed: no signature was found in {host}/me/os (--cosign-key, sigstoreSigned)"
        )
    );
    // The index alone is signed.
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": digest, "size": manifest.len(), "platform": {"os": "linux", "architecture": "amd64"}}]});
    let index = index.to_string().into_bytes();
    repository.put_manifest("index", "application/vnd.oci.image.index.v1+json", &index);
    sign(&Digest::of(&index).to_string(), &format!("{host}/me/os"));
    assert!(verdict(&policy, &reference, &manifest, Some(&index)).unwrap().is_signed());
    assert!(verdict(&policy, &reference, &manifest, None).is_err());
    // A policy file asks for the image's own, as skopeo does.
    let file =
        json!([{"type": "sigstoreSigned", "keyPath": key.public, "signedIdentity": {"type": "matchRepository"}}]);
    let file = policy_file(place.directory(), &docker("", file));
    assert!(verdict(&Policy::load(&file).unwrap(), &reference, &manifest, Some(&index)).is_err());
    let theirs = || place.judge().verdict(&file, &format!("docker://{host}/me/os:index")).accepts();
    assert_eq!(theirs(), Some(false), "unsigned");
    sign(&digest, &format!("{host}/me/os"));
    assert!(verdict(&Policy::load(&file).unwrap(), &reference, &manifest, Some(&index)).is_ok());
    assert!(theirs().is_none_or(|accepts| accepts));
    // Under the name of another repository, or by another key.
    sign(&digest, "quay.io/vendor/other");
    let error = verdict(&policy, &reference, &manifest, None).unwrap_err();
    assert!(
        error.to_string().contains(&format!("for the name `quay.io/vendor/other`, and `{host}/me/os:1` is asked for")),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("remapIdentity"));
    sign(&digest, &format!("{host}/me/os:2"));
    let error = verdict(&Policy::of_cosign_keys(&[stranger.public]).unwrap(), &reference, &manifest, None).unwrap_err();
    assert!(error.to_string().contains("by another key than SHA256:"), "{error}");
    assert!(verdict(&policy, &reference, &manifest, None).is_ok(), "any tag of the repository");
}

#[test]
fn each_refusal_says_why_and_what_to_do() {
    let place = Place::without_registry();
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "refusals");
    let (key, stranger) = (KeyPair::p256(place.directory(), "a"), KeyPair::p256(place.directory(), "b"));
    let ring = place.gpg.export("vendor", true);
    let payload = cosign_payload("quay.io/me/os", &digest).to_string().into_bytes();
    let signed_with = |key: &KeyPair, payload: &[u8]| sigstore_file(payload, &key.sign(payload));
    let refusal = |policy: Value, signature: Option<Vec<u8>>| {
        let _ = fs::remove_file(image.join("signature-1"));
        if let Some(signature) = signature {
            fs::write(image.join("signature-1"), signature).unwrap();
        }
        let policy = Policy::load(&policy_file(place.directory(), &policy)).unwrap();
        let error = ours_in_directory(&policy, &image).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("dir:{} may not be used: ", image.display())), "{text}");
        assert!(text.contains(&place.directory().join("policy.json").display().to_string()), "{text}");
        (text, error.hint().unwrap_or_default())
    };
    let by_key = |keys: Value| of_name("sigstoreSigned", &keys);
    let other = cosign_payload("quay.io/me/os", &format!("sha256:{}", "0".repeat(64))).to_string().into_bytes();
    let by_ring = of_name("signedBy", &json!({"keyType": "GPGKeys", "keyPath": ring}));
    let simple = simple_payload("quay.io/me/os", &digest).to_string().into_bytes();
    let unnamed = json!({"default": [{"type": "sigstoreSigned", "keyPath": key.public}]});
    let cases = [
        (json!({"default": reject()}), None, "the policy rejects it", "transports.dir"),
        (by_key(json!({"keyPath": key.public})), None, "it is not signed: no signature was found in", ""),
        (by_ring.clone(), Some(signed_with(&key, &payload)), "but for one of another kind", ""),
        (
            by_key(json!({"keyPath": stranger.public})),
            Some(signed_with(&key, &payload)),
            "by another key than SHA256:",
            "new key",
        ),
        (
            by_key(json!({"keyPath": key.public})),
            Some(signed_with(&key, &other)),
            "for another image, sha256:0000",
            "one manifest",
        ),
        (unnamed, Some(signed_with(&key, &payload)), "the image that is asked for has none", "exactRepository"),
        (by_key(json!({"keyPath": "/nonexistent"})), None, "/nonexistent cannot be read", ""),
        (by_key(json!({"keyPath": key.private})), None, "holds a secret key", ""),
        (by_key(json!({"keyData": "AAAA"})), None, "the key data in the policy is no key", ""),
        (
            by_key(
                json!({"fulcio": {"caPath": "/a", "oidcIssuer": "b", "subjectEmail": "c"}, "rekorPublicKeyPath": "/a"}),
            ),
            None,
            "only keys are supported, no certificates",
            "keyPath",
        ),
        (by_key(json!({"keyPath": key.public, "rekorPublicKeyPath": "/a"})), None, "Rekor's log", "keyPath"),
        (
            of_name("signedBy", &json!({"keyType": "signedByGPGKeys", "keyPath": ring})),
            None,
            "no keyType but GPGKeys",
            "keyPath",
        ),
        (by_ring, Some(place.gpg.message("other", &simple, &[])), "is of none of the keys given", ""),
    ];
    for (policy, signature, fact, advice) in cases {
        let (text, hint) = refusal(policy, signature);
        assert!(text.contains(fact), "`{fact}` is not in: {text}");
        assert!(hint.contains(advice), "`{advice}` is not in: {hint}");
    }
}
