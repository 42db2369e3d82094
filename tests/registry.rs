//! Images in a registry: Debian's docker-registry, filled by skopeo.

mod credentials;
mod network;
mod places;

use std::fs;
use std::path::PathBuf;

use crate::support;
use crate::support::mini_image::{Layout, MiniImage, small_partitions};
use crate::support::nginx::Authority;
use crate::support::program;
use crate::support::registry::{Doors, Registry};
use crate::support::tar::file;
use qemu_tests::oracle;

const SEED: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// An image of two layers, and where disks of it are made.
struct Place {
    directory: tempfile::TempDir,
    layout: Layout,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        // What does not deflate; and skopeo would deflate a layer that is plain.
        let noise = std::iter::successors(Some(1_u32), |x| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
        let noise: Vec<u8> = noise.map(|x| (x >> 24) as u8).take(3_000_000).collect();
        let image = MiniImage::bootable().with([file("usr/share/noise", noise)]);
        let layout = image.write(&directory.path().join("layout"));
        Place { directory, layout }
    }

    /// Its image is `os:1` of a registry without TLS, too.
    fn in_registry() -> (Place, Registry) {
        let (place, registry) = (Place::new(), Registry::open());
        registry.store(&place.layout.reference(), "os:1", &[]);
        (place, registry)
    }

    /// The registry has a certificate for `alternative` by this authority.
    fn behind_tls(doors: Doors, alternative: &str) -> (Place, Registry, Authority) {
        let (place, authority) = (Place::new(), Authority::new());
        authority.sign("server", alternative, 2);
        let registry = Registry::start(doors, Some(&authority));
        registry.store(&place.layout.reference(), "os:1", &[]);
        (place, registry, authority)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A build with nothing of this machine's configuration.
    fn command(&self, image: &str, out: &str, args: &[&str]) -> std::process::Command {
        let partitions = small_partitions(self.directory.path());
        let mut command = program::build(image, &self.path(out));
        command
            .args(["--type", "raw", "--no-checksums", "--layout", &partitions, "--seed", SEED, "--no-cache"])
            .args(args);
        command.env("HOME", self.path("home")).env_remove("XDG_CONFIG_HOME").env_remove("XDG_RUNTIME_DIR");
        command.env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"));
        command
    }

    fn disk(&self, image: &str, args: &[&str]) -> Vec<u8> {
        program::succeed(&mut self.command(image, "out", args));
        fs::read(self.path("out/image/disk.raw")).unwrap()
    }

    /// The disk of the layout, for a machine that follows `target`.
    fn wanted(&self, target: &str) -> Vec<u8> {
        self.disk(&self.layout.reference(), &["--target-imgref", target])
    }

    fn refuses(&self, image: &str, args: &[&str], facts: &[&str]) -> String {
        self.is_refused(&mut self.command(image, "refused", args), facts)
    }

    fn is_refused(&self, command: &mut std::process::Command, facts: &[&str]) -> String {
        let ended = program::end(command);
        assert_eq!(ended.code, Some(1), "{facts:?}: {}", ended.stderr);
        for fact in facts {
            assert!(ended.stderr.contains(fact), "`{fact}` is not in\n{}", ended.stderr);
        }
        assert_eq!(ended.stderr.matches("error:").count(), 1, "{}", ended.stderr);
        assert!(!self.path("refused").exists(), "something was written");
        ended.stderr
    }
}

fn docker(name: &str) -> String {
    format!("docker://{name}")
}

const NO_TLS: &str = "--tls-verify=false";

#[test]
fn an_image_in_a_registry_makes_the_disk_of_its_layout_and_is_what_the_machine_follows() {
    let (place, registry) = Place::in_registry();
    let name = registry.name("os:1");
    let wanted = place.wanted(&name);
    assert!(place.disk(&docker(&name), &[NO_TLS]) == wanted);
    assert!(place.disk(&name, &[NO_TLS]) == wanted, "a host says enough");
    let digest = &place.layout.manifest_digest;
    assert!(
        place.disk(&docker(&format!("{name}@{digest}")), &[NO_TLS]) == wanted,
        "the digest is checked, the tag followed"
    );
    let pinned = registry.name(&format!("os@{digest}"));
    assert!(place.disk(&docker(&pinned), &[NO_TLS]) == place.wanted(&pinned));
    let report = fs::read_to_string(place.path("out/manifest.json")).unwrap();
    assert!(report.contains("would never find an upgrade"), "{report}");
}

#[test]
fn dockers_manifests_are_taken_and_their_own_digest_is_kept() {
    let (place, registry) = (Place::new(), Registry::open());
    registry.store(&place.layout.reference(), "os:2", &["--format", "v2s2"]);
    place.disk(&docker(&registry.name("os:2")), &[NO_TLS]);
    let skopeo = oracle::tool("skopeo", "skopeo");
    let inspected = oracle::agrees(&skopeo, ["inspect", "--tls-verify=false", &docker(&registry.name("os:2"))]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    let digest = inspected["Digest"].as_str().unwrap();
    let report = fs::read_to_string(place.path("out/manifest.json")).unwrap();
    assert!(report.contains(digest) && digest != place.layout.manifest_digest, "{digest}: {report}");
}

#[test]
fn the_platform_is_chosen_out_of_an_index() {
    let (place, registry) = (Place::new(), Registry::open());
    let other = MiniImage { architecture: "s390x".to_owned(), ..MiniImage::bootable() };
    let other = other.write(&place.path("other"));
    let index = place.path("index");
    oracle::agrees(&oracle::tool("cp", "coreutils"), ["-r".as_ref(), place.layout.path.as_os_str(), index.as_os_str()]);
    oracle::agrees(
        &oracle::tool("sh", "dash"),
        ["-c", &format!("cp {}/blobs/sha256/* {}/blobs/sha256/", other.path.display(), index.display())],
    );
    let entry = |layout: &Layout, architecture: &str| {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": layout.manifest_digest,
            "size": layout.manifest.len(), "platform": {"os": "linux", "architecture": architecture},
        })
    };
    let kind = "application/vnd.oci.image.index.v1+json";
    let inner = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind, "manifests": [entry(&other, "s390x"), entry(&place.layout, "amd64")],
    });
    let inner = inner.to_string();
    let digest = support::mini_image::digest(inner.as_bytes());
    fs::write(index.join("blobs/sha256").join(&digest[7..]), &inner).unwrap();
    let outer = serde_json::json!({
        "schemaVersion": 2, "manifests": [{"mediaType": kind, "digest": digest, "size": inner.len()}],
    });
    fs::write(index.join("index.json"), outer.to_string()).unwrap();
    registry.store(&format!("oci:{}", index.display()), "os:multi", &["--all"]);
    let name = registry.name("os:multi");
    assert!(place.disk(&docker(&name), &[NO_TLS, "--target-arch", "amd64"]) == place.wanted(&name));
    place.refuses(
        &docker(&name),
        &[NO_TLS, "--target-arch", "riscv64"],
        &["no image for linux/riscv64", "linux/s390x"],
    );
}

