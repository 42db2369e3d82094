//! Which payloads count once they are signed.

use serde_json::{Value, json};

use super::place::{self, Place, both_say, of_name};
use crate::support::cosign::{KeyPair, cosign_payload, sigstore_file, simple_payload};

/// A payload with something else in a place.
fn changed(good: &Value, pointer: &str, value: Value) -> String {
    let mut changed = good.clone();
    *changed.pointer_mut(pointer).unwrap() = value;
    changed.to_string()
}

/// A payload with another text for `optional`.
fn optional(good: &Value, text: &str) -> String {
    let critical = json!({"critical": good["critical"]}).to_string();
    format!(r#"{}, "optional": {text}}}"#, critical.strip_suffix('}').unwrap())
}

/// Variants of a payload that say the same.
fn good_ones(good: &Value) -> Vec<String> {
    let optionals = [
        "{}",
        r#"{"creator": "a"}"#,
        r#"{"creator": null}"#,
        r#"{"timestamp": 1}"#,
        r#"{"timestamp": 1e3}"#,
        r#"{"timestamp": null}"#,
        r#"{"timestamp": -1}"#,
        r#"{"other": {"a": [1, null]}}"#,
    ];
    let mut texts: Vec<_> = optionals.iter().map(|text| optional(good, text)).collect();
    texts.push(good.to_string());
    texts.push(format!(" {good}\n"));
    texts.push(changed(good, "/critical/identity/docker-reference", json!("quay.io/me/os:1")));
    texts
}

/// Variants that say something else, or nothing.
fn bad_ones(good: &Value) -> Vec<String> {
    let text = good.to_string();
    let without = |pointer: &str, key: &str| {
        let mut changed = good.clone();
        changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
        changed.to_string()
    };
    let with = |pointer: &str| {
        let mut changed = good.clone();
        changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert("more".to_owned(), json!(1));
        changed.to_string()
    };
    let (digest, name) = ("/critical/image/docker-manifest-digest", "/critical/identity/docker-reference");
    let mut texts = vec![
        format!("{text}{text}"),
        format!("{text}x"),
        String::new(),
        "null".into(),
        "[]".into(),
        with(""),
        with("/critical"),
        with("/critical/image"),
        with("/critical/identity"),
        without("", "optional"),
        without("", "critical"),
        without("/critical", "type"),
        without("/critical", "image"),
        without("/critical", "identity"),
        without("/critical/image", "docker-manifest-digest"),
        without("/critical/identity", "docker-reference"),
        text.replacen(r#""critical":"#, r#""critical":{},"critical":"#, 1),
        text.replacen(r#""type":"#, r#""type":"other","type":"#, 1),
        text.replacen(r#""docker-reference":"#, r#""docker-reference":"a","docker-reference":"#, 1),
        text.replacen(r#""type":"#, r#""Type":"#, 1),
    ];
    for (pointer, value) in [
        ("/critical", json!([])),
        ("/critical", Value::Null),
        ("/critical/image", json!("a")),
        ("/critical/identity", json!(["quay.io/me/os"])),
        ("/critical/type", json!("other")),
        ("/critical/type", Value::Null),
        (digest, json!("sha256:00")),
        (digest, json!(1)),
        (digest, json!(format!("sha256:{}", "0".repeat(64)))),
        (digest, json!(format!("sha512:{}", "0".repeat(128)))),
        (name, json!("quay.io/other/os")),
        (name, json!("")),
        (name, json!("Quay.io/Me/os")),
        (name, json!(["quay.io/me/os"])),
    ] {
        texts.push(changed(good, pointer, value));
    }
    let optionals = [
        "[]",
        "1",
        r#"{"creator": 1}"#,
        r#"{"timestamp": 1.5}"#,
        r#"{"timestamp": "1"}"#,
        r#"{"timestamp": 1e300}"#,
        r#"{"creator": "a", "creator": "b"}"#,
        r#"{"other": 1, "other": 2}"#,
    ];
    texts.extend(optionals.iter().map(|text| optional(good, text)));
    texts
}

#[test]
fn a_payload_signed_for_cosign_counts_exactly_when_it_counts_to_skopeo() {
    let place = Place::without_registry();
    let key = KeyPair::p256(place.directory(), "cosign");
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "payload");
    let policy = of_name("sigstoreSigned", &json!({"keyPath": key.public}));
    let counts = |text: &str| {
        let signature = sigstore_file(text.as_bytes(), &key.sign(text.as_bytes()));
        both_say(&place, &policy, &image, &signature, text)
    };
    let good = cosign_payload("quay.io/me/os", &digest);
    good_ones(&good).iter().for_each(|text| assert!(counts(text), "{text}"));
    bad_ones(&good).iter().for_each(|text| assert!(!counts(text), "{text}"));
    assert!(counts(&optional(&good, "null")));
    assert!(!counts(&simple_payload("quay.io/me/os", &digest).to_string()));
}

#[test]
fn a_payload_signed_by_gpg_counts_exactly_when_it_counts_to_skopeo() {
    let place = Place::without_registry();
    let image = place.directory().join("image");
    let digest = place::in_directory(&image, "payload");
    let policy = of_name("signedBy", &json!({"keyType": "GPGKeys", "keyPath": place.gpg.export("vendor", true)}));
    let counts =
        |text: &str| both_say(&place, &policy, &image, &place.gpg.message("vendor", text.as_bytes(), &[]), text);
    let good = simple_payload("quay.io/me/os", &digest);
    good_ones(&good).iter().for_each(|text| assert!(counts(text), "{text}"));
    bad_ones(&good).iter().for_each(|text| assert!(!counts(text), "{text}"));
    assert!(!counts(&optional(&good, "null")));
    assert!(!counts(&cosign_payload("quay.io/me/os", &digest).to_string()));
}
