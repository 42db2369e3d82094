//! Images that have to be signed before anything of them is used, from `docker-registry`; openssl signs as cosign does, skopeo
//! with gpg.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::cosign::{KeyPair, attach, cosign_payload};
use crate::support::gpg::Gpg;
use crate::support::mini_image::{Layout, MiniImage, small_partitions};
use crate::support::program;
use crate::support::registry::Registry;
use crate::support::tar::{file, symlink};
use qemu_tests::oracle;
use serde_json::{Value, json};

/// A bootable image in a registry, and keys.
struct Place {
    directory: tempfile::TempDir,
    registry: Registry,
    layout: Layout,
    key: KeyPair,
}

impl Place {
    fn new() -> Place {
        Place::of(&MiniImage::bootable())
    }

    fn of(image: &MiniImage) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (registry, layout) = (Registry::open(), image.write(&directory.path().join("layout")));
        let key = KeyPair::p256(directory.path(), "vendor");
        let place = Place { directory, registry, layout, key };
        place.registry.store(&place.layout.reference(), "me/os:1", &[]);
        place
    }

    fn name(&self) -> String {
        format!("{}/me/os:1", self.registry.host())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn cosign(&self, key: &KeyPair, name: &str, digest: &str) {
        let payload = cosign_payload(name, digest).to_string().into_bytes();
        let signature = key.sign(&payload);
        attach(&self.registry.repository("me/os"), &self.layout.manifest_digest, &[(payload, signature)]);
    }

    fn command(&self, out: &str, args: &[&str]) -> Command {
        let partitions = small_partitions(self.directory.path());
        let mut command = program::build(&format!("docker://{}", self.name()), &self.path(out));
        command.args(["--type", "raw", "--no-checksums", "--layout", &partitions, "--tls-verify=false"]).args(args);
        command
    }

    fn refuses(&self, args: &[&str], facts: &[&str]) {
        self.is_refused(&mut self.command("refused", args), facts);
    }

    fn is_refused(&self, command: &mut Command, facts: &[&str]) {
        let ended = program::end(command);
        assert_eq!(ended.code, Some(1), "{facts:?}: {}", ended.stderr);
        facts.iter().for_each(|fact| assert!(ended.stderr.contains(fact), "`{fact}` is not in\n{}", ended.stderr));
        assert!(!self.path("refused").exists(), "something was written");
    }

    /// The report, and whether the disk holds a text.
    fn builds(&self, command: &mut Command, text: &str) -> (Value, String, bool) {
        let said = program::succeed(command).stderr;
        let report = fs::read_to_string(self.path("out/manifest.json")).unwrap();
        let raw = fs::read(self.path("out/image/disk.raw")).unwrap();
        let found = memchr::memmem::find(&raw, text.as_bytes()).is_some();
        fs::remove_dir_all(self.path("out")).unwrap();
        (serde_json::from_str(&report).unwrap(), report + &said, found)
    }

    fn policy(&self, default: &Value) -> String {
        let path = self.path("policy.json");
        fs::write(&path, json!({ "default": default }).to_string()).unwrap();
        path.display().to_string()
    }
}

#[test]
fn with_a_cosign_key_only_what_it_signed_is_built() {
    let place = Place::new();
    let (digest, repository) = (place.layout.manifest_digest.clone(), format!("{}/me/os", place.registry.host()));
    let public = place.key.public.display().to_string();
    let key = ["--cosign-key", public.as_str()];
    place.refuses(&key, &["it is not signed"]);
    let stranger = KeyPair::p256(place.directory.path(), "stranger");
    place.cosign(&stranger, &repository, &digest);
    place.refuses(&key, &["may not be used", "key", "hint:"]);
    place.cosign(&place.key, &repository, &digest.replace('a', "b"));
    place.refuses(&key, &["sha256:", "a signature holds for one manifest"]);
    place.cosign(&place.key, "quay.io/me/other", &digest);
    place.refuses(&key, &["quay.io/me/other"]);
    place.cosign(&place.key, &repository, &digest);
    let (report, all, _) = place.builds(&mut place.command("out", &key), "");
    assert_eq!(report["image"]["accepted"]["proofs"][0]["requirement"], "sigstoreSigned", "{all}");
    assert!(!all.contains("vendor.pub"), "no path of this machine is told: {all}");
}

