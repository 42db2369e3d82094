//! `dir:`

use std::fs;

use serde_json::json;

use super::{Layer, Layout, facts, layout, load, one_file, refusal};
use crate::support::store::{Place, copy, copy_with, raw_manifest};

#[test]
fn manifests_of_oci_and_docker_load_as_they_are() {
    let (place, layout) = (Place::new(), layout());
    let oci = format!("oci:{}", layout.path().display());
    for (name, options) in [("oci", &[][..]), ("plain", &["--dest-decompress"])] {
        copy_with(options, &oci, &place.at("dir", name));
        let ours = load(&place.at("dir", name), None).unwrap();
        assert_eq!(ours.manifest, raw_manifest(&place.at("dir", name)), "{name}");
        assert_eq!((facts(&ours), ours.ref_name), (facts(&layout.load().unwrap()), None));
    }
    let gzip = Layout::of(&[Layer::gzip(&one_file("x"))]);
    copy_with(&["--format", "v2s2"], &format!("oci:{}", gzip.path().display()), &place.at("dir", "docker"));
    let ours = load(&place.at("dir", "docker"), None).unwrap();
    assert_eq!(ours.manifest, raw_manifest(&place.at("dir", "docker")));
    assert_eq!(ours.layers[0].blob.media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    assert_eq!(facts(&ours), facts(&gzip.load().unwrap()));
}

#[test]
fn of_an_index_the_manifest_of_one_platform_is_taken() {
    let (place, layout) = (Place::new(), Layout::empty());
    let mut images = ["arm64", "amd64"].map(|arch| {
        let mut image = layout.image(&[Layer::gzip(&one_file(arch))], arch);
        image["platform"] = json!({"architecture": arch, "os": "linux"});
        image
    });
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": images,
    });
    let index = layout.put(index.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json");
    layout.index(std::slice::from_ref(&index));
    copy_with(&["--all"], &format!("oci:{}", layout.path().display()), &place.at("dir", "all"));
    for (arch, image) in ["arm64", "amd64"].into_iter().zip(&mut images) {
        let ours = load(&place.at("dir", "all"), Some(arch)).unwrap();
        assert_eq!(
            (ours.manifest_digest.to_string(), &ours.architecture[..]),
            (image["digest"].as_str().unwrap().to_owned(), arch)
        );
    }
    let digits = images[1]["digest"].as_str().unwrap().split_once(':').unwrap().1.to_owned();
    fs::remove_file(place.path("all").join(format!("{digits}.manifest.json"))).unwrap();
    let missing = load(&place.at("dir", "all"), Some("amd64")).unwrap_err().to_string();
    assert!(
        missing.starts_with(&format!("the manifest is missing: there is no {digits}.manifest.json in ")),
        "{missing}"
    );
}

/// skopeo 1.9 leaves the media type of gzip on layers that the store has unpacked.
#[test]
fn layers_that_came_out_of_a_store_load_whatever_their_media_type_says() {
    let (place, layout) = (Place::new(), layout());
    let image = place.store("root").image("localhost/os:1");
    copy(&format!("oci:{}", layout.path().display()), &image);
    copy(&image, &place.at("dir", "out"));
    assert_eq!(facts(&load(&place.at("dir", "out"), None).unwrap()), facts(&layout.load().unwrap()));
}

#[test]
fn what_is_no_directory_of_skopeo_is_refused() {
    let (place, layout) = (Place::new(), Layout::of(&[Layer::gzip(&one_file("x"))]));
    let oci = format!("oci:{}", layout.path().display());
    copy(&oci, &place.at("dir", "good"));
    let broken = |name: &str, change: &dyn Fn(&std::path::Path)| {
        copy(&oci, &place.at("dir", name));
        change(&place.path(name));
        refusal(&place.at("dir", name))
    };
    let write = |text: &'static str| move |path: &std::path::Path| fs::write(path.join("manifest.json"), text).unwrap();
    assert!(refusal(&oci.replace("oci:", "dir:")).ends_with("it is in OCI image layout; then write `oci:`"));
    assert!(
        broken("1", &|path| fs::remove_file(path.join("manifest.json")).unwrap())
            .ends_with("it has no file manifest.json")
    );
    assert!(broken("2", &write("{")).starts_with("manifest.json is not the JSON it should be"));
    assert!(
        broken("3", &write("{\"schemaVersion\":1}"))
            .contains("`application/vnd.docker.distribution.manifest.v1+json`, which is no image manifest")
    );
    assert!(broken("4", &write("{}")).contains("which is no image manifest"));
    let empty = broken("5", &|path| {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().len() == 64 {
                fs::write(path, "").unwrap();
            }
        }
    });
    assert!(empty.starts_with("the config: it has only 0 bytes"), "{empty}");
    fs::write(place.path("file"), "").unwrap();
    assert!(refusal(&place.at("dir", "file")).ends_with("it is not a directory"));
}
