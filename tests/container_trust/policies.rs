//! Which texts are policies.

use std::fs;

use bootwright::container_trust::Policy;

use super::place::{self, Place};
use super::skopeo::Verdict;
use crate::support::cosign::KeyPair;

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
