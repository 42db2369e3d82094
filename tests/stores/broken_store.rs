//! Stores that are damaged, that somebody tampered with, or that are of another kind.

use std::fs;
use std::path::Path;

use super::{Layer, Layout, load, one_file, refusal};
use crate::support::program;
use crate::support::store::{Place, Store, copy};

/// A store with one image of two layers, in the place it was changed.
pub fn broken(change: impl Fn(&Store)) -> String {
    let place = Place::new();
    let store = stored(&place);
    change(&store);
    refusal(&store.image("localhost/os:1"))
}

pub fn stored(place: &Place) -> Store {
    let layout = Layout::of(&[Layer::gzip(&one_file("one")), Layer::gzip(&super::rich())]);
    let store = place.store("root");
    copy(&format!("oci:{}", layout.path().display()), &store.image("localhost/os:1"));
    store
}

/// Changes the text of one of the two lists.
pub fn edit(store: &Store, list: &str, change: impl Fn(&mut serde_json::Value)) {
    let path = store.root.join(list);
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

pub const IMAGES: &str = "overlay-images/images.json";
pub const LAYERS: &str = "overlay-layers/layers.json";

fn tar_split_of_top(store: &Store) -> std::path::PathBuf {
    let layers: serde_json::Value = serde_json::from_slice(&fs::read(store.root.join(LAYERS)).unwrap()).unwrap();
    store.root.join(format!("overlay-layers/{}.tar-split.gz", layers[1]["id"].as_str().unwrap()))
}

#[test]
fn a_file_that_was_changed_lost_or_replaced_is_named() {
    let changed = broken(|store| fs::write(store.file("diff/usr/size-513"), vec![7; 513]).unwrap());
    assert!(changed.starts_with("layer 1 (") && changed.contains("cannot read it after "), "{changed}");
    assert!(
        changed.ends_with("diff/usr/size-513 is not what it was when the layer was stored: its CRC-64 differs"),
        "{changed}"
    );
    let longer = broken(|store| fs::write(store.file("diff/usr/size-513"), vec![7; 514]).unwrap());
    assert!(longer.ends_with("has 514 bytes, but had 513 when the layer was stored"), "{longer}");
    let lost = broken(|store| fs::remove_file(store.file("diff/usr/size-512")).unwrap());
    assert!(lost.contains("cannot read /") && lost.contains("diff/usr/size-512: No such file"), "{lost}");
    let replaced = broken(|store| {
        let path = store.file("diff/usr/size-512");
        fs::remove_file(&path).unwrap();
        fs::write(store.root.join("secret"), vec![7; 512]).unwrap();
        std::os::unix::fs::symlink(store.root.join("secret"), path).unwrap();
    });
    assert!(replaced.contains("diff/usr/size-512: Too many levels of symbolic links"), "{replaced}");
    let moved = broken(|store| {
        let usr = store.file("diff/usr/size-512").parent().unwrap().to_owned();
        fs::rename(&usr, store.root.join("usr")).unwrap();
        std::os::unix::fs::symlink(store.root.join("usr"), usr).unwrap();
    });
    assert!(moved.contains(": Not a directory"), "{moved}");
}

/// skopeo fails on it too, so that an export is no way out.
#[test]
fn a_layer_without_its_tar_split_data_says_where_the_image_can_be_built_from() {
    let place = Place::new();
    let store = stored(&place);
    fs::remove_file(tar_split_of_top(&store)).unwrap();
    let image = store.image("localhost/os:1");
    let error = load(&image, None).unwrap_err();
    assert!(error.to_string().contains("cannot be put together as it was: /"), "{error}");
    assert!(error.to_string().ends_with(".tar-split.gz is missing"), "{error}");
    assert_eq!(error.hint().unwrap(), "build from where the image came from: docker://, oci: or dir:");
}

#[test]
fn broken_tar_split_data_is_refused() {
    let with = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        broken(|store| {
            let path = tar_split_of_top(store);
            fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
        })
    };
    let text = |lines: &str| crate::layout::gzip(lines.as_bytes());
    let cut = with(&|mut bytes| {
        bytes.truncate(bytes.len() - 20);
        bytes
    });
    assert!(cut.contains(".tar-split.gz is broken: ") || cut.contains("it has only"), "{cut}");
    assert!(with(&|_| b"no gzip".to_vec()).contains(".tar-split.gz is broken: "));
    assert!(with(&|_| text("{\"type\":2,")).contains(".tar-split.gz is broken: EOF while parsing"));
    assert!(with(&|_| text("{\"type\":3}")).contains("is broken: it has an entry of type 3"));
    assert!(with(&|_| text("{\"type\":2,\"payload\":\"é\"}")).contains("is broken: "));
    assert!(
        with(&|_| text("{\"type\":1,\"name\":\"../../../../etc/passwd\",\"size\":1}"))
            .contains("its name leads out of the directory")
    );
    assert!(with(&|_| text("{\"type\":1,\"name\":\"usr\",\"size\":1}")).contains("diff/usr: it is not a regular file"));
    assert!(
        with(&|_| text("{\"type\":1,\"name\":\"usr/size-1\",\"size\":18446744073709551615}"))
            .contains("has 1 bytes, but had 18446744073709551615")
    );
    assert!(with(&|_| text("{\"type\":2,\"payload\":\"AAAA\"}\n")).contains("it has only 3 bytes"));
    let endless = with(&|_| text(&"{\"type\":2,\"payload\":\"\"}\n".repeat(400_000)));
    assert!(endless.contains("is broken: it is far longer than the layer"), "{endless}");
}

