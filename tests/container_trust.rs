//! Which container images may be used: our verdict beside skopeo's, for signatures made by gpg, skopeo and openssl.

mod keeping;
mod payloads;
mod place;
mod policies;
mod refusals;
mod signatures;
mod skopeo;

use std::fs;

use crate::support::cosign::{KeyPair, attach, cosign_payload};
use bootwright::container_trust::Policy;
use place::{Place, accept, base64, docker, ours_in_directory, policy_file, reject};
use serde_json::{Value, json};
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
    let of_mirror = json!({"type": "exactRepository", "dockerRepository": "quay.io/me/os"});
    let remapped = json!({"type": "remapIdentity", "prefix": &host, "signedPrefix": "quay.io"});
    let both_kinds = json!([signed_by(of_repository.clone())[0], sigstore(of_repository.clone())[0]]);
    let ring = base64(&fs::read(&vendor).unwrap());
    let one_ring = json!([{"type": "signedBy", "keyType": "GPGKeys", "keyData": ring}]);
    let two_rings = json!([{"type": "signedBy", "keyType": "GPGKeys", "keyPaths": both_rings}]);
    let by_data =
        json!([{"type": "sigstoreSigned", "keyData": other.public_base64(), "signedIdentity": of_repository}]);
    let by_name = signed_by(json!({"type": "exactReference", "dockerReference": named("another-tag")}));
    // The most specific scope decides, and a reference by digest has one of its own.
    let scopes = json!({
        named("gpg"): reject(), format!("{host}/me"): reject(), &repository: accept(),
        named("unsigned"): signed_by(of_repository.clone()),
    });
    let every = "unsigned gpg stranger renamed mirrored second-counts copied-signature cosign cosign-tagged cosign-stranger \
                 cosign-second cosign-mirrored cosign-copied both @gpg @both @second-counts";
    let all_but_two = every.strip_prefix("unsigned gpg ").unwrap();
    // Each with the images that it accepts.
    let policies = [
        (json!({"default": accept()}), every),
        (json!({"default": reject()}), ""),
        (docker("", accept()), every),
        (docker(&repository, signed_by(exactly.clone())), "gpg second-counts both @gpg @both @second-counts"),
        (docker(&format!("{host}/me"), signed_by(json!({"type": "matchExact"}))), "gpg second-counts both"),
        (docker(&host, signed_by(of_repository.clone())), "gpg renamed second-counts both @gpg @both @second-counts"),
        (docker("*.0.1", by_name), "renamed"),
        (docker("", signed_by(of_mirror.clone())), "mirrored"),
        (docker("", signed_by(remapped.clone())), "mirrored"),
        (docker("", one_ring), "gpg second-counts both @gpg @both @second-counts"),
        (docker("", two_rings), "gpg stranger second-counts both @gpg @both @second-counts"),
        (docker("", sigstore(exactly)), "cosign-tagged"),
        (docker("", sigstore(of_repository)), "cosign cosign-tagged cosign-second both @both"),
        (docker("", sigstore(remapped)), ""),
        (docker("", sigstore(of_mirror)), "cosign-mirrored"),
        (docker("", by_data), "cosign-stranger cosign-second"),
        (docker("", both_kinds), "both @both"),
        (json!({"default": accept(), "transports": {"docker": scopes}}), all_but_two),
        (docker(&format!("{repository}@{gpg}"), accept()), "@gpg"),
    ];
    let mut images: Vec<_> = place.tags().into_iter().map(|tag| (tag.clone(), named(&tag))).collect();
    for (name, digest) in [("@gpg", &gpg), ("@both", &both), ("@second-counts", &twice)] {
        images.push((name.to_owned(), format!("{repository}@{digest}")));
    }
    for (policy, accepted) in &policies {
        let file = policy_file(place.directory(), policy);
        for (name, reference) in &images {
            let expected = accepted.split_whitespace().any(|accepted| accepted == name);
            let ours = place.ours(&Policy::load(&file).unwrap(), reference);
            assert_eq!(ours.is_ok(), expected, "{name}, {policy:#}: {ours:?}");
            let theirs = place.judge().verdict(&file, &format!("docker://{reference}"));
            assert!(theirs.accepts().is_none_or(|accepts| accepts == expected), "{name}, {policy:#}: {theirs:?}");
        }
    }
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
