//! What is refused: with the right exit code, one sentence that has the fact in it, a hint where there is something to do, and
//! nothing left in the output directory.

use std::fs;
use std::path::Path;

use crate::support;
use crate::support::mini_image::{KERNEL, Layout, MiniImage, digest};
use crate::support::program::{self, bootwright, end};
use crate::support::tar::{Entry, character_device, directory, fifo, file, hardlink, symlink};

/// A scratch directory with an image and a place for the output.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn write(&self, image: &MiniImage) -> Layout {
        image.write(&self.0.path().join("image"))
    }

    /// Builds, and expects exit code `code`, an error that holds all of `facts`, and no file.
    fn refuses(&self, code: i32, image: &str, args: &[&str], facts: &[&str]) {
        let output = self.0.path().join("out");
        let ended = end(program::build(image, &output).args(args));
        let said = &ended.stderr;
        assert_eq!(ended.code, Some(code), "{facts:?}: {said}");
        assert!(said.starts_with("error: "), "{said}");
        assert_eq!(said.matches("error:").count(), 1, "{said}");
        let lines = said.lines().count();
        assert!(
            lines == 1 || (lines == 2 && said.contains("\nhint: ")),
            "one sentence and a hint were expected:\n{said}"
        );
        for fact in facts {
            assert!(said.contains(fact), "`{fact}` is not in\n{said}");
        }
        assert_eq!(ended.stdout, "");
        assert_eq!(program::files_below(&output), [""; 0], "{said}");
        assert!(!output.exists(), "the output directory was not there before: {said}");
    }
}

/// An image that differs from a good one as the closure says is refused.
fn refused(image: MiniImage, facts: &[&str]) {
    let place = Place::new();
    let layout = place.write(&image);
    place.refuses(1, &layout.reference(), &[], facts);
}

/// A layout that was good until the closure changed its files is refused.
fn refused_after(change: impl FnOnce(&Layout), facts: &[&str]) {
    let place = Place::new();
    let layout = place.write(&MiniImage::bootable());
    change(&layout);
    place.refuses(1, &layout.reference(), &[], facts);
}