#[test]
fn a_policy_decides_and_the_machine_is_told_to_enforce_its_own() {
    let place = Place::new();
    let signed = format!("container-image-reference=ostree-image-signed:docker://{}", place.name());
    let unsigned = format!("container-image-reference=ostree-unverified-registry:{}", place.name());
    let reject = place.policy(&json!([{"type": "reject"}]));
    place.refuses(&["--policy", &reject], &["may not be used", "rejects", "hint:"]);
    fs::write(place.path("odd.json"), "{\"default\": []}").unwrap();
    let mut odd = place.command("refused", &["--policy", place.path("odd.json").to_str().unwrap()]);
    let ended = program::end(&mut odd);
    assert!(ended.code == Some(2) && ended.stderr.contains("is no policy"), "{}", ended.stderr);
    let anything = place.policy(&json!([{"type": "insecureAcceptAnything"}]));
    let enforce = "--enforce-container-sigpolicy";
    place.refuses(&["--policy", &anything, enforce], &["accepts anything", "hint:"]);
    let here =
        json!({"default": [{"type": "reject"}], "transports": {"docker": {"": [{"type": "insecureAcceptAnything"}]}}});
    fs::write(place.path("here.json"), here.to_string()).unwrap();
    let here = place.path("here.json").display().to_string();
    place.refuses(&["--policy", &here, enforce], &["takes this image without a signature", "hint:"]);
    let (report, _, found) = place.builds(&mut place.command("out", &["--policy", &anything]), &unsigned);
    assert!(found && report["image"].get("accepted").is_none(), "{report}");

    let repository = format!("{}/me/os", place.registry.host());
    place.cosign(&place.key, &repository, &place.layout.manifest_digest);
    let public = place.key.public.display().to_string();
    let (_, all, found) = place.builds(&mut place.command("out", &["--cosign-key", &public, enforce]), &signed);
    assert!(found && all.contains("its /etc/containers/policy.json is missing"), "{all}");

    let key = json!([{"type": "sigstoreSigned", "keyPath": "/etc/pki/vendor.pub"}]);
    let asks = json!({"default": [{"type": "reject"}], "transports": {"docker": {"": key}}}).to_string();
    let rejects = json!({"default": key, "transports": {"docker": {"": [{"type": "reject"}]}}}).to_string();
    let anything = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#.to_owned();
    let a_key = || Some(file("etc/pki/vendor.pub", "a key"));
    for (own, key, warning) in [
        (asks.clone(), a_key(), ""),
        (asks.clone(), Some(symlink("etc/pki/vendor.pub", "/etc/pki/other.pub")), ""),
        (asks, None, "asks for the key /etc/pki/vendor.pub, which it does not have"),
        (rejects, a_key(), "rejects docker://"),
        (anything, a_key(), "accepts anything"),
    ] {
        let entries = [file("etc/containers/policy.json", own)].into_iter().chain(key).collect::<Vec<_>>();
        let place = Place::of(&MiniImage::bootable().with(entries));
        place.cosign(&place.key, &format!("{}/me/os", place.registry.host()), &place.layout.manifest_digest);
        let public = place.key.public.display().to_string();
        let signed = format!("container-image-reference=ostree-image-signed:docker://{}", place.name());
        let (_, all, found) = place.builds(&mut place.command("out", &["--cosign-key", &public, enforce]), &signed);
        assert!(found && all.contains(warning), "{warning}: {all}");
        assert_eq!(all.contains("will refuse its upgrades"), !warning.is_empty(), "{all}");
    }
}

#[test]
fn an_image_that_gpg_signed_is_found_in_the_lookaside_of_registries_d() {
    let place = Place::new();
    let gpg = Gpg::new();
    gpg.key("vendor", "rsa3072", "never", None);
    gpg.key("other", "rsa3072", "never", None);
    let home = place.path("home");
    fs::create_dir_all(home.join(".config/containers/registries.d")).unwrap();
    let lookaside = place.path("lookaside");
    let yaml = format!("docker:\n  {}:\n    lookaside: file://{}\n", place.registry.host(), lookaside.display());
    fs::write(home.join(".config/containers/registries.d/vendor.yaml"), yaml).unwrap();
    let policy = |key: &str| {
        let path = gpg.export(key, false);
        place.policy(&json!([{"type": "signedBy", "keyType": "GPGKeys", "keyPath": path}]))
    };
    let with = |out: &str, key: &str| {
        let mut command = place.command(out, &["--no-cache", "--policy", &policy(key)]);
        command.env("HOME", &home);
        command
    };
    place.is_refused(&mut with("refused", "vendor"), &["it is not signed", "lookaside"]);
    let kept = lookaside.join(format!("me/os@{}", place.layout.manifest_digest.replace(':', "=")));
    fs::create_dir_all(&kept).unwrap();
    fs::write(place.path("manifest"), &place.layout.manifest).unwrap();
    let mut sign = Command::new(oracle::tool("skopeo", "skopeo"));
    sign.env("GNUPGHOME", gpg.home.path()).arg("standalone-sign").arg("--output").arg(kept.join("signature-1"));
    sign.arg(place.path("manifest")).arg(place.name()).arg(gpg.fingerprint("vendor"));
    let signed = sign.output().unwrap();
    assert!(signed.status.success(), "{}", oracle::said(&signed));
    place.is_refused(&mut with("refused", "other"), &["may not be used"]);
    let (report, all, _) = place.builds(&mut with("out", "vendor"), "");
    assert_eq!(report["image"]["accepted"]["proofs"][0]["requirement"], "signedBy", "{all}");
}

#[test]
fn inspect_tells_whether_a_build_would_take_it() {
    let place = Place::new();
    let source = format!("docker://{}", place.name());
    let public = place.key.public.display().to_string();
    let inspect = |args: &[&str], facts: &[&str]| {
        let mut command = program::bootwright();
        command.args(["inspect", &source, "--tls-verify=false"]).args(args);
        let text = program::succeed(&mut command).stdout;
        facts.iter().for_each(|fact| assert!(text.contains(fact), "`{fact}` is not in\n{text}"));
    };
    let (repository, with_key) = (format!("{}/me/os", place.registry.host()), ["--cosign-key", &public]);
    let none = format!("\nSignatures     none in {repository}");
    inspect(&with_key, &["\nPolicy         REFUSED: docker://", &none]);
    inspect(&[], &[&none]);
    place.cosign(&place.key, &repository, &place.layout.manifest_digest);
    inspect(&with_key, &["\nPolicy         signed by key SHA256:", "\nSignatures     1 by cosign\n"]);
    let anything = place.policy(&json!([{"type": "insecureAcceptAnything"}]));
    inspect(&["--policy", &anything], &["\nPolicy         accepted without a signature"]);
    inspect(&[], &["\nSignatures     1 by cosign; nobody asks for them (--cosign-key, --policy)\n"]);
}
