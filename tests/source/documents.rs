//! Documents of an image that are refused before any layer is read.

use std::fs;

use crate::layout::{GZIP, Layer, Layout, load, tar};
use crate::source::files;
use serde_json::json;

#[test]
fn what_is_no_layout_is_refused() {
    let broken = |change: &dyn Fn(&Layout)| {
        let layout = Layout::of(&[Layer::gzip(&files("x"))]);
        change(&layout);
        layout.refusal()
    };
    let write = |name: &'static str, text: &'static str| {
        move |layout: &Layout| fs::write(layout.path().join(name), text).unwrap()
    };
    let remove = |name: &'static str| move |layout: &Layout| fs::remove_file(layout.path().join(name)).unwrap();
    assert!(broken(&remove("oci-layout")).ends_with("is not an OCI image layout: it has no file oci-layout"));
    assert!(broken(&remove("index.json")).ends_with("it has no file index.json"));
    assert!(
        broken(&write("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#))
            .ends_with("its version is 2.0.0, 1.0.0 is supported")
    );
    assert!(broken(&write("index.json", "{")).starts_with("index.json is not the JSON it should be: "));
    assert!(broken(&write("index.json", r#"{"schemaVersion":2,"manifests":[]}"#)).ends_with("contains no image"));
    assert!(load("oci:/nonexistent", None).unwrap_err().to_string().starts_with("cannot read /nonexistent: "));
    assert!(load("oci:/etc/passwd", None).unwrap_err().to_string().contains("it is not a directory"));
}

#[test]
fn a_changed_manifest_or_config_is_refused() {
    let layout = Layout::empty();
    let image = layout.image(&[Layer::gzip(&files("x"))], "amd64");
    layout.index(std::slice::from_ref(&image));
    let path = layout.blob_path(&image["digest"]);
    let manifest = fs::read_to_string(&path).unwrap();
    fs::write(&path, manifest.replace("\"schemaVersion\":2", "\"schemaVersion\":3")).unwrap();
    assert!(layout.refusal().starts_with("the manifest: it has the digest sha256:"));
    fs::write(&path, format!("{manifest} ")).unwrap();
    assert!(layout.refusal().starts_with("the manifest: it has more than the "));
    fs::remove_file(&path).unwrap();
    assert!(layout.refusal().starts_with("the manifest is missing: there is no blobs/sha256/"));
    fs::write(&path, &manifest).unwrap();
    let config: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    fs::write(layout.blob_path(&config["config"]["digest"]), "{}").unwrap();
    assert!(layout.refusal().starts_with("the config: it has only 2 bytes"));
}

#[test]
fn a_digest_of_another_algorithm_is_refused() {
    let layout = Layout::empty();
    let mut image = layout.image(&[], "amd64");
    image["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
    layout.index(&[image]);
    assert!(layout.refusal().contains("uses another algorithm than sha256"), "{}", layout.refusal());
}

#[test]
fn layers_and_diff_ids_must_be_as_many() {
    let layout = Layout::empty();
    let layer = Layer::gzip(&files("x"));
    let image = layout.manifest(vec![layout.put(&layer.blob, GZIP)], &json!([]), "amd64");
    layout.index(&[image]);
    assert_eq!(layout.refusal(), "the manifest lists 1 layers, but the config has 0 diff_ids");
}

#[test]
fn more_layers_than_any_engine_runs_and_a_config_of_a_gigabyte_are_refused_before_they_are_read() {
    let layout = Layout::empty();
    let layer = Layer::gzip(&tar(&[]));
    let descriptor = layout.put(&layer.blob, layer.media_type);
    let image =
        layout.manifest(vec![descriptor; 10_000], &serde_json::json!(vec![layer.diff_id.clone(); 10_000]), "amd64");
    layout.index(&[image]);
    assert_eq!(layout.refusal(), "the manifest lists 10000 layers, 512 are allowed");

    let layout = Layout::empty();
    let config = serde_json::json!({
        "mediaType": "application/vnd.oci.image.config.v1+json", "size": 1_u64 << 30, "digest": layer.diff_id,
    });
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [],
    });
    layout.index(&[layout.put(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json")]);
    let refusal = layout.load().unwrap_err();
    assert_eq!(refusal.to_string(), "the config has 1073741824 bytes, 16777216 are allowed");
    assert!(refusal.hint().is_some());
}