#[test]
fn certificates_are_checked_unless_the_user_says_otherwise() {
    let (place, registry, authority) = Place::behind_tls(Doors::Open, "IP:127.0.0.1");
    let name = registry.name("os:1");
    let wanted = place.wanted(&name);
    place.refuses(&docker(&name), &[], &["the secure connection failed", "--tls-ca"]);
    let ca = authority.text("ca.pem");
    assert!(place.disk(&docker(&name), &["--tls-ca", &ca]) == wanted);
    assert!(place.disk(&docker(&name), &[NO_TLS]) == wanted);
    let certs = place.path(&format!("home/.config/containers/certs.d/127.0.0.1:{}", registry.port));
    fs::create_dir_all(&certs).unwrap();
    fs::copy(&ca, certs.join("ca.crt")).unwrap();
    assert!(place.disk(&docker(&name), &[]) == wanted, "certs.d is read");
    let open = Registry::open();
    place.refuses(&docker(&open.name("os:1")), &[], &["127.0.0.1", "--tls-verify=false"]);
}

#[test]
fn options_that_do_nothing_for_the_source_are_refused() {
    let place = Place::new();
    for (image, option) in [
        (place.layout.reference(), "--authfile=/x"),
        (place.layout.reference(), "--tls-verify=false"),
        (place.layout.reference(), "--tls-ca=/x"),
        ("ostree:/srv/repo#a".to_owned(), "--tls-verify=true"),
        ("ostree:/srv/repo#a".to_owned(), "--tls-ca=/x"),
        ("docker://r.example/a".to_owned(), "--gpg-key=/x"),
    ] {
        let ended = program::end(&mut place.command(&image, "refused", &[option]));
        assert_eq!(ended.code, Some(2), "{image} {option}: {}", ended.stderr);
        let name = option.split('=').next().unwrap();
        assert!(ended.stderr.contains(&format!("error: {name} goes with")), "{}", ended.stderr);
    }
}
