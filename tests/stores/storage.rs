//! `containers-storage:` — images that skopeo, buildah and podman put into stores.

use std::fs;

use bootwright::digest::Digest;

use super::{Layer, Layout, blobs, facts, layout, load, one_file, refusal, whiteouts};
use crate::layout::content;
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::program;
use crate::support::store::{Place, copy, copy_with, raw_manifest};
use qemu_tests::oracle;

/// The layers that skopeo takes out of the same store, unchanged.
fn blobs_of_skopeo(place: &Place, image: &str, name: &str) -> Vec<Vec<u8>> {
    copy(image, &place.at("dir", name));
    let manifest = fs::read(place.path(name).join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers.map(|layer| fs::read(place.path(name).join(&layer["digest"].as_str().unwrap()[7..])).unwrap()).collect()
}

#[test]
fn every_layer_has_the_bytes_that_it_was_stored_from() {
    let (place, layout) = (Place::new(), layout());
    let oci = format!("oci:{}", layout.path().display());
    let image = place.store("root").image("quay.io/me/os:1");
    copy(&oci, &image);
    assert_eq!(blobs(&image), [super::rich(), whiteouts(), one_file("third")]);
    assert_eq!(blobs(&image), blobs_of_skopeo(&place, &image, "out"));
    let (ours, original) = (load(&image, None).unwrap(), layout.load().unwrap());
    assert_eq!(facts(&ours), facts(&original));
    copy(&image, &place.at("oci", "copy"));
    assert_eq!(facts(&ours), facts(&load(&place.at("oci", "copy"), None).unwrap()));
    assert_eq!(content(&ours, 0, "usr/size-300000"), content(&original, 0, "usr/size-300000"));
}

/// bootc asks skopeo for the manifest, so a machine that follows the registry finds that it is up to date.
#[test]
fn manifest_config_and_digests_of_layers_are_those_that_were_pulled() {
    let (place, layout) = (Place::new(), layout());
    let image = place.store("root").image("quay.io/me/os:1");
    copy(&format!("oci:{}", layout.path().display()), &image);
    let (ours, original) = (load(&image, None).unwrap(), layout.load().unwrap());
    assert_eq!(ours.manifest, raw_manifest(&image));
    assert_eq!((&ours.manifest, ours.manifest_digest), (&original.manifest, original.manifest_digest));
    assert_eq!(ours.config, original.config);
    let listed = |image: &bootwright::image::Image| -> Vec<_> {
        image
            .layers
            .iter()
            .map(|layer| (layer.blob.digest, layer.blob.media_type.clone(), layer.blob.compressed))
            .collect()
    };
    assert_eq!(listed(&ours), listed(&original));
    assert_eq!(ours.ref_name.as_deref(), Some("quay.io/me/os:1"));
}

#[test]
fn images_of_docker_keep_their_manifest_too() {
    let (place, layout) = (Place::new(), Layout::of(&[Layer::gzip(&super::rich())]));
    let image = place.store("root").image("localhost/os:1");
    copy_with(&["--format", "v2s2"], &format!("oci:{}", layout.path().display()), &image);
    let ours = load(&image, None).unwrap();
    assert_eq!(ours.manifest, raw_manifest(&image));
    assert_eq!(ours.layers[0].blob.media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    assert_eq!(facts(&ours), facts(&layout.load().unwrap()));
}

/// Names that are no UTF-8, and what other writers of tar make of long ones.
#[test]
fn layers_of_gnu_tar_come_out_as_they_went_in() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let files = place.path("files");
    let long = files.join("l".repeat(200)).join("m".repeat(200));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("n".repeat(250)), "long").unwrap();
    fs::write(files.join(std::ffi::OsStr::from_bytes(b"not \xff utf-8")), "odd").unwrap();
    let layers = ["gnu", "pax", "ustar", "v7", "oldgnu"].map(|format| {
        let archive = place.path(&format!("{format}.tar"));
        let names = if matches!(format, "ustar" | "v7") { "files/not*" } else { "files" };
        let script = format!(
            "cd '{}' && tar --format={format} -cf '{}' {names}",
            place.directory.path().display(),
            archive.display()
        );
        oracle::agrees(&oracle::tool("sh", "dash"), ["-c", &script]);
        fs::read(archive).unwrap()
    });
    let layout = Layout::of(&layers.iter().map(|layer| Layer::gzip(layer)).collect::<Vec<_>>());
    let image = place.store("root").image("localhost/os:1");
    copy(&format!("oci:{}", layout.path().display()), &image);
    assert_eq!(blobs(&image), layers);
}

