//! Which image of several is taken.

use crate::layout::{Layer, Layout, content, load};
use crate::source::files;
use bootwright::source::Error;
use qemu_tests::oracle;
use serde_json::{Value, json};

/// An index of these entries that `index.json` leads to.
fn nest(layout: &Layout, manifests: &[Value]) {
    let bytes = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
    layout.index(&[layout.put(bytes.as_bytes(), "application/vnd.oci.image.index.v1+json")]);
}

/// An image that consists of its own name, listed for a platform.
fn listed(layout: &Layout, name: &str, architecture: &str, variant: Option<&str>) -> Value {
    let mut entry = layout.image(&[Layer::gzip(&files(name))], architecture);
    entry["platform"] = json!({ "architecture": architecture, "os": "linux" });
    if let Some(variant) = variant {
        entry["platform"]["variant"] = json!(variant);
    }
    entry
}

fn name(layout: &Layout) -> String {
    format!("oci:{}", layout.path().display())
}

fn chosen(layout: &Layout, architecture: &str) -> Result<String, Error> {
    let image = load(&name(layout), Some(architecture))?;
    Ok(String::from_utf8(content(&image, 0, "usr/a")).unwrap())
}

#[test]
fn an_index_is_resolved_to_one_platform() {
    let layout = Layout::empty();
    let mut arm = layout.image(&[Layer::gzip(&files("arm"))], "arm64");
    let mut amd = layout.image(&[Layer::gzip(&files("amd"))], "amd64");
    let mut attestation = layout.put(b"{}", "application/vnd.oci.image.manifest.v1+json");
    arm["platform"] = json!({ "architecture": "arm64", "os": "linux", "variant": "v8" });
    amd["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    attestation["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    let index = |manifests: serde_json::Value| {
        let bytes = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
        layout.index(&[layout.put(bytes.as_bytes(), "application/vnd.oci.image.index.v1+json")]);
    };
    let name = format!("oci:{}", layout.path().display());
    index(json!([attestation, arm, amd]));
    assert_eq!(load(&name, Some("aarch64")).unwrap().architecture, "arm64");
    assert_eq!(content(&load(&name, Some("amd64")).unwrap(), 0, "usr/a"), b"amd");
    let refusal = load(&name, Some("s390x")).unwrap_err();
    assert!(refusal.to_string().ends_with("only for linux/arm64/v8, linux/amd64"), "{refusal}");
    assert!(refusal.hint().unwrap().contains("--target-arch"));
    index(json!([attestation, arm]));
    assert_eq!(layout.load().unwrap().architecture, "arm64", "the only one there is");
}

#[test]
fn one_of_several_images_has_to_be_named() {
    let layout = Layout::empty();
    let mut images = ["a", "b"].map(|text| layout.image(&[Layer::gzip(&files(text))], "amd64"));
    for (image, tag) in images.iter_mut().zip(["v1", "example.org/os:v2"]) {
        image["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    }
    layout.index(&images);
    assert!(layout.refusal().ends_with("contains 2 images; name one of its tags: v1, example.org/os:v2"));
    let image = load(&format!("oci:{}:example.org/os:v2", layout.path().display()), None).unwrap();
    assert_eq!(content(&image, 0, "usr/a"), b"b");
}

#[test]
fn an_image_for_another_architecture_is_refused() {
    let layout = Layout::of(&[Layer::gzip(&files("x"))]);
    let refusal = load(&format!("oci:{}", layout.path().display()), Some("riscv64")).unwrap_err().to_string();
    assert_eq!(refusal, "the image is for linux/amd64, but linux/riscv64 is wanted");
}

#[test]
fn of_the_variants_of_an_architecture_the_one_that_skopeo_takes_is_taken() {
    let layout = Layout::empty();
    let copies = tempfile::tempdir().unwrap();
    let agrees = |manifests: &[Value], architecture: &str, expected: &str| {
        nest(&layout, manifests);
        assert_eq!(chosen(&layout, architecture).unwrap(), expected);
        let copy = tempfile::tempdir_in(copies.path()).unwrap().keep();
        let to = format!("dir:{}", copy.display());
        let skopeo = oracle::tool("skopeo", "skopeo");
        // What skopeo finds out on a machine of arm64 by itself.
        let variant = if architecture == "arm64" { "v8" } else { "" };
        let machine = ["--override-arch", architecture, "--override-variant", variant];
        oracle::agrees(&skopeo, machine.into_iter().chain(["copy", "-q", &name(&layout), &to]));
        let ours = load(&name(&layout), Some(architecture)).unwrap().manifest;
        assert!(std::fs::read(copy.join("manifest.json")).unwrap() == ours, "skopeo takes another one");
    };
    let of = |name, architecture, variant| listed(&layout, name, architecture, variant);
    let (v3, plain) = (of("amd64-v3", "amd64", Some("v3")), of("amd64", "amd64", None));
    agrees(&[v3.clone(), plain], "amd64", "amd64");
    let (v9, v8) = (of("arm64-v9", "arm64", Some("v9")), of("arm64-v8", "arm64", Some("v8")));
    agrees(&[v9.clone(), v8.clone()], "arm64", "arm64-v8");
    let arm = of("arm64", "arm64", None);
    agrees(&[v9.clone(), arm.clone()], "arm64", "arm64");
    agrees(&[v9.clone(), arm, v8], "arm64", "arm64-v8");
    nest(&layout, &[v3, v9]);
    let refusal = chosen(&layout, "amd64").unwrap_err().to_string();
    assert!(refusal.ends_with("only for linux/amd64/v3, linux/arm64/v9"), "{refusal}");
}

#[test]
fn of_two_that_hold_the_same_the_one_of_zstd_layers_is_taken() {
    let layout = Layout::empty();
    let gzip = listed(&layout, "gzip", "amd64", None);
    let mut zstd = listed(&layout, "zstd", "amd64", None);
    zstd["annotations"] = json!({ "io.github.containers.compression.zstd": "true" });
    nest(&layout, &[gzip, zstd]);
    assert_eq!(chosen(&layout, "amd64").unwrap(), "zstd", "as containers/image does since 5.29");
}

#[test]
fn an_entry_that_leads_to_an_image_for_another_architecture_is_refused_without_being_asked() {
    let layout = Layout::empty();
    let mut wrong = listed(&layout, "wrong", "riscv64", None);
    wrong["platform"]["architecture"] = json!(Layout::host());
    nest(&layout, &[wrong, listed(&layout, "other", "s390x", None)]);
    let refusal = layout.refusal();
    assert_eq!(refusal, format!("the image is for linux/riscv64, but linux/{} is wanted", Layout::host()));
}
