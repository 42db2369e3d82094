//! Which container images may be used: our verdict beside skopeo's, for signatures made by gpg, skopeo and openssl.

mod oracle;
mod support;

#[path = "container_trust/keeping.rs"]
mod keeping;
#[path = "container_trust/payloads.rs"]
mod payloads;
#[path = "container_trust/place.rs"]
mod place;
#[path = "container_trust/policies.rs"]
mod policies;
#[path = "container_trust/refusals.rs"]
mod refusals;
#[path = "container_trust/registry.rs"]
mod registry;
#[path = "container_trust/signatures.rs"]
mod signatures;
#[path = "container_trust/signing.rs"]
mod signing;
#[path = "container_trust/skopeo.rs"]
mod skopeo;

use std::fs;

use bootwright::container_trust::Policy;
use place::{Place, accept, base64, docker, ours_in_directory, policy_file, reject};
use serde_json::{Value, json};
use signing::{KeyPair, attach, cosign_payload};
use skopeo::Verdict;

#[test]
fn every_policy_gives_every_image_the_verdict_that_skopeo_gives() {
    let place = Place::new();
    let host = place.registry().host();
    let vendor = place.gpg.export("vendor", true);
    let both_rings = [vendor.clone(), place.gpg.export("other", false)];
    let key = KeyPair::p256(place.directory(), "cosign");
    let other = KeyPair::p256(place.directory(), "stranger");

    let image = |tag: &str| place.push("me/os", tag);
    let sign = |digest: &str, name: &str, keys: &[&KeyPair]| {
        let payload = cosign_payload(name, digest).to_string().into_bytes();
        let signatures: Vec<_> = keys.iter().map(|key| (payload.clone(), key.sign(&payload))).collect();
        attach(&place.registry().repository("me/os"), digest, &signatures);
    };
    let repository = format!("{host}/me/os");
    let named = |tag: &str| format!("{repository}:{tag}");

    image("unsigned");
    let gpg = image("gpg");
    place.sign_simple(&named("gpg"), &gpg, "vendor", 1);
    place.sign_simple(&named("stranger"), &image("stranger"), "other", 1);
    place.sign_simple(&named("another-tag"), &image("renamed"), "vendor", 1);
    place.sign_simple("quay.io/me/os:mirrored", &image("mirrored"), "vendor", 1);
    let twice = image("second-counts");
    place.sign_simple(&named("second-counts"), &twice, "other", 1);
    place.sign_simple(&named("second-counts"), &twice, "vendor", 2);
    place.copy_simple(&gpg, &image("copied-signature"));

    sign(&image("cosign"), &repository, &[&key]);
    sign(&image("cosign-tagged"), &named("cosign-tagged"), &[&key]);
    sign(&image("cosign-stranger"), &repository, &[&other]);
    sign(&image("cosign-second"), &repository, &[&other, &key]);
    sign(&image("cosign-mirrored"), "quay.io/me/os", &[&key]);
    let payload = cosign_payload(&repository, &gpg).to_string().into_bytes();
    attach(&place.registry().repository("me/os"), &image("cosign-copied"), &[(payload.clone(), key.sign(&payload))]);
    let both = image("both");
    sign(&both, &repository, &[&key]);
    place.sign_simple(&named("both"), &both, "vendor", 1);

    let signed_by = |identity: Value| json!([{"type": "signedBy", "keyType": "GPGKeys", "keyPath": vendor, "signedIdentity": identity}]);
    let sigstore =
        |identity: Value| json!([{"type": "sigstoreSigned", "keyPath": key.public, "signedIdentity": identity}]);
    let exactly = json!({"type": "matchRepoDigestOrExact"});
    let of_repository = json!({"type": "matchRepository"});
    let remapped = json!({"type": "remapIdentity", "prefix": &host, "signedPrefix": "quay.io"});
    let both_kinds = [signed_by(of_repository.clone())[0].clone(), sigstore(of_repository.clone())[0].clone()];
    let policies = [
        json!({"default": accept()}),
        json!({"default": reject()}),
        docker("", accept()),
        docker(&repository, signed_by(exactly.clone())),
        docker(&format!("{host}/me"), signed_by(json!({"type": "matchExact"}))),
        docker(&host, signed_by(of_repository.clone())),
        docker("*.0.1", signed_by(json!({"type": "exactReference", "dockerReference": named("another-tag")}))),
        docker("", signed_by(json!({"type": "exactRepository", "dockerRepository": "quay.io/me/os"}))),
        docker("", signed_by(remapped.clone())),
        docker("", json!([{"type": "signedBy", "keyType": "GPGKeys", "keyData": base64(&fs::read(&vendor).unwrap())}])),
        docker("", json!([{"type": "signedBy", "keyType": "GPGKeys", "keyPaths": both_rings}])),
        docker("", sigstore(exactly)),
        docker("", sigstore(of_repository.clone())),
        docker("", sigstore(remapped)),
        docker("", sigstore(json!({"type": "exactRepository", "dockerRepository": "quay.io/me/os"}))),
        docker(
            "",
            json!([{"type": "sigstoreSigned", "keyData": other.public_base64(), "signedIdentity": of_repository}]),
        ),
        docker("", json!(both_kinds)),
        // The most specific scope decides, and a reference by digest has one of its own.
        json!({"default": accept(), "transports": {"docker": {
            named("gpg"): reject(), format!("{host}/me"): reject(), &repository: accept(), named("unsigned"): signed_by(of_repository.clone()),
        }}}),
        docker(&format!("{repository}@{gpg}"), accept()),
    ];
    let mut references: Vec<String> = place.tags().iter().map(|tag| named(tag)).collect();
    references.extend([&gpg, &both, &twice].map(|digest| format!("{repository}@{digest}")));
    let judge = place.judge();
    let mut accepted = 0;
    for policy in &policies {
        let file = policy_file(place.directory(), policy);
        for reference in &references {
            let ours = place.ours(&Policy::load(&file).unwrap(), reference);
            let theirs = judge.verdict(&file, &format!("docker://{reference}"));
            assert_eq!(ours.is_ok(), theirs == Verdict::Accepted, "{reference}, {policy:#}: {ours:?}, {theirs:?}");
            accepted += usize::from(ours.is_ok());
        }
    }
    let all = policies.len() * references.len();
    assert!(accepted > all / 5 && accepted < all * 4 / 5, "{accepted} of {all} are accepted");
}