#[test]
fn what_buildah_and_podman_build_is_read() {
    let place = Place::new();
    let store = place.store("root");
    fs::write(place.path("base.tar"), one_file("base")).unwrap();
    fs::write(place.path("added"), "added by a build").unwrap();
    let containerfile = "FROM scratch\nADD base.tar /\nCOPY added /usr/added\nLABEL built=yes\nCOPY added /usr/file\n";
    fs::write(place.path("Containerfile"), containerfile).unwrap();
    let context = place.directory.path().display().to_string();
    for (tool, name) in [("buildah", "localhost/buildah"), ("podman", "localhost/podman")] {
        store.run(tool, &["build", "-q", "--layers", "--isolation", "chroot", "-t", name, &context]);
        let image = store.image(name);
        let ours = load(&image, None).unwrap();
        assert_eq!(ours.manifest, raw_manifest(&image), "{tool}");
        assert_eq!(blobs(&image), blobs_of_skopeo(&place, &image, tool), "{tool}");
        assert_eq!((ours.labels["built"].as_str(), ours.ref_name), ("yes", Some(format!("{name}:latest"))));
        let layer = ours.layers.iter().position(|layer| layer.tree.lookup("usr/added").is_some());
        assert_eq!(content(&load(&image, None).unwrap(), layer.unwrap(), "usr/added"), b"added by a build");
    }
}

#[test]
fn an_image_has_names_ids_and_digests() {
    let (place, layout, other) = (Place::new(), layout(), Layout::of(&[Layer::gzip(&one_file("other"))]));
    let store = place.store("root");
    copy(&format!("oci:{}", layout.path().display()), &store.image("docker.io/library/os:1"));
    copy(&format!("oci:{}", other.path().display()), &store.image("quay.io/me/other:latest"));
    let (manifest, config) = (layout.load().unwrap().manifest_digest, Digest::of(&layout.load().unwrap().config).hex());
    for name in [
        "os:1",
        "docker.io/os:1",
        &config,
        &config[..3],
        &format!("@{config}"),
        &format!("os@{manifest}"),
        &format!("os:1@{config}"),
    ] {
        let image = store.image(name);
        assert_eq!(load(&image, None).unwrap().manifest, raw_manifest(&image), "{name}");
        assert_eq!(load(&image, None).unwrap().ref_name.as_deref(), Some("docker.io/library/os:1"), "{name}");
    }
    let missing = refusal(&store.image("os:2"));
    assert!(
        missing.ends_with("has no image `os:2`; its images are: docker.io/library/os:1, quay.io/me/other:latest"),
        "{missing}"
    );
}

#[test]
fn of_an_image_that_was_pulled_by_an_index_the_platform_is_read() {
    let (place, layout) = (Place::new(), Layout::empty());
    let mut image = layout.image(&[Layer::gzip(&one_file("x"))], "amd64");
    image["platform"] = serde_json::json!({"architecture": "amd64", "os": "linux"});
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [image],
    });
    let index = layout.put(index.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json");
    layout.index(std::slice::from_ref(&index));
    let store = place.store("root");
    copy(&format!("oci:{}", layout.path().display()), &store.image("quay.io/me/os:1"));
    let by_digest = format!("quay.io/me/os@{}", index["digest"].as_str().unwrap());
    for name in ["quay.io/me/os:1", &by_digest] {
        let ours = load(&store.image(name), None).unwrap();
        assert_eq!(ours.manifest_digest.to_string(), image["digest"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn layers_and_images_are_looked_for_in_additional_stores() {
    let (place, layout) = (Place::new(), layout());
    let (shared, own) = (place.store("shared"), place.store("own"));
    copy(&format!("oci:{}", layout.path().display()), &shared.image("localhost/base:1"));
    let options = format!("overlay.imagestore={}", shared.root.display());
    fs::write(place.path("Containerfile"), "FROM localhost/base:1\nLABEL own=yes\n").unwrap();
    let context = place.directory.path().display().to_string();
    store_option(&own, &options, &["build", "-q", "--isolation", "chroot", "-t", "localhost/own", &context]);
    for (name, layers) in [("localhost/base:1", 3), ("localhost/own", 4)] {
        let image = own.image_with("overlay", &options, name);
        let ours = load(&image, None).unwrap();
        assert_eq!(ours.manifest, raw_manifest(&image), "{name}");
        assert_eq!(ours.layers.len(), layers, "{name}");
    }
    let missing = refusal(&own.image("localhost/own"));
    assert!(missing.contains("the image's layer ") && missing.contains(" is missing in "), "{missing}");
}

fn store_option(store: &crate::support::store::Store, option: &str, args: &[&str]) {
    store.run("buildah", &[&["--storage-opt", option], args].concat());
}

#[test]
fn a_disk_from_a_store_is_the_disk_from_the_image_that_was_pulled() {
    let place = Place::new();
    let layout = MiniImage::bootable().write(&place.path("mini"));
    let image = place.store("root").image("registry.example/mini:1");
    copy(&layout.reference(), &image);
    let partitions = small_partitions(place.directory.path());
    let build = |reference: &str, name: &str| {
        let mut command = program::build(reference, &place.path(name));
        program::succeed(command.args(["--type", "raw", "--layout", &partitions]));
        fs::read_to_string(place.path(name).join("SHA256SUMS")).unwrap()
    };
    assert_eq!(build(&image, "from-store"), build(&layout.reference(), "from-oci"));
}
