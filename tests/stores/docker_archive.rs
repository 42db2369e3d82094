//! `docker-archive:`

use std::fs;

use bootwright::digest::Digest;
use serde_json::{Value, json};

use super::{Layer, Layout, facts, layout_for_docker, load, one_file, refusal, rich};
use crate::layout::gzip;
use crate::support::store::{Place, copy, pack, raw_manifest};

/// An archive as `docker save` wrote it before OCI layouts: files of these names and contents.
fn archive(place: &Place, name: &str, files: &[(&str, Vec<u8>)]) -> String {
    let directory = place.path(&format!("{name}.files"));
    for (path, bytes) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    pack(&directory, &files.iter().map(|(path, _)| *path).collect::<Vec<_>>(), &place.path(name));
    place.at("docker-archive", name)
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Labels": {"a": "<&>"}}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    config.to_string().into_bytes()
}

fn manifest(items: &Value) -> (&'static str, Vec<u8>) {
    ("manifest.json", items.to_string().into_bytes())
}

#[test]
fn an_archive_of_skopeo_is_what_skopeo_reads_in_it() {
    let (place, layout) = (Place::new(), layout_for_docker());
    let archive = place.at("docker-archive", "a.tar");
    copy(&format!("oci:{}", layout.path().display()), &format!("{archive}:quay.io/me/os:1"));
    copy(&archive, &place.at("oci", "copy"));
    copy(&archive, &place.at("dir", "dir"));
    let (ours, copied) = (load(&archive, None).unwrap(), load(&place.at("oci", "copy"), None).unwrap());
    assert_eq!(String::from_utf8(ours.manifest.clone()), String::from_utf8(raw_manifest(&archive)));
    assert_eq!(ours.manifest_digest, Digest::of(&ours.manifest));
    assert_eq!(facts(&ours), facts(&copied));
    let config = place.path("dir").join(Digest::of(&ours.config).hex());
    assert_eq!(ours.config, fs::read(config).unwrap());
    assert_eq!(ours.ref_name.as_deref(), Some("quay.io/me/os:1"));
}

#[test]
fn layers_that_are_compressed_in_the_archive_count_as_what_they_inflate_to() {
    let (place, one, two) = (Place::new(), rich(), one_file("two"));
    let items = json!([{"Config": "config.json", "RepoTags": null, "Layers": ["one.tar", "./dir/../two.tar"]}]);
    let files = [
        ("one.tar", gzip(&one)),
        ("two.tar", zstd::encode_all(&two[..], 1).unwrap()),
        ("config.json", config(&[&one, &two])),
        manifest(&items),
    ];
    let archive = archive(&place, "a.tar", &files);
    copy(&archive, &place.at("oci", "copy"));
    let ours = load(&archive, None).unwrap();
    assert_eq!(ours.manifest, raw_manifest(&archive));
    assert_eq!(facts(&ours), facts(&load(&place.at("oci", "copy"), None).unwrap()));
    assert_eq!((ours.layers[0].blob.compressed, ours.ref_name), (one.len() as u64, None));
}

