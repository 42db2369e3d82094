//! What a user is told to do, and what must not be repeated to him.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::hardship::{as_nobody, open_place};
use crate::support::mini_image::MiniImage;
use crate::support::program;

#[test]
fn a_password_in_a_reference_is_refused_and_not_repeated() {
    let scratch = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().write(&scratch.path().join("image")).reference();
    let out = scratch.path().join("out");
    for reference in [
        "docker://me:hush@r.example/os:1",
        "docker://me:hu/hush@r.example:5000/os@sha256:00",
        "docker:me:hush@r.example/os:1",
        "docker://tenancy/me:hush@r.example/os:1",
        "me:hush@r.example/os",
        "https://me:hush@r.example/os",
        "ostree:https://me:hush@r.example/repo",
    ] {
        let mut inspect = program::bootwright();
        inspect.args(["inspect", reference]);
        let mut target = program::build(&image, &out);
        target.args(["--target-imgref", reference]);
        for mut command in [program::build(reference, &out), inspect, target] {
            let ended = program::end(&mut command);
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(ended.code != Some(0) && !said.contains("hush"), "{reference}: {said}");
            assert!(!out.exists(), "{reference}");
        }
    }
    let ended = program::end(program::bootwright().args(["inspect", "vm@home.qcow2"]));
    assert!(ended.stderr.contains("`vm@home.qcow2` cannot be read"), "a disk that is not there: {}", ended.stderr);
    let ended = program::end(&mut program::build("docker://me:hush@r.example/os:1", &out));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("docker://…@r.example/os:1") && ended.stderr.contains("skopeo login"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_cannot_be_read_is_no_matter_of_the_output() {
    let (directory, bootwright) = open_place();
    let path = |name: &str| directory.path().join(name);
    let image = MiniImage::bootable().write(&path("image")).reference();
    fs::write(path("secret.json"), r#"{"default": [{"type": "reject"}]}"#).unwrap();
    fs::set_permissions(path("secret.json"), Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(path("hidden")).unwrap();
    fs::set_permissions(path("hidden"), Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(path("out")).unwrap();
    std::os::unix::fs::chown(path("out"), Some(65534), Some(65534)).unwrap();
    let (secret, hidden) = (path("secret.json").display().to_string(), format!("oci:{}/os", path("hidden").display()));
    for arguments in [
        vec![image.as_str(), "--policy", &secret],
        vec![&image, "--pull-secret", &secret],
        vec![&image, "--config", &secret],
        vec![&hidden],
    ] {
        let mut build = as_nobody(&bootwright);
        build.arg("build").args(&arguments).arg("--output").arg(path("out/below"));
        let ended = program::end(&mut build);
        assert!(ended.stderr.contains("ermission denied"), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("--output"), "{arguments:?}: {}", ended.stderr);
        assert!(!path("out/below").exists());
    }
}

#[test]
fn where_temporary_files_cannot_be_made_inspect_speaks_of_that_directory() {
    let (directory, bootwright) = open_place();
    let image = MiniImage::bootable().write(&directory.path().join("image")).reference();
    let mut inspect = as_nobody(&bootwright);
    let ended =
        program::end(inspect.args(["inspect", &image, "--no-cache"]).env("TMPDIR", directory.path().join("image")));
    assert!(ended.code == Some(1) && ended.stderr.contains("hint: set TMPDIR"), "{}", ended.stderr);
}

#[test]
fn a_policy_that_is_none_and_an_image_that_is_damaged_come_with_a_hint() {
    let scratch = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().write(&scratch.path().join("image"));
    let policy = scratch.path().join("policy.json");
    fs::write(&policy, "{}").unwrap();
    let out = scratch.path().join("out");
    let ended = program::end(program::build(&image.reference(), &out).arg("--policy").arg(&policy));
    assert!(ended.code == Some(2) && ended.stderr.contains("hint: containers-policy.json(5)"), "{}", ended.stderr);
    let layer = image.blob(&image.layers[0]);
    let bytes = fs::read(&layer).unwrap();
    for damaged in [[&bytes[..], b"more"].concat(), bytes[..bytes.len() - 1].to_vec()] {
        fs::write(&layer, damaged).unwrap();
        let ended = program::end(&mut program::build(&image.reference(), &out));
        assert!(ended.code == Some(1) && ended.stderr.contains("hint: the image is damaged"), "{}", ended.stderr);
    }
}