#[test]
fn lists_that_lead_nowhere_are_refused() {
    let cycle = broken(|store| edit(store, LAYERS, |list| list[0]["parent"] = list[1]["id"].clone()));
    assert!(cycle.contains(" is among its own parents"), "{cycle}");
    let missing = broken(|store| edit(store, LAYERS, |list| drop(list.as_array_mut().unwrap().remove(0))));
    assert!(missing.starts_with("the image's layer ") && missing.contains(" is missing in "), "{missing}");
    let fewer = broken(|store| edit(store, LAYERS, |list| drop(list[1].as_object_mut().unwrap().remove("parent"))));
    assert_eq!(fewer, "the store has 1 layers for the image, but the config has 2 diff_ids");
    let other = broken(|store| edit(store, LAYERS, |list| list[1]["diff-digest"] = list[0]["diff-digest"].clone()));
    assert!(other.contains(" has the diff_id sha256:") && other.contains("the image's config says sha256:"), "{other}");
    let unknown = broken(|store| edit(store, LAYERS, |list| list[1]["diff-digest"] = serde_json::Value::Null));
    assert!(unknown.starts_with("the store does not know what the layer "), "{unknown}");
    let incomplete =
        broken(|store| edit(store, LAYERS, |list| list[1]["flags"] = serde_json::json!({"incomplete": true})));
    assert!(incomplete.ends_with(" was not stored completely"), "{incomplete}");
    let shorter = broken(|store| edit(store, LAYERS, |list| list[1]["diff-size"] = 1000.into()));
    assert!(shorter.contains("it has more than the 1000 bytes"), "{shorter}");
    let garbage = broken(|store| fs::write(store.root.join(LAYERS), "[{").unwrap());
    assert!(garbage.contains("layers.json is not the JSON it should be: "), "{garbage}");
}

#[test]
fn ids_are_no_paths() {
    let image = broken(|store| edit(store, IMAGES, |list| list[0]["id"] = "../../etc".into()));
    assert_eq!(image, "`../../etc` is not the id of an image: letters and digits are expected");
    let layer = broken(|store| {
        edit(store, LAYERS, |list| list[1]["id"] = "../x".into());
        edit(store, IMAGES, |list| list[0]["layer"] = "../x".into());
    });
    assert_eq!(layer, "`../x` is not the id of a layer: letters and digits are expected");
}

#[test]
fn lists_have_a_limit() {
    let large = broken(|store| {
        let file = fs::File::options().write(true).open(store.root.join(IMAGES)).unwrap();
        file.set_len(1 << 30).unwrap();
    });
    assert!(large.ends_with("images.json has 1073741824 bytes, 67108864 are allowed"), "{large}");
}

#[test]
fn a_changed_manifest_or_config_is_refused() {
    let at = |store: &Store, name: &str| store.file(name);
    let manifest = broken(|store| {
        let path = at(store, "/manifest");
        let text = fs::read_to_string(&path).unwrap().replace("\"schemaVersion\":2", "\"schemaVersion\":3");
        fs::write(path, text).unwrap();
    });
    assert!(manifest.starts_with("the manifest: it has the digest sha256:"), "{manifest}");
    let config = broken(|store| {
        let images: serde_json::Value = serde_json::from_slice(&fs::read(store.root.join(IMAGES)).unwrap()).unwrap();
        let directory = store.root.join("overlay-images").join(images[0]["id"].as_str().unwrap());
        for file in fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
            if fs::read_to_string(&file).unwrap().contains("diff_ids") {
                fs::write(file, "{}").unwrap();
            }
        }
    });
    assert!(config.starts_with("the config: it has only 2 bytes"), "{config}");
}

#[test]
fn stores_of_other_kinds_say_how_to_export_the_image() {
    let (place, layout) = (Place::new(), Layout::of(&[Layer::gzip(&one_file("x"))]));
    let store = place.store("root");
    let vfs = store.image_with("vfs", "", "localhost/os:1");
    copy(&format!("oci:{}", layout.path().display()), &vfs);
    for image in [vfs, store.image("localhost/os:1")] {
        let error = load(&image, None).unwrap_err();
        assert!(
            error.to_string().ends_with("keeps images with the driver `vfs`; only the files of `overlay` can be read"),
            "{error}"
        );
        assert!(error.hint().unwrap().ends_with(&format!("skopeo copy '{image}' oci:DIR:TAG")));
    }
    let composefs = broken(in_composefs_form);
    assert!(composefs.ends_with(" is kept in composefs form, which cannot be read here"), "{composefs}");
    let none = load("containers-storage:[overlay@/nonexistent]os", None).unwrap_err();
    assert_eq!(none.to_string(), "there is no container storage in /nonexistent");
}

fn in_composefs_form(store: &Store) {
    let diff = store.file("diff/usr/size-512");
    fs::create_dir(diff.ancestors().nth(3).unwrap().join("composefs-data")).unwrap();
}

#[test]
fn the_hint_reaches_the_user() {
    let place = Place::new();
    let store = stored(&place);
    in_composefs_form(&store);
    let image = store.image("localhost/os:1");
    let ended = program::end(&mut program::build(&image, &place.path("out")));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains(&format!("hint: export the image and build from the copy: skopeo copy '{image}' oci:DIR:TAG")),
        "{}",
        ended.stderr
    );
    assert!(!Path::new(&place.path("out")).exists());
}
