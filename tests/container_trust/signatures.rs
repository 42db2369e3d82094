//! Which signatures count, by kinds of keys and forms of files.

use std::fs;

use bootwright::container_trust::{Policy, Proof};
use bootwright::digest::Digest;
use serde_json::json;

use super::place::{self, Place, base64, both_say, of_name, ours_in_directory, policy_file};
use crate::support::cosign::{self, KeyPair, cosign_payload, sigstore_file, simple_payload};

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
        cosign::openssl(&[
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
    let plain = gpg.message("vendor", &payload, &["--compress-algo", "none"]);
    assert!(!says("vendor", &[&plain[..], &plain].concat(), "two messages"));
    for at in [0, 10, good.len() / 2, good.len() - 3] {
        let mut flipped = good.clone();
        flipped[at] ^= 0x55;
        assert!(!says("vendor", &flipped, "a flipped byte"), "byte {at}");
    }
    // Keys that may not sign any more.
    gpg.key("old", "ed25519", "20200201T000000", Some("20200101T000000"));
    let message = gpg.message("old", &payload, &["--faked-system-time=20200110T000000"]);
    assert!(!says("old", &message, "an expired key"));
    let fingerprint = gpg.key("revoked", "ed25519", "never", None);
    let message = gpg.message("revoked", &payload, &[]);
    assert!(says("revoked", &message, "not revoked yet"));
    gpg.revoke(&fingerprint);
    assert!(!says("revoked", &message, "a revoked key"));
}

/// Debian's skopeo asks for the primary key itself; containers/image takes subkeys since August 2025.
#[test]
fn a_signing_subkey_signs_for_its_certificate() {
    let place = Place::without_registry();
    let (gpg, image) = (&place.gpg, place.directory().join("image"));
    let digest = place::in_directory(&image, "subkey");
    let payload = simple_payload("quay.io/me/os", &digest).to_string().into_bytes();
    gpg.says(&["--quick-generate-key", "main", "ed25519", "cert", "never"]);
    gpg.says(&["--quick-add-key", &gpg.fingerprint("main"), "ed25519", "sign", "never"]);
    fs::write(image.join("signature-1"), gpg.message("main", &payload, &[])).unwrap();
    let policy = of_name("signedBy", &json!({"keyType": "GPGKeys", "keyPath": gpg.export("main", true)}));
    let policy = Policy::load(&policy_file(place.directory(), &policy)).unwrap();
    assert!(ours_in_directory(&policy, &image).unwrap().is_signed());
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
