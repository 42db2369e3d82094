//! Where signatures are found.

use std::fs;

use bootwright::container_trust::{Policy, RegistriesD, SignaturesError, Why};
use bootwright::digest::Digest;
use serde_json::json;

use super::place::{Place, docker, policy_file};
use super::skopeo::Verdict;
use crate::support::cosign::{KeyPair, attach, cosign_payload};
use crate::support::repository_of_registry::OCI_MANIFEST;
use qemu_tests::server::{Fault, Server};

/// Whether a signature in the lookaside and one in the registry are found; `None`: the files are wrong.
type Found = Option<(bool, bool)>;

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
    let attachments = "use-sigstore-attachments: ";
    let cases: Vec<(Vec<String>, Found)> = vec![
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
            let decided = theirs != Verdict::WithoutSigstore;
            assert!(!decided || (theirs == Verdict::Accepted) == (found == Some(true)), "{texts:?}: {theirs:?}");
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
fn bundles_of_cosign_3_are_named_and_not_taken_for_nothing() {
    let place = Place::new();
    let host = place.registry().host();
    let repository = place.registry().repository("me/os");
    let digest = place.push("me/os", "1");
    let config = repository.put_blob(b"{}").to_string();
    let bundle = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "digest": config, "size": 2}]});
    let bundle = bundle.to_string().into_bytes();
    repository.put_manifest("bundle", OCI_MANIFEST, &bundle);
    let referrers = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": Digest::of(&bundle).to_string(), "size": bundle.len(), "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}]});
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
