//! Which container images may be used: our verdict beside skopeo's, for signatures made by gpg, skopeo and openssl.

mod oracle;
#[path = "container_trust/place.rs"]
mod place;
#[path = "container_trust/registry.rs"]
mod registry;
#[path = "container_trust/signing.rs"]
mod signing;
#[path = "container_trust/skopeo.rs"]
mod skopeo;
mod support;

use std::fs;
use std::path::Path;

use bootwright::container_trust::{
    Identity, Image, InRegistry, Keeping, Policy, Proof, Reference, RegistriesD, SignaturesError, Why, admit,
};
use bootwright::digest::Digest;
use place::{Place, ours_in_directory, policy_file};
use serde_json::{Value, json};
use signing::{KeyPair, attach, cosign_payload, sigstore_file, simple_payload};
use skopeo::Verdict;
use support::server::{Fault, Server};

fn accept() -> Value {
    json!([{"type": "insecureAcceptAnything"}])
}

fn reject() -> Value {
    json!([{"type": "reject"}])
}

/// A policy with one scope of `docker`; everything else is rejected.
fn docker(scope: &str, requirements: Value) -> Value {
    json!({"default": reject(), "transports": {"docker": {scope: requirements}}})
}

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

fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(bytes)
}

/// Texts of policies; the key and the ring exist.
fn texts(key: &str, ring: &str) -> Vec<String> {
    let default = |requirements: &str| format!(r#"{{"default": {requirements}}}"#);
    let signed = |fields: &str| default(&format!(r#"[{{"type": "signedBy", {fields}}}]"#));
    let sigstore = |fields: &str| default(&format!(r#"[{{"type": "sigstoreSigned", {fields}}}]"#));
    let identity = |fields: &str| sigstore(&format!(r#""keyPath": "{key}", "signedIdentity": {fields}"#));
    let scope = |transport: &str, scope: &str| {
        format!(
            r#"{{"default": [{{"type": "reject"}}], "transports": {{"{transport}": {{"{scope}": [{{"type": "reject"}}]}}}}}}"#
        )
    };
    let mut texts = vec![
        // What is around.
        String::new(), "null".into(), "[]".into(), "{}".into(), default("[]"), default("null"), default("{}"),
        default(r#"[{"type": "reject"}]"#), default(r#"[{"type": "reject"}]"#) + "  \n", default(r#"[{"type": "reject"}]"#) + " {}",
        r#"{"default": [{"type": "reject"}], "default": [{"type": "reject"}]}"#.into(),
        r#"{"default": [{"type": "reject"}], "more": 1}"#.into(),
        r#"{"Default": [{"type": "reject"}]}"#.into(),
        r#"{"default": [{"type": "reject"}], "transports": null}"#.into(),
        r#"{"default": [{"type": "reject"}], "transports": {}}"#.into(),
        r#"{"default": [{"type": "reject"}], "transports": {"docker": {}}}"#.into(),
        r#"{"default": [{"type": "reject"}], "transports": {"docker": {"": []}}}"#.into(),
        r#"{"default": [{"type": "reject"}], "transports": {"docker": {}, "docker": {}}}"#.into(),
        r#"{"default": [{"type": "reject"}], "transports": {"docker": {"a": [{"type": "reject"}], "a": [{"type": "reject"}]}}}"#.into(),
        r#"[[{"type": "reject"}], {}]"#.into(),
        "\u{feff}".to_owned() + &default(r#"[{"type": "reject"}]"#),
        // Requirements.
        default("[null]"), default("[{}]"), default("[[]]"), default(r#"["reject"]"#), default(r#"[["reject", {}]]"#),
        default(r#"[{"type": "Reject"}]"#), default(r#"[{"type": "other"}]"#), default(r#"[{"type": null}]"#),
        default(r#"[{"type": "reject", "more": 1}]"#), default(r#"[{"type": "insecureAcceptAnything", "more": 1}]"#),
        default(r#"[{"type": "reject", "type": "reject"}]"#), default(r#"[{"Type": "reject"}]"#),
        default(r#"[{"type": "signedBaseLayer"}]"#), default(r#"[{"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}]"#),
        // Keys.
        signed(&format!(r#""keyType": "GPGKeys", "keyPath": "{ring}""#)),
        signed(&format!(r#""keyPath": "{ring}""#)),
        signed(r#""keyType": "GPGKeys""#),
        signed(r#""keyType": "GPGKeys", "keyPath": """#),
        signed(r#""keyType": "GPGKeys", "keyPath": 1"#),
        signed(r#""keyType": "GPGKeys", "keyPath": null"#),
        signed(r#""keyType": "GPGKeys", "keyPath": "/none""#),
        signed(r#""keyType": "GPGKeys", "keyData": "!""#),
        signed(r#""keyType": "GPGKeys", "keyData": """#),
        signed(&format!(r#""keyType": "GPGKeys", "keyPath": "{ring}", "keyPaths": ["{ring}"]"#)),
        signed(&format!(r#""keyType": "GPGKeys", "keyPath": "{ring}", "keyPath": "{ring}""#)),
        signed(&format!(r#""keyType": "GPGKeys", "keyPath": "{ring}", "keyDatas": []"#)),
        signed(&format!(r#""keyType": "X509Certificates", "keyPath": "{ring}""#)),
        signed(&format!(r#""keyType": "signedByX509CAs", "keyPath": "{ring}""#)),
        signed(&format!(r#""keyType": "signedByGPGKeys", "keyPath": "{ring}""#)),
        signed(&format!(r#""keyType": "gpgKeys", "keyPath": "{ring}""#)),
        signed(&format!(r#""keyType": "GPGKeys", "keyPaths": ["{ring}"]"#)),
        signed(r#""keyType": "GPGKeys", "keyPaths": "a""#),
        sigstore(&format!(r#""keyPath": "{key}""#)),
        sigstore(r#""keyPath": """#),
        sigstore(r#""keyData": 1"#),
        sigstore(r#""keyData": "AA==""#),
        sigstore(r#""keyData": "AA==", "keyPath": "/a""#),
        sigstore(r#""signedIdentity": {"type": "matchExact"}"#),
        sigstore(&format!(r#""keyType": "GPGKeys", "keyPath": "{key}""#)),
        // Identities.
        identity(r#"{"type": "matchExact"}"#), identity(r#"{"type": "matchExact", "more": 1}"#), identity("null"), identity("{}"),
        identity(r#""matchExact""#), identity(r#"["matchExact", {}]"#), identity(r#"{"type": "matchRepoDigestOrExact"}"#),
        identity(r#"{"type": "matchRepository"}"#), identity(r#"{"type": "matchAnything"}"#),
        identity(r#"{"type": "matchRepository", "type": "matchRepository"}"#),
        identity(r#"{"type": "exactReference"}"#), identity(r#"{"type": "exactReference", "dockerReference": "busybox"}"#),
        identity(r#"{"type": "exactReference", "dockerReference": "busybox:1"}"#),
        identity(r#"{"type": "exactReference", "dockerReference": "Busybox:1"}"#),
        identity(r#"{"type": "exactReference", "dockerReference": ""}"#),
        identity(r#"{"type": "exactReference", "dockerReference": null}"#),
        identity(r#"{"type": "exactReference", "dockerReference": "a:1", "dockerRepository": "a"}"#),
        identity(r#"{"type": "exactRepository", "dockerRepository": "busybox"}"#),
        identity(r#"{"type": "exactRepository", "dockerRepository": "busybox:1"}"#),
        identity(r#"{"type": "exactRepository", "dockerRepository": "a//b"}"#),
        identity(r#"{"type": "remapIdentity", "prefix": "a", "signedPrefix": "b"}"#),
        identity(r#"{"type": "remapIdentity", "prefix": "a.b:5000/c", "signedPrefix": "b/c/d"}"#),
        identity(r#"{"type": "remapIdentity", "prefix": "a.b/c:1", "signedPrefix": "b"}"#),
        identity(r#"{"type": "remapIdentity", "prefix": "", "signedPrefix": "b"}"#),
        identity(r#"{"type": "remapIdentity", "prefix": "a"}"#),
        identity(r#"{"type": "remapIdentity", "prefix": "A/B", "signedPrefix": "b"}"#),
    ];
    for (transport, scopes) in [
        ("docker", &["a", "a/b:1", "*.example.com", "/", "A b"][..]),
        ("oci", &["a", "/", "/a", "/a/", "/a/../b", "/a//b", "/a/./b"]),
        ("oci-archive", &["a", "/", "/a", "/a/", "/a.tar"]),
        ("dir", &["a", "/", "/a", "/a/", "/a/..", "//a"]),
        ("docker-archive", &["/a", "a"]),
        ("tarball", &["a"]),
        ("docker-daemon", &["docker.io/library/busybox"]),
        (
            "containers-storage",
            &[
                "a",
                "[overlay@/var]",
                "[/var]",
                "[overlay@var]",
                "[@/var]",
                "[overlay@]",
                "[var]",
                "[]",
                "[overlay@/var]a:1",
                "[overlay@/var",
            ],
        ),
        ("unheard-of", &["anything/"]),
    ] {
        texts.extend(scopes.iter().map(|name| scope(transport, name)));
    }
    texts
}

#[test]
fn a_policy_is_one_exactly_when_skopeo_takes_it_for_one() {
    let place = Place::without_registry();
    let key = KeyPair::p256(place.directory(), "cosign");
    let ring = place.gpg.export("vendor", true);
    let image = place.directory().join("image");
    place::in_directory(&image, "policy");
    let file = place.directory().join("policy.json");
    let judge = place.judge();
    let (mut good, mut bad) = (0, 0);
    for text in texts(key.public.to_str().unwrap(), ring.to_str().unwrap()) {
        fs::write(&file, &text).unwrap();
        let ours = Policy::load(&file);
        let theirs = judge.verdict(&file, &format!("dir:{}", image.display()));
        let is_policy = !matches!(theirs, Verdict::NoPolicy(_));
        assert_eq!(ours.is_ok(), is_policy, "{text}: {ours:?}, {theirs:?}");
        *(if is_policy { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 20 && bad > 40, "{good} good, {bad} bad");
}

/// A policy for all of `dir:`, by the name that the signature gives.
fn of_name(requirement: &str, keys: &Value) -> Value {
    let mut requirement = json!({"type": requirement, "signedIdentity": {"type": "exactRepository", "dockerRepository": "quay.io/me/os"}});
    requirement.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({"default": reject(), "transports": {"dir": {"": [requirement]}}})
}

/// Payloads that are what they should be, or not quite; `good` is one that is.
fn payloads(good: &Value) -> Vec<String> {
    let text = good.to_string();
    let changed = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed.to_string()
    };
    let without = |pointer: &str, key: &str| {
        let mut changed = good.clone();
        changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
        changed.to_string()
    };
    let with = |pointer: &str, key: &str| {
        let mut changed = good.clone();
        changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert(key.to_owned(), json!(1));
        changed.to_string()
    };
    let digest = "docker-manifest-digest";
    let mut texts = vec![
        text.clone(),
        format!(" {text}\n"),
        format!("{text}{text}"),
        format!("{text}x"),
        String::new(),
        "null".into(),
        "[]".into(),
        with("", "more"),
        with("/critical", "more"),
        with("/critical/image", "more"),
        with("/critical/identity", "more"),
        without("", "optional"),
        without("", "critical"),
        without("/critical", "type"),
        without("/critical", "image"),
        without("/critical", "identity"),
        without("/critical/image", digest),
        without("/critical/identity", "docker-reference"),
        changed("/critical", json!([])),
        changed("/critical", Value::Null),
        changed("/critical/image", json!("a")),
        changed("/critical/type", json!("other")),
        changed("/critical/type", Value::Null),
        changed("/critical/type", json!("atomic container signature")),
        changed("/critical/type", json!("cosign container image signature")),
        changed("/critical/image/docker-manifest-digest", json!("sha256:00")),
        changed("/critical/image/docker-manifest-digest", json!(1)),
        changed("/critical/image/docker-manifest-digest", json!(format!("sha256:{}", "0".repeat(64)))),
        changed("/critical/image/docker-manifest-digest", json!(format!("sha512:{}", "0".repeat(128)))),
        changed("/critical/identity/docker-reference", json!("quay.io/other/os")),
        changed("/critical/identity/docker-reference", json!("")),
        changed("/critical/identity/docker-reference", json!("Quay.io/Me/os")),
        changed("/critical/identity/docker-reference", json!(["quay.io/me/os"])),
        changed("/critical/identity/docker-reference", json!("quay.io/me/os:1")),
        changed("/critical/identity", json!(["quay.io/me/os"])),
        text.replacen(r#""critical":"#, r#""critical":{},"critical":"#, 1),
        text.replacen(r#""type":"#, r#""type":"other","type":"#, 1),
        text.replacen(r#""docker-reference":"#, r#""docker-reference":"a","docker-reference":"#, 1),
        text.replacen(r#""type":"#, r#""Type":"#, 1),
    ];
    for optional in [
        "null",
        "{}",
        "[]",
        "1",
        r#"{"creator": "a"}"#,
        r#"{"creator": 1}"#,
        r#"{"creator": null}"#,
        r#"{"timestamp": 1}"#,
        r#"{"timestamp": 1.5}"#,
        r#"{"timestamp": 1e3}"#,
        r#"{"timestamp": "1"}"#,
        r#"{"timestamp": null}"#,
        r#"{"timestamp": -1}"#,
        r#"{"timestamp": 1e300}"#,
        r#"{"other": {"a": [1, null]}}"#,
        r#"{"creator": "a", "creator": "b"}"#,
        r#"{"other": 1, "other": 2}"#,
    ] {
        let mut critical = good.clone();
        critical.as_object_mut().unwrap().remove("optional");
        texts.push(format!(r#"{}, "optional": {optional}}}"#, critical.to_string().strip_suffix('}').unwrap()));
    }
    texts
}

/// Asks both for their verdict on the only signature of an image in a directory, and fails where they differ.
fn both_say(place: &Place, policy: &Value, image: &Path, signature: &[u8], what: &str) -> bool {
    fs::write(image.join("signature-1"), signature).unwrap();
    let file = policy_file(place.directory(), policy);
    let ours = ours_in_directory(&Policy::load(&file).unwrap(), image);
    let theirs = place.judge().signature_verdict(&file, &format!("dir:{}", image.display()));
    assert_eq!(ours.is_ok(), theirs == Verdict::Accepted, "{what}: {ours:?}, {theirs:?}");
    ours.is_ok()
}

#[test]
fn a_signed_payload_counts_exactly_when_it_counts_to_skopeo() {
    let place = Place::without_registry();
    let key = KeyPair::p256(place.directory(), "cosign");
    let ring = place.gpg.export("vendor", true);
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "payload");

    let cosign = of_name("sigstoreSigned", &json!({"keyPath": key.public}));
    let count = |text: &String| {
        let signature = sigstore_file(text.as_bytes(), &key.sign(text.as_bytes()));
        both_say(&place, &cosign, &image, &signature, text)
    };
    let texts = payloads(&cosign_payload("quay.io/me/os", &digest));
    let good = texts.iter().filter(|text| count(text)).count();
    assert!(good >= 8 && good < texts.len() / 2, "{good} of {}", texts.len());

    let simple = of_name("signedBy", &json!({"keyType": "GPGKeys", "keyPath": ring}));
    let count =
        |text: &String| both_say(&place, &simple, &image, &place.gpg.message("vendor", text.as_bytes(), &[]), text);
    let texts = payloads(&simple_payload("quay.io/me/os", &digest));
    let good = texts.iter().filter(|text| count(text)).count();
    assert!(good >= 8 && good < texts.len() / 2, "{good} of {}", texts.len());
}

#[test]
fn cosign_signatures_by_every_kind_of_key_count_here_and_there() {
    let place = Place::without_registry();
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "kinds");
    let payload = cosign_payload("quay.io/me/os", &digest).to_string().into_bytes();
    for (name, options) in [
        ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..]),
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("p521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        ("rsa", &["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("rsa4096", &["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:4096"]),
        ("ed25519", &["-algorithm", "ed25519"]),
    ] {
        let key = KeyPair::new(place.directory(), name, options);
        let policy = of_name("sigstoreSigned", &json!({"keyPath": key.public}));
        let signature = key.sign(&payload);
        assert!(both_say(&place, &policy, &image, &sigstore_file(&payload, &signature), name), "{name}");
        let over_more = sigstore_file(&[&payload[..], b" "].concat(), &signature);
        assert!(!both_say(&place, &policy, &image, &over_more, name), "{name}");
        // The fingerprint is what openssl makes of the key.
        let der = place.directory().join("der");
        signing::openssl(&[
            "pkey",
            "-pubin",
            "-in",
            key.public.to_str().unwrap(),
            "-outform",
            "DER",
            "-out",
            der.to_str().unwrap(),
        ]);
        fs::write(image.join("signature-1"), sigstore_file(&payload, &signature)).unwrap();
        let accepted = ours_in_directory(&Policy::of_cosign_keys(&[key.public]).unwrap(), &image).unwrap();
        let sha256 = base64(&Digest::of(&fs::read(der).unwrap()).0);
        let fingerprint = format!("SHA256:{}", sha256.trim_end_matches('='));
        assert_eq!(
            accepted.proofs,
            [Proof::SigstoreSigned { key: fingerprint, signed_as: "quay.io/me/os".to_owned() }]
        );
    }
}

#[test]
fn files_that_are_no_good_cosign_signature_are_refused_here_and_there() {
    let place = Place::without_registry();
    let key = KeyPair::p256(place.directory(), "cosign");
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "files");
    let payload = cosign_payload("quay.io/me/os", &digest).to_string().into_bytes();
    let good = sigstore_file(&payload, &key.sign(&payload));
    let policy = of_name("sigstoreSigned", &json!({"keyPath": key.public}));
    let refused = |bytes: &[u8], what: &str| assert!(!both_say(&place, &policy, &image, bytes, what), "{what}");
    assert!(both_say(&place, &policy, &image, &good, "good"));
    refused(b"", "empty");
    refused(b"-----BEGIN PGP MESSAGE-----", "armor");
    refused(b"\0", "no format");
    refused(b"\0other\n{}", "another format");
    refused(&good[1..], "no zero");
    refused(&[&good[..], b"}"].concat(), "more");
    refused(&sigstore_file(&payload, ""), "no signature");
    refused(&sigstore_file(&payload, "!"), "no base64");
    refused(&sigstore_file(b"", &key.sign(b"")), "no payload");
    let text = String::from_utf8(good).unwrap();
    refused(text.replace("simplesigning", "other").as_bytes(), "another media type");
    refused(text.replace("dev.cosignproject.cosign/signature", "other").as_bytes(), "no annotation");
    fs::remove_file(image.join("signature-1")).unwrap();
    assert!(ours_in_directory(&Policy::load(&policy_file(place.directory(), &policy)).unwrap(), &image).is_err());
}

#[test]
fn signed_messages_of_gpg_count_here_and_there_while_their_key_may_sign() {
    let place = Place::without_registry();
    let gpg = &place.gpg;
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "messages");
    let payload = simple_payload("quay.io/me/os", &digest).to_string().into_bytes();
    let says = |key: &str, message: &[u8], what: &str| {
        let policy = of_name("signedBy", &json!({"keyType": "GPGKeys", "keyPath": gpg.export(key, true)}));
        both_say(&place, &policy, &image, message, what)
    };
    for key in ["vendor", "other"] {
        for options in [
            &[][..],
            &["--compress-algo", "none"],
            &["--compress-algo", "zlib"],
            &["--digest-algo", "SHA512"],
            &["--textmode"],
        ] {
            assert!(says(key, &gpg.message(key, &payload, options), key), "{key} {options:?}");
        }
    }
    let good = gpg.message("vendor", &payload, &[]);
    assert!(!says("other", &good, "another key"));
    assert!(!says("vendor", &gpg.message("vendor", &payload, &["--armor"]), "armor"));
    assert!(!says("vendor", &gpg.sign("vendor", &payload, &[]), "a detached signature"));
    assert!(!says("vendor", &gpg.message("vendor", &payload, &["--local-user", "other"]), "two signatures"));
    assert!(!says("vendor", &[&good[..], &good].concat(), "two messages"));
    for at in [0, 10, good.len() / 2, good.len() - 3] {
        let mut flipped = good.clone();
        flipped[at] ^= 0x55;
        assert!(!says("vendor", &flipped, "a flipped byte"), "byte {at}");
    }
    // A subkey signs for its certificate.
    gpg.says(&["--quick-generate-key", "main", "ed25519", "cert", "never"]);
    let main = gpg.fingerprint("main");
    gpg.says(&["--quick-add-key", &main, "ed25519", "sign", "never"]);
    assert!(says("main", &gpg.message("main", &payload, &[]), "a subkey"));
    // Keys that may not sign any more.
    gpg.key("old", "ed25519", "20200201T000000", Some("20200101T000000"));
    let message = gpg.message("old", &payload, &["--faked-system-time=20200110T000000"]);
    assert!(!says("old", &message, "an expired key"));
    let fingerprint = gpg.key("revoked", "ed25519", "never", None);
    let message = gpg.message("revoked", &payload, &[]);
    assert!(says("revoked", &message, "not revoked yet"));
    gpg.revoke(&fingerprint);
    assert!(!says("revoked", &message, "a revoked key"));
    let message =
        gpg.message("vendor", &payload, &["--faked-system-time=20200110T000000!", "--default-sig-expire", "1d"]);
    assert!(!says("vendor", &message, "a signature that was made before its key"));
}

#[test]
fn bytes_that_are_no_signature_never_panic() {
    let place = Place::without_registry();
    let ring = place.gpg.export("vendor", true);
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "bytes");
    let payload = simple_payload("quay.io/me/os", &digest).to_string().into_bytes();
    let policy = of_name("signedBy", &json!({"keyType": "GPGKeys", "keyPath": ring}));
    let policy = Policy::load(&policy_file(place.directory(), &policy)).unwrap();
    let verdict = |bytes: &[u8]| {
        fs::write(image.join("signature-1"), bytes).unwrap();
        ours_in_directory(&policy, &image)
    };
    for good in [
        place.gpg.message("vendor", &payload, &[]),
        place.gpg.message("vendor", &payload, &["--compress-algo", "none"]),
    ] {
        assert!(verdict(&good).is_ok());
        for len in 0..good.len() {
            assert!(verdict(&good[..len]).is_err(), "{len} bytes");
        }
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 0x10;
            let _ = verdict(&flipped);
        }
    }
    // 64 MiB of zeros, which fit in few bytes.
    let zeros = place.directory().join("zeros");
    fs::write(&zeros, vec![0; 64 << 20]).unwrap();
    let bomb = place.gpg.message("vendor", &fs::read(&zeros).unwrap(), &[]);
    let error = verdict(&bomb).unwrap_err().to_string();
    assert!(error.contains("unpacks to more than 4194304 bytes"), "{error}");
    let error = verdict(&vec![0xa3; (4 << 20) + 1]).unwrap_err().to_string();
    assert!(error.contains("more than 4194304 bytes"), "{error}");
    // The 129th signature is one too many.
    for number in 1..=129 {
        fs::write(image.join(format!("signature-{number}")), b"\xa3").unwrap();
    }
    assert!(ours_in_directory(&policy, &image).unwrap_err().to_string().contains("more than 128 signatures"));
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
        (dir(json!({&image.to_str().unwrap(): reject()})), false),
        (dir(json!({&root.to_str().unwrap(): reject(), root.join("below").to_str().unwrap(): accept()})), true),
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

#[test]
fn registries_d_says_where_signatures_are_as_it_does_to_skopeo() {
    let place = Place::new();
    let host = place.registry().host();
    let digest = place.push("me/os", "1");
    let name = format!("{host}/me/os:1");
    place.sign_simple(&name, &digest, "vendor", 1);
    let (kept, none) =
        (format!("file://{}", place.lookaside().display()), format!("file://{}/none", place.directory().display()));
    let key = KeyPair::p256(place.directory(), "cosign");
    let payload = cosign_payload(&format!("{host}/me/os"), &digest).to_string().into_bytes();
    attach(&place.registry().repository("me/os"), &digest, &[(payload.clone(), key.sign(&payload))]);
    let simple =
        docker("", json!([{"type": "signedBy", "keyType": "GPGKeys", "keyPath": place.gpg.export("vendor", true)}]));
    let cosign = docker(
        "",
        json!([{"type": "sigstoreSigned", "keyPath": key.public, "signedIdentity": {"type": "matchRepository"}}]),
    );
    let section = |namespace: &str, line: &str| format!("docker:\n  {namespace}:\n    {line}\n");
    // Files; whether a signature in the lookaside and one in the registry are found. `None`: the files are wrong.
    let attachments = "use-sigstore-attachments: ";
    let cases: Vec<(Vec<String>, Option<(bool, bool)>)> = vec![
        (vec![], Some((false, false))),
        (
            vec![String::new(), "# nothing\n".into(), "default-docker:\n".into(), "docker:\n".into()],
            Some((false, false)),
        ),
        (vec![format!("default-docker:\n  lookaside: {kept}\n")], Some((true, false))),
        (vec![format!("default-docker:\n  sigstore: '{kept}' # old\n")], Some((true, false))),
        (
            vec![format!(
                "default-docker: {{lookaside: \"{kept}\", sigstore: {none}, use-sigstore-attachments: true}}"
            )],
            Some((true, true)),
        ),
        (vec![format!("default-docker:\n  lookaside-staging: {kept}\n")], Some((false, false))),
        (vec![section(&host, &format!("lookaside: {kept}"))], Some((true, false))),
        (vec![section(&format!("{host}/me/os:1"), &format!("lookaside: {kept}"))], Some((true, false))),
        (vec![section(&format!("{host}/me/os:2"), &format!("lookaside: {kept}"))], Some((false, false))),
        (vec![section("\"*.0.1\"", &format!("lookaside: {kept}"))], Some((true, false))),
        (vec![section("127.0.0.1", &format!("lookaside: {kept}"))], Some((false, false))),
        (
            vec![
                section(&format!("{host}/me"), &format!("lookaside: {none}")),
                format!("default-docker:\n  lookaside: {kept}\n"),
            ],
            Some((false, false)),
        ),
        // A section that says nothing of a lookaside leaves it to the one above.
        (
            vec![
                section(&format!("{host}/me"), &format!("{attachments}true")),
                format!("default-docker:\n  lookaside: {kept}\n"),
            ],
            Some((true, true)),
        ),
        (
            vec![
                section(&format!("{host}/me"), &format!("{attachments}false")),
                format!("default-docker:\n  {attachments}true\n"),
            ],
            Some((false, false)),
        ),
        (vec![format!("default-docker:\n  {attachments}yes\n")], Some((false, true))),
        (vec![format!("default-docker:\n  {attachments}On\n")], Some((false, true))),
        (vec![format!("default-docker:\n  {attachments}maybe\n")], None),
        (vec![format!("default-docker:\n  lookaside: {kept}\n  unknown: 1\nmore: [1]\n")], Some((true, false))),
        (
            vec![format!("default-docker:\n  lookaside: {kept}\n"), format!("default-docker:\n  lookaside: {kept}\n")],
            None,
        ),
        (vec![section(&host, "lookaside: a"), section(&host, "lookaside: a")], None),
        (vec![format!("docker:\n  {host}:\n    lookaside: {kept}\n  {host}:\n    lookaside: {kept}\n")], None),
        (vec!["docker: [1\n".into()], None),
        (vec!["docker: text\n".into()], None),
        (vec!["default-docker: text\n".into()], None),
        (vec![format!("default-docker:\n\tlookaside: {kept}\n")], None),
        (vec![format!("default-docker:\n  lookaside: ftp://{host}/\n")], None),
        (vec![format!("default-docker:\n  lookaside: {}\n", place.lookaside().display())], None),
    ];
    for (texts, found) in cases {
        fs::remove_dir_all(place.registries_d()).unwrap();
        fs::create_dir(place.registries_d()).unwrap();
        for (index, text) in texts.iter().enumerate() {
            fs::write(place.registries_d().join(format!("{index}.yaml")), text).unwrap();
        }
        fs::write(place.registries_d().join("not.yml"), "[").unwrap();
        let keeping = RegistriesD::load(&place.registries_d()).and_then(|files| files.keeping(&name.parse().unwrap()));
        for (policy, found) in [(&simple, found.map(|found| found.0)), (&cosign, found.map(|found| found.1))] {
            let file = policy_file(place.directory(), policy);
            let theirs = place.judge().verdict_or(&file, &format!("docker://{name}"), "");
            assert_eq!(theirs == Verdict::Accepted, found == Some(true), "{texts:?}: {theirs:?}");
            let said_to_be_unsigned =
                matches!(&theirs, Verdict::Rejected(said) if said.contains("no signature exists"));
            assert_eq!(said_to_be_unsigned, found == Some(false), "{texts:?}: {theirs:?}");
            assert_eq!(keeping.is_ok(), found.is_some(), "{texts:?}: {keeping:?}");
            if found.is_some() {
                let ours = place.ours(&Policy::load(&file).unwrap(), &name);
                assert_eq!(ours.is_ok(), found == Some(true), "{texts:?}: {ours:?}");
            }
        }
    }
}

#[test]
fn signatures_come_from_a_lookaside_on_a_web_server_until_one_is_missing() {
    let place = Place::new();
    let host = place.registry().host();
    let digest = place.push("me/os", "web");
    let name = format!("{host}/me/os:web");
    place.sign_simple(&name, &digest, "other", 1);
    place.sign_simple(&name, &digest, "vendor", 2);
    let server = Server::of(&place.lookaside());
    let text = format!("default-docker:\n  lookaside: http://127.0.0.1:{}\n", server.port);
    fs::write(place.registries_d().join("all.yaml"), text).unwrap();
    let policy =
        docker("", json!([{"type": "signedBy", "keyType": "GPGKeys", "keyPath": place.gpg.export("vendor", true)}]));
    let file = policy_file(place.directory(), &policy);
    let policy = Policy::load(&file).unwrap();
    assert_eq!(place.judge().verdict(&file, &format!("docker://{name}")), Verdict::Accepted);
    let theirs = server.requests();
    place.ours(&policy, &name).unwrap();
    assert_eq!(server.requests()[theirs.len()..], theirs, "both ask for the same files");
    // A server that fails is not one that has no signatures.
    server.fault("signature-2", Fault::Status(500, 9));
    let error = place.ours(&policy, &name).unwrap_err();
    assert!(matches!(error.why(), Why::Signatures(SignaturesError::Fetch { .. })), "{error}");
    assert!(
        matches!(place.judge().verdict_or(&file, &format!("docker://{name}"), ""), Verdict::Rejected(said) if said.contains("500"))
    );
}

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
        let signatures = InRegistry { reference, keeping: keeping.clone(), fetch: &repository };
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
        {"mediaType": registry::OCI_MANIFEST, "digest": digest, "size": manifest.len(), "platform": {"os": "linux", "architecture": "amd64"}}]});
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
    assert_ne!(place.judge().verdict(&file, &format!("docker://{host}/me/os:index")), Verdict::Accepted);
    sign(&digest, &format!("{host}/me/os"));
    assert!(verdict(&Policy::load(&file).unwrap(), &reference, &manifest, Some(&index)).is_ok());
    assert_eq!(place.judge().verdict(&file, &format!("docker://{host}/me/os:index")), Verdict::Accepted);
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
fn bundles_of_cosign_3_are_named_and_not_taken_for_nothing() {
    let place = Place::new();
    let host = place.registry().host();
    let repository = place.registry().repository("me/os");
    let digest = place.push("me/os", "1");
    let config = repository.put_blob(b"{}").to_string();
    let bundle = json!({"schemaVersion": 2, "mediaType": registry::OCI_MANIFEST, "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "digest": config, "size": 2}]});
    let bundle = bundle.to_string().into_bytes();
    repository.put_manifest("bundle", registry::OCI_MANIFEST, &bundle);
    let referrers = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": registry::OCI_MANIFEST, "digest": Digest::of(&bundle).to_string(), "size": bundle.len(), "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}]});
    repository.put_manifest(
        &digest.replace(':', "-"),
        "application/vnd.oci.image.index.v1+json",
        referrers.to_string().as_bytes(),
    );
    let key = KeyPair::p256(place.directory(), "cosign");
    let policy = docker("", json!([{"type": "sigstoreSigned", "keyPath": key.public}]));
    let policy = Policy::load(&policy_file(place.directory(), &policy)).unwrap();
    let error = place.ours(&policy, &format!("{host}/me/os:1")).unwrap_err();
    assert!(error.to_string().contains("the signature is a sigstore bundle, which is not supported"), "{error}");
    assert!(error.hint().unwrap().contains("--new-bundle-format=false"));
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
