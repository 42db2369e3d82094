//! Stores as others leave them: newer versions, other architectures, layers that a store does not keep as they were.

use std::fs;

use serde_json::{Value, json};

use super::broken_store::{IMAGES, LAYERS, broken, edit, stored};
use super::{Layer, Layout, blobs, load, one_file, refusal};
use crate::support::store::{Place, copy, copy_with, pack};
use crate::support::tar::{directory, file, hardlink, stream};
use qemu_tests::oracle;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image of two platforms, and the digest of its index.
fn two_platforms(platforms: [Value; 2]) -> (Layout, String) {
    let layout = Layout::empty();
    let images = platforms.map(|platform| {
        let architecture = platform["architecture"].as_str().unwrap();
        let mut image = layout.image(&[Layer::gzip(&one_file(&platform.to_string()))], architecture);
        image["platform"] = platform;
        image
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": images });
    let index = layout.put(index.to_string().as_bytes(), INDEX);
    layout.index(std::slice::from_ref(&index));
    (layout, index["digest"].as_str().unwrap().to_owned())
}

#[test]
fn of_an_index_the_store_has_the_image_that_was_pulled_whatever_else_is_listed() {
    let place = Place::new();
    let (layout, index) = two_platforms([
        json!({ "architecture": "amd64", "os": "linux" }),
        json!({ "architecture": "arm64", "os": "linux" }),
    ]);
    let store = place.store("root");
    let from = format!("oci:{}", layout.path().display());
    copy_with(&["--override-arch", "arm64"], &from, &store.image("quay.io/me/os:1"));
    let by_index = store.image(&format!("quay.io/me/os@{index}"));
    for architecture in [None, Some("arm64")] {
        assert_eq!(load(&by_index, architecture).unwrap().architecture, "arm64");
    }
    let foreign = load(&by_index, Some("amd64")).unwrap_err().to_string();
    assert!(foreign.contains("arm64") && foreign.contains("amd64"), "{foreign}");
}

/// As zstd and gzip beside each other: podman takes one of them, and that is the one in the store.
#[test]
fn of_two_images_for_one_platform_the_store_has_the_second() {
    let place = Place::new();
    let amd64 = |compression: &str| json!({ "architecture": "amd64", "os": "linux", "variant": compression });
    let (layout, index) = two_platforms([amd64("v1"), amd64("v2")]);
    let store = place.store("root");
    let index_bytes = fs::read(layout.blob_path(&json!(index))).unwrap();
    let listed: Value = serde_json::from_slice(&index_bytes).unwrap();
    let second = listed["manifests"][1]["digest"].as_str().unwrap().to_owned();
    // What is in the layout of the second alone is pulled as podman would have pulled it by the index.
    layout.index(std::slice::from_ref(&listed["manifests"][1]));
    copy(&format!("oci:{}", layout.path().display()), &store.image("quay.io/me/os:1"));
    let images: Value = serde_json::from_slice(&fs::read(store.root.join(IMAGES)).unwrap()).unwrap();
    let directory = store.root.join("overlay-images").join(images[0]["id"].as_str().unwrap());
    let key = format!("manifest-{index}");
    fs::write(directory.join(format!("={}", base64(&key))), &index_bytes).unwrap();
    edit(&store, IMAGES, |list| {
        list[0]["big-data-digests"][&key] = json!(index);
        list[0]["names"] = json!(["quay.io/me/os:1", format!("quay.io/me/os@{index}")]);
    });
    let ours = load(&store.image(&format!("quay.io/me/os@{index}")), None).unwrap();
    assert_eq!(ours.manifest_digest.to_string(), second);
}

fn base64(text: &str) -> String {
    use base64ct::Encoding;
    base64ct::Base64::encode_string(text.as_bytes())
}

/// zstd:chunked layers of podman 5.0 to 5.3: pulled in parts, known by their table of contents, with another size.
#[test]
fn a_layer_that_was_pulled_in_parts_is_compared_with_what_the_config_says() {
    let place = Place::new();
    let store = stored(&place);
    let original = blobs(&store.image("localhost/os:1"));
    let in_parts = |expected: &dyn Fn(&Value) -> Value| {
        edit(&store, LAYERS, |list| {
            let digest = list[1]["diff-digest"].take();
            let layer = list[1].as_object_mut().unwrap();
            if !digest.is_null() {
                layer.insert("kept".to_owned(), digest);
            }
            layer.remove("diff-digest");
            layer.insert("diff-size".to_owned(), 5000.into());
            layer.insert("toc-digest".to_owned(), json!(format!("sha256:{:064}", 7)));
            layer.insert("flags".to_owned(), json!({ "expected-layer-diffid": expected(&layer["kept"]) }));
        });
    };
    in_parts(&Clone::clone);
    assert_eq!(blobs(&store.image("localhost/os:1")), original);
    load(&store.image("localhost/os:1"), None).unwrap();
    in_parts(&|_| json!(format!("sha256:{:064}", 8)));
    let other = refusal(&store.image("localhost/os:1"));
    assert!(other.contains(" has the diff_id sha256:000") && other.contains("the image's config says"), "{other}");
    in_parts(&Clone::clone);
    fs::write(store.file("diff/usr/size-513"), vec![7; 513]).unwrap();
    assert!(refusal(&store.image("localhost/os:1")).contains("its CRC-64 differs"));
}

#[test]
fn a_size_that_the_store_does_not_know_is_that_of_the_layer_put_together() {
    let place = Place::new();
    let store = stored(&place);
    let original = blobs(&store.image("localhost/os:1"));
    edit(&store, LAYERS, |list| list[1]["diff-size"] = (-1).into());
    assert_eq!(blobs(&store.image("localhost/os:1")), original);
}

/// tar-split keeps what a sparse file expands to; skopeo fails on such a store as well.
#[test]
fn a_sparse_file_in_a_layer_is_named_and_where_the_image_can_be_built_from() {
    for format in ["0.0", "0.1", "1.0"] {
        let place = Place::new();
        fs::create_dir(place.path("usr")).unwrap();
        let sparse = fs::File::create(place.path("usr/sparse")).unwrap();
        sparse.set_len(1 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"behind a hole", 500_000).unwrap();
        let (archive, directory) = (place.path("layer.tar"), place.directory.path());
        let args = ["--format=pax", "-S", "--sparse-version", format, "-cf"].map(std::ffi::OsStr::new);
        let rest = [archive.as_os_str(), "-C".as_ref(), directory.as_os_str(), "usr".as_ref()];
        oracle::agrees(&oracle::tool("tar", "tar"), args.into_iter().chain(rest));
        let layout = Layout::of(&[Layer::gzip(&fs::read(&archive).unwrap())]);
        layout.load().unwrap();
        let image = place.store("root").image("localhost/os:1");
        copy(&format!("oci:{}", layout.path().display()), &image);
        let error = load(&image, None).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("diff/usr/sparse was stored as a sparse file, and a store does not keep how"), "{said}");
        assert_eq!(error.hint().unwrap(), "build from where the image came from: docker://, oci: or dir:");
    }
}

/// A name that looks like a sparse file's header, and no hole.
#[test]
fn a_layer_that_only_speaks_of_sparse_files_is_read() {
    let place = Place::new();
    fs::create_dir(place.path("usr")).unwrap();
    fs::write(place.path("usr/GNU.sparse.major=1"), "whole").unwrap();
    pack(place.directory.path(), &["usr"], &place.path("layer.tar"));
    let tar = fs::read(place.path("layer.tar")).unwrap();
    let layout = Layout::of(&[Layer::gzip(&tar)]);
    let image = place.store("root").image("localhost/os:1");
    copy(&format!("oci:{}", layout.path().display()), &image);
    assert_eq!(blobs(&image), [tar]);
}

#[test]
fn a_hard_link_whose_header_has_a_size_has_no_content() {
    let place = Place::new();
    let mut tar = stream(&[directory("usr"), file("usr/a", "content"), hardlink("usr/b", "usr/a")]);
    let header = tar.windows(6).position(|name| name == b"usr/b\0").unwrap();
    tar[header + 124..header + 136].copy_from_slice(b"00000000007\0");
    tar[header + 148..header + 156].fill(b' ');
    let sum: u32 = tar[header..header + 512].iter().map(|&byte| u32::from(byte)).sum();
    tar[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let layout = Layout::of(&[Layer::gzip(&tar)]);
    layout.load().unwrap();
    let image = place.store("root").image("localhost/os:1");
    copy(&format!("oci:{}", layout.path().display()), &image);
    assert_eq!(blobs(&image), [tar]);
}

#[test]
fn a_layer_of_an_additional_layer_store_says_how_to_export_the_image() {
    let said = broken(|store| {
        let diff = store.file("diff/usr/size-512");
        fs::write(diff.ancestors().nth(3).unwrap().join("additionallayer"), "").unwrap();
    });
    assert!(said.ends_with(" is kept in an additional layer store, which cannot be read here"), "{said}");
}

/// As containers/storage takes it: a list that was never written.
#[test]
fn a_list_without_bytes_has_no_entries() {
    let said = broken(|store| fs::write(store.root.join(IMAGES), "").unwrap());
    assert!(said.ends_with("has no image `localhost/os:1`; its images are: (none)"), "{said}");
}