fn with(entries: impl Into<Vec<Entry>>) -> MiniImage {
    MiniImage::bootable().with(entries)
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn blobs_that_are_not_what_their_digests_say() {
    let layer = |layout: &Layout| layout.blob(&layout.layers[0]);
    refused_after(|layout| edit(&layer(layout), |bytes| bytes.truncate(1000)), &["layer 0", "1000 bytes"]);
    refused_after(|layout| edit(&layer(layout), |bytes| bytes.push(0)), &["layer 0", "more than"]);
    refused_after(|layout| edit(&layer(layout), |bytes| *bytes.last_mut().unwrap() ^= 1), &["layer 0", "digest"]);
    refused_after(|layout| fs::remove_file(layer(layout)).unwrap(), &["layer 0", "missing"]);
    let manifest = |layout: &Layout| layout.blob(&layout.manifest_digest);
    refused_after(|layout| edit(&manifest(layout), |bytes| bytes[0] = b' '), &["the manifest", "digest"]);
    refused_after(|layout| fs::remove_file(manifest(layout)).unwrap(), &["the manifest", "missing"]);
    let config = |layout: &Layout| layout.blob(&digest(layout.config.as_bytes()));
    refused_after(|layout| edit(&config(layout), |bytes| bytes.truncate(10)), &["the config", "10 bytes"]);
}

#[test]
fn a_diff_id_of_other_content() {
    let other = digest(b"something else");
    let image = MiniImage { wrong_diff_id: Some((0, other.clone())), ..MiniImage::bootable() };
    refused(image, &["layer 0", &other]);
}

#[test]
fn paths_that_leave_the_tree() {
    refused(with([file("usr/../../etc/passwd", "x")]), &["layer 1", "usr/../../etc/passwd", ".."]);
    refused(with([file("../escaped", "x")]), &["layer 1", "../escaped"]);
    refused(with([hardlink("usr/share/leak", "../../etc/shadow")]), &["layer 1", "usr/share/leak"]);
}

#[test]
fn special_files_below_usr() {
    refused(with([character_device("usr/null")]), &["layer 1", "usr/null", "character device"]);
    refused(with([fifo("usr/pipe")]), &["layer 1", "usr/pipe", "fifo"]);
}

#[test]
fn hardlinks_to_nothing() {
    refused(with([hardlink("usr/share/three", "usr/share/none")]), &["layer 1", "usr/share/none"]);
}

#[test]
fn systems_that_could_not_boot() {
    let modules = format!("usr/lib/modules/{KERNEL}");
    refused(MiniImage::bootable().without(&format!("{modules}/vmlinuz")), &["no kernel", "hint: ", "usr/lib/modules"]);
    refused(MiniImage::bootable().without(&format!("{modules}/initramfs.img")), &["no initramfs", KERNEL, "hint: "]);
    let second = [file("usr/lib/modules/6.2.0/vmlinuz", "k"), file("usr/lib/modules/6.2.0/initramfs.img", "i")];
    refused(with(second), &["2 kernels", KERNEL, "6.2.0", "hint: "]);
    let spaced = [file("usr/lib/modules/6 2/vmlinuz", "k"), file("usr/lib/modules/6 2/initramfs.img", "i")];
    refused(MiniImage::bootable().without(&modules).with(spaced), &["6 2", "boot entry"]);
    refused(with([file("usr/share/.ostree-wh.x", "")]), &[".ostree-wh.x", "not supported yet"]);
    refused(MiniImage::bootable().without("usr/lib/os-release"), &["os-release", "PRETTY_NAME"]);
    refused(MiniImage::bootable().without("sysroot"), &["sysroot"]);
    refused(MiniImage::bootable().without("ostree"), &["ostree"]);
    refused(MiniImage::bootable().without("usr/lib/grub"), &["GRUB", "hint: "]);
}

#[test]
fn names_that_the_boot_menu_cannot_show() {
    refused(with([file("usr/lib/os-release", "PRETTY_NAME='A \"B\"'\nID=a\n")]), &["boot menu", "hint: "]);
    let place = Place::new();
    let image = place.write(&MiniImage::bootable()).reference();
    place.refuses(2, &image, &["--karg", "a=$b"], &["a=$b", "hint: "]);
    place.refuses(2, &image, &["--karg", "root=/dev/vda4"], &["root=/dev/vda4", "hint: "]);
    place.refuses(2, &image, &["--karg", "quiet root=/dev/vda4"], &["root=/dev/vda4", "hint: "]);
    place.refuses(2, &image, &["--stateroot", "../up"], &["../up"]);
    place.refuses(2, &image, &["--rootfs", "xfs"], &["xfs", "ext4", "hint: "]);
    place.refuses(2, &image, &["--layout", "none"], &["none", "hint: "]);
    place.refuses(2, &image, &["--target-imgref", "os:latest"], &["os:latest", "hint: "]);
}

#[test]
fn images_of_kinds_that_are_not_built_yet() {
    let unlabelled = MiniImage { labels: Default::default(), ..MiniImage::bootable() };
    refused(unlabelled, &["containers.bootc", "hint: "]);
    let policy = file("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    refused(with([directory("etc/selinux"), policy]), &["SELinux", "targeted", "hint: "]);
}

#[test]
fn configuration_that_is_no_directory() {
    refused(MiniImage::bootable().without("etc").with([file("etc", "x")]), &["usr/etc", "directory"]);
    refused(MiniImage::bootable().without("etc").with([symlink("etc", "var/etc")]), &["usr/etc", "directory"]);
}

#[test]
fn roots_that_ostree_would_have_to_seal() {
    for mode in ["verity", "signed"] {
        let conf = format!("[composefs]\nenabled={mode}\n");
        refused(with([file("usr/lib/ostree/prepare-root.conf", conf)]), &[mode, "fs-verity", "hint: "]);
    }
}

#[test]
fn another_architecture_than_the_one_wanted() {
    let place = Place::new();
    let image = place.write(&MiniImage::bootable()).reference();
    place.refuses(1, &image, &["--target-arch", "arm64"], &["amd64", "arm64"]);
    let windows = Place::new();
    let image = windows.write(&MiniImage { architecture: "mips64le".to_owned(), ..MiniImage::bootable() }).reference();
    windows.refuses(1, &image, &[], &["mips64le"]);
}

#[test]
fn directories_that_are_no_image() {
    let place = Place::new();
    let path = place.0.path().join("empty");
    fs::create_dir(&path).unwrap();
    let empty = format!("oci:{}", path.display());
    place.refuses(1, &empty, &[], &["not an OCI image layout", "oci-layout"]);
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    place.refuses(1, &empty, &[], &["index.json"]);
    fs::write(path.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    place.refuses(1, &empty, &[], &["no image"]);
    fs::write(path.join("index.json"), "{").unwrap();
    place.refuses(1, &empty, &[], &["index.json", "JSON"]);
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    place.refuses(1, &empty, &[], &["2.0.0"]);
    place.refuses(1, "oci:/nonexistent/image", &[], &["/nonexistent/image"]);
}

#[test]
fn a_tag_that_is_not_there() {
    let place = Place::new();
    let layout = place.write(&MiniImage::bootable());
    let image = format!("oci:{}:none", layout.path.display());
    place.refuses(1, &image, &[], &["`none`", "registry.example/mini:1"]);
}

#[test]
fn requests_that_are_wrong_in_themselves() {
    let place = Place::new();
    let image = place.write(&MiniImage::bootable()).reference();
    place.refuses(2, &image, &["--layout", "no-such-layout"], &["no-such-layout", "x86_64"]);
    place.refuses(2, &image, &["--target-imgref", "os:latest"], &["os:latest", "host"]);
    place.refuses(2, "docker-daemon:os:1", &[], &["hint: ", "skopeo copy docker-daemon:os:1"]);
    place.refuses(2, "debian:12", &[], &["hint: ", "docker://docker.io/library/debian:12"]);
    place.refuses(2, "oci:", &[], &["no path"]);
}

#[test]
fn a_configuration_file_that_is_not_there() {
    let place = Place::new();
    let image = place.write(&MiniImage::bootable()).reference();
    let config = place.0.path().join("none.toml");
    place.refuses(2, &image, &["--config", config.to_str().unwrap()], &["none.toml", "No such file"]);
}

#[test]
fn words_that_the_command_line_does_not_know() {
    for args in
        [&["build"][..], &["build", "oci:x", "--frobnicate"], &["make"], &[], &["build", "oci:x", "--type", "floppy"]]
    {
        let ended = end(bootwright().args(args));
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    for args in [["--disk-size", "large"], ["--seed", "1234"], ["--threads", "0"], ["--rootfs", "ntfs"]] {
        assert_eq!(end(bootwright().args(["build", "oci:x"]).args(args)).code, Some(2), "{args:?}");
    }
    let epoch = end(bootwright().args(["build", "oci:x"]).env("SOURCE_DATE_EPOCH", "today"));
    assert_eq!(epoch.code, Some(2), "{}", epoch.stderr);
}

#[test]
fn odd_entries_that_are_fine() {
    let place = Place::new();
    let image = MiniImage::bootable().with([
        file("/usr/share/absolute", "kept relative\n"),
        file("./usr//share/./dotted", "kept\n"),
        character_device("dev/null"),
        fifo("run/pipe"),
        symlink("usr/share/dangling", "/nowhere/../../x"),
        file("etc/hostname", ""),
    ]);
    let layout = place.write(&image);
    let small = support::mini_image::small_partitions(place.0.path());
    let output = place.0.path().join("out");
    program::succeed(program::build(&layout.reference(), &output).args(["--layout", &small]));
    assert_eq!(program::files_below(&output), ["SHA256SUMS", "manifest.json", "qcow2/disk.qcow2"]);
}

#[test]
fn checksums_of_an_earlier_build_do_not_stay_beside_a_new_disk() {
    let place = Place::new();
    let layout = place.write(&MiniImage::bootable());
    let small = support::mini_image::small_partitions(place.0.path());
    let output = place.0.path().join("out");
    program::succeed(program::build(&layout.reference(), &output).args(["--layout", &small]));
    program::succeed(program::build(&layout.reference(), &output).args(["--layout", &small, "--no-checksums"]));
    assert_eq!(program::files_below(&output), ["manifest.json", "qcow2/disk.qcow2"]);
}

#[test]
fn a_type_given_twice_is_built_once() {
    let place = Place::new();
    let layout = place.write(&MiniImage::bootable());
    let small = support::mini_image::small_partitions(place.0.path());
    let output = place.0.path().join("out");
    let args = ["--layout", &small, "--type", "raw", "--type", "qcow2", "--type", "raw"];
    program::succeed(program::build(&layout.reference(), &output).args(args));
    assert_eq!(program::files_below(&output), ["SHA256SUMS", "image/disk.raw", "manifest.json", "qcow2/disk.qcow2"]);
}
