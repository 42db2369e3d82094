//! `bootwright inspect` of images that nothing was built from yet; skopeo says what they are.

use crate::support::mini_image::{KERNEL, MiniImage};
use crate::support::program;
use crate::support::registry::Registry;
use crate::support::tar::file;
use qemu_tests::oracle;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn inspect(source: &str, args: &[&str]) -> Value {
    let mut command = program::bootwright();
    json(&program::succeed(command.args(["inspect", source, "--format", "json"]).args(args)).stdout)
}

#[test]
fn an_image_is_described_as_skopeo_does_and_what_a_build_would_choose_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().with([file("usr/share/more", "more")]).label("version", "7");
    let layout = image.write(&directory.path().join("layout"));
    let registry = Registry::open();
    registry.store(&layout.reference(), "os:1", &[]);
    let name = format!("docker://{}", registry.name("os:1"));
    let skopeo = oracle::agrees(&oracle::tool("skopeo", "skopeo"), ["inspect", "--tls-verify=false", &name]);
    let skopeo = json(&skopeo);
    let found = inspect(&name, &["--tls-verify=false"]);
    assert_eq!(found["image"]["manifest_digest"], skopeo["Digest"]);
    assert_eq!(found["image"]["labels"], skopeo["Labels"]);
    assert_eq!(found["image"]["created"], skopeo["Created"]);
    let each = |layers: &Value, name: &str| {
        layers.as_array().unwrap().iter().map(|layer| layer[name].clone()).collect::<Vec<_>>()
    };
    let raw = oracle::agrees(&oracle::tool("skopeo", "skopeo"), ["inspect", "--raw", "--tls-verify=false", &name]);
    let (ours, theirs) = (&found["image"]["layers"], &json(&raw)["layers"]);
    assert_eq!(each(ours, "digest"), each(theirs, "digest"));
    assert_eq!(each(ours, "media_type"), each(theirs, "mediaType"));
    assert_eq!(each(ours, "compressed"), each(theirs, "size"));
    assert_eq!(found["image"]["target"], Value::from(name.clone()));
    assert_eq!(found["system"]["kernel"], KERNEL);
    assert_eq!(found["system"]["architecture"], "x86_64");
    let loader = found["system"]["bootloader"].as_str().unwrap();
    assert!(loader.contains("shim"), "{loader}");
    assert!(found.get("obstacle").is_none() && found.get("commit").is_none());

    let text = program::succeed(program::bootwright().args(["inspect", &layout.reference()])).stdout;
    for line in [
        "\nSignatures     none in images in `oci:`, which keep none\n",
        "\nLayout         x86_64 (the default for x86_64: ",
        "\nRoot           ext4 (the default; the image asks for none)\n",
        "\nStateroot      default\n",
        "Version        7\n",
        "Label          containers.bootc = 1\n",
        "Boot loader    ",
        &layout.layers[1],
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
}

#[test]
fn no_label_writes_a_line_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().label("forged", "x\nPolicy         signed by key SHA256:AAAA (--cosign-key)");
    let layout = image.write(&directory.path().join("layout"));
    let text = program::succeed(program::bootwright().args(["inspect", &layout.reference()])).stdout;
    assert!(text.contains("\nLabel          forged = x\\nPolicy         signed by key"), "{text}");
    assert!(!text.contains("\nPolicy         signed by"), "{text}");
}

#[test]
fn an_image_of_something_else_is_described_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut image = MiniImage::bootable();
    image.labels.clear();
    let found = inspect(&image.write(&directory.path().join("a")).reference(), &[]);
    assert!(found["obstacle"].as_str().unwrap().contains("no bootable container"), "{found}");
    let kernel = format!("usr/lib/modules/{KERNEL}");
    let found = inspect(&MiniImage::bootable().without(&kernel).write(&directory.path().join("b")).reference(), &[]);
    assert!(found["obstacle"].as_str().unwrap().contains("kernel"), "{found}");
}

#[test]
fn a_disk_takes_no_options_of_sources_and_a_missing_file_is_no_registry() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk.raw");
    std::fs::write(&disk, "").unwrap();
    let disk = disk.to_str().unwrap();
    for option in ["--authfile=/x", "--tls-ca=/x", "--target-arch=amd64", "--no-verify", "--policy=/x", "--no-cache"] {
        let ended = program::end(program::bootwright().args(["inspect", disk, option]));
        assert!(ended.code == Some(2) && ended.stderr.contains("not with a disk"), "{option}: {}", ended.stderr);
    }
    let ended = program::end(program::bootwright().args(["inspect", "out/disk.raw"]));
    assert!(ended.code == Some(1) && ended.stderr.contains("No such file"), "{}", ended.stderr);
}