#[test]
fn directories_are_found_in_their_scopes_as_skopeo_finds_them() {
    let place = Place::without_registry();
    let root = place.directory().canonicalize().unwrap();
    fs::create_dir(root.join("below")).unwrap();
    let image = root.join("below/image");
    place::in_directory(&image, "scopes");
    let link = root.join("link");
    std::os::unix::fs::symlink(&image, &link).unwrap();
    let dir = |scopes: Value| json!({"default": accept(), "transports": {"dir": scopes}});
    for (policy, accepted) in [
        (dir(json!({image.to_str().unwrap(): reject()})), false),
        (dir(json!({root.to_str().unwrap(): reject(), root.join("below").to_str().unwrap(): accept()})), true),
        (dir(json!({"": reject(), root.join("bel").to_str().unwrap(): accept()})), false),
        (dir(json!({"": reject(), link.to_str().unwrap(): accept()})), false),
        (dir(json!({link.to_str().unwrap(): reject()})), true),
        (json!({"default": accept(), "transports": {"oci": {"": reject()}}}), true),
    ] {
        let file = policy_file(place.directory(), &policy);
        for path in [&image, &link] {
            let ours = ours_in_directory(&Policy::load(&file).unwrap(), path);
            let theirs = place.judge().verdict(&file, &format!("dir:{}", path.display()));
            assert_eq!((ours.is_ok(), theirs == Verdict::Accepted), (accepted, accepted), "{policy:#}, {theirs:?}");
        }
    }
}