#[test]
fn a_layer_that_comes_twice_is_a_link_to_the_first() {
    let (place, layer) = (Place::new(), one_file("x"));
    let items = json!([{"Config": "config.json", "RepoTags": ["os:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]);
    let files = [("a/layer.tar", layer.clone()), ("config.json", config(&[&layer, &layer])), manifest(&items)];
    archive(&place, "unlinked.tar", &files);
    let directory = place.path("unlinked.tar.files");
    fs::create_dir(directory.join("b")).unwrap();
    std::os::unix::fs::symlink("../a/layer.tar", directory.join("b/layer.tar")).unwrap();
    pack(&directory, &["b/layer.tar", "a/layer.tar", "config.json", "manifest.json"], &place.path("a.tar"));
    let archive = place.at("docker-archive", "a.tar");
    let ours = load(&archive, None).unwrap();
    assert_eq!(ours.manifest, raw_manifest(&archive));
    assert_eq!((ours.layers.len(), ours.ref_name.as_deref()), (2, Some("os:1")));
}

#[test]
fn one_of_several_images_is_named_or_counted() {
    let (place, one, two) = (Place::new(), one_file("one"), one_file("two"));
    let items = json!([
        {"Config": "1.json", "RepoTags": ["os:1", "quay.io/me/os:1"], "Layers": ["1.tar"]},
        {"Config": "2.json", "RepoTags": ["os:latest"], "Layers": ["2.tar"]},
        {"Config": "2.json", "RepoTags": null, "Layers": ["2.tar"]},
    ]);
    let files = [
        ("1.tar", one.clone()),
        ("2.tar", two.clone()),
        ("1.json", config(&[&one])),
        ("2.json", config(&[&two])),
        manifest(&items),
    ];
    let archive = archive(&place, "a.tar", &files);
    for name in ["os:1", "quay.io/me/os:1", "docker.io/library/os:1", "os", "@0", "@1", "@2"] {
        let named = format!("{archive}:{name}");
        assert_eq!(load(&named, None).unwrap().manifest, raw_manifest(&named), "{name}");
    }
    assert_eq!(load(&format!("{archive}:@0"), None).unwrap().ref_name.as_deref(), Some("os:1"));
    let names = "os:1, quay.io/me/os:1, os:latest, @2";
    assert!(refusal(&archive).ends_with(&format!("contains 3 images; name one of its tags: {names}")));
    assert!(refusal(&format!("{archive}:os:2")).ends_with(&format!("with the tag `os:2`; its tags are: {names}")));
    assert!(refusal(&format!("{archive}:@3")).contains("with the tag `@3`"));
}

#[test]
fn what_podman_saves_of_several_images_is_read() {
    let (place, layout) = (Place::new(), layout_for_docker());
    let store = place.store("root");
    let other = Layout::of(&[Layer::gzip(&rich())]);
    copy(&format!("oci:{}", layout.path().display()), &store.image("localhost/one:1"));
    copy(&format!("oci:{}", other.path().display()), &store.image("localhost/two:2"));
    let file = place.path("a.tar").display().to_string();
    store.run("podman", &["save", "-q", "-m", "-o", &file, "localhost/one:1", "localhost/two:2"]);
    let archive = place.at("docker-archive", "a.tar");
    for (name, layout) in [("localhost/one:1", &layout), ("localhost/two:2", &other)] {
        let named = format!("{archive}:{name}");
        let ours = load(&named, None).unwrap();
        assert_eq!(ours.manifest, raw_manifest(&named));
        assert_eq!(facts(&ours), facts(&layout.load().unwrap()));
    }
}

#[test]
fn what_is_no_archive_of_docker_is_refused() {
    let (place, layer) = (Place::new(), one_file("x"));
    let item = |layers: Value| manifest(&json!([{"Config": "config.json", "RepoTags": [], "Layers": layers}]));
    let of = |name: &str, files: &[(&str, Vec<u8>)]| refusal(&archive(&place, name, files));
    let config = || ("config.json", config(&[&layer]));
    assert!(of("1", &[config()]).ends_with("is not an archive of `docker save`: it has no file manifest.json"));
    assert!(of("2", &[("oci-layout", b"{}".to_vec())]).ends_with("then write `oci-archive:`"));
    assert!(of("3", &[item(json!(["x.tar"]))]).ends_with("it has no file config.json"));
    assert!(of("4", &[config(), item(json!([]))]).contains("lists 0 layers, but the config has 1 diff_ids"));
    assert!(of("5", &[config(), item(json!(["x.tar"]))]).starts_with("layer 0 is missing: there is no x.tar in "));
    assert!(of("6", &[manifest(&json!([]))]).ends_with("contains no image"));
    assert!(of("7", &[manifest(&json!({}))]).starts_with("manifest.json is not the JSON it should be"));
    let changed = of("8", &[config(), item(json!(["x.tar"])), ("x.tar", one_file("y"))]);
    assert!(changed.starts_with("layer 0 (") && changed.contains("it has the digest"), "{changed}");
    let mut cut = gzip(&layer);
    cut.truncate(cut.len() - 9);
    assert!(of("9", &[config(), item(json!(["x.tar"])), ("x.tar", cut)]).starts_with("cannot read x.tar in "));
    fs::write(place.path("10"), gzip(&layer)).unwrap();
    assert!(
        refusal(&place.at("docker-archive", "10"))
            .ends_with("is compressed with gzip; only plain tar archives can be read")
    );
    let error = load(&place.at("docker-archive", "."), None).unwrap_err();
    assert!(error.to_string().ends_with("is a directory, not an archive"), "{error}");
    assert!(error.hint().unwrap().contains("`dir:`"));
}
