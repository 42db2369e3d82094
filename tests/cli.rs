//! The command line's contract: what is printed where, and with which exit code.

use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::program::{self, Ended, bootwright, end, succeed};
use qemu_tests::oracle;

/// A mini image, its small layout, and an output directory that does not exist yet.
struct Place {
    directory: tempfile::TempDir,
    image: String,
    layout: String,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().write(&directory.path().join("mini")).reference();
    let layout = small_partitions(directory.path());
    Place { directory, image, layout }
}

impl Place {
    fn output(&self) -> std::path::PathBuf {
        self.directory.path().join("out")
    }

    fn build(&self, args: &[&str]) -> Ended {
        let mut command = bootwright();
        command.args(["build", &self.image, "--layout", &self.layout, "--type", "raw", "--no-checksums"]);
        end(command.arg("--output").arg(self.output()).args(args))
    }
}

fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = succeed(bootwright().arg("--help"));
    for word in ["build", "test", "inspect", "layouts", "completions"] {
        assert!(help.stdout.contains(word), "{word} is not in\n{}", help.stdout);
    }
    assert_eq!(help.stderr, "");
    let version = succeed(bootwright().arg("--version"));
    assert_eq!(version.stdout, format!("bootwright {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_option_of_a_build_is_explained() {
    let help = succeed(bootwright().args(["build", "--help"])).stdout;
    for option in [
        "--type",
        "--output",
        "--config",
        "--rootfs",
        "--layout",
        "--bootloader",
        "--target-imgref",
        "--target-arch",
        "--stateroot",
        "--karg",
        "--disk-size",
        "--compression",
        "--no-default-kernel-args",
        "--seed",
        "--progress",
        "--dry-run",
        "--format",
    ] {
        assert!(help.contains(option), "{option} is not in\n{help}");
    }
}

#[test]
fn help_is_no_wider_than_a_hundred_columns() {
    for command in ["build", "test", "inspect"] {
        let help = succeed(bootwright().args([command, "--help"])).stdout;
        let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{command}: {widest} columns");
    }
}

#[test]
fn layouts_are_listed_with_their_partitions() {
    let listed = succeed(bootwright().arg("layouts")).stdout;
    for word in ["x86_64", "bios", "EFI-SYSTEM", "/boot/efi", "root"] {
        assert!(listed.contains(word), "{word} is not in\n{listed}");
    }
}

#[test]
fn completions_are_scripts_that_know_the_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = succeed(bootwright().args(["completions", shell])).stdout;
        assert!(script.contains("bootwright") && script.contains("target-imgref"), "{shell}");
    }
    let scratch = tempfile::tempdir().unwrap();
    let script = scratch.path().join("completion.bash");
    std::fs::write(&script, succeed(bootwright().args(["completions", "bash"])).stdout).unwrap();
    oracle::agrees(&oracle::tool("bash", "bash"), ["-n".as_ref(), script.as_os_str()]);
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let place = place();
    let text = place.build(&["--dry-run", "--progress", "none"]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for word in ["Mini 1", "6.1.0-mini", "EFI-SYSTEM", "root", "rw", "seed"] {
        assert!(text.stdout.contains(word), "{word} is not in\n{}", text.stdout);
    }
    let json = place.build(&["--dry-run", "--format", "json", "--progress", "none"]);
    let plan: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["disk"]["partitions"].as_array().unwrap().len(), 4);
    assert!(!place.output().exists());
}

#[test]
fn a_dry_run_says_what_the_build_then_does() {
    let place = place();
    let planned: serde_json::Value =
        serde_json::from_str(&place.build(&["--dry-run", "--format", "json"]).stdout).unwrap();
    assert_eq!(place.build(&[]).code, Some(0));
    let built: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.output().join("manifest.json")).unwrap()).unwrap();
    for part in ["image", "system", "deployment", "bootloader", "seed", "disk", "warnings"] {
        assert_eq!(planned[part], built[part], "{part}");
    }
}

#[test]
fn format_without_dry_run_is_a_wrong_request() {
    assert_eq!(place().build(&["--format", "json"]).code, Some(2));
}

#[test]
fn a_build_prints_nothing_to_standard_output_whatever_the_progress() {
    let place = place();
    for style in ["auto", "plain", "json", "none", "term"] {
        let ended = place.build(&["--progress", style]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{style}: {}", ended.stderr);
    }
}

#[test]
fn progress_none_is_silent_when_all_goes_well() {
    assert_eq!(place().build(&["--progress", "none"]).stderr, "");
}

#[test]
fn progress_json_is_one_object_a_line() {
    let lines = json_lines(&place().build(&["--progress", "json"]).stderr);
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert!(of("begin") >= 3, "{lines:?}");
    assert_eq!(of("begin"), of("end"));
}

#[test]
fn progress_json_carries_warnings_too() {
    let mut place = place();
    // Stored under no registry's name, which is worth a warning.
    let image = MiniImage { tag: "latest".to_owned(), ..MiniImage::bootable() };
    place.image = image.write(&place.directory.path().join("unnamed")).reference();
    let lines = json_lines(&place.build(&["--progress", "json"]).stderr);
    assert!(lines.iter().any(|line| line["event"] == "warning"), "{lines:?}");
}

#[test]
fn progress_plain_names_each_step_and_the_files() {
    let place = place();
    let stderr = place.build(&["--progress", "plain"]).stderr;
    assert!(stderr.contains("done in") && stderr.contains("image/disk.raw"), "{stderr}");
    assert!(!stderr.contains('\x1b'), "{stderr}");
    assert_eq!(program::files_below(&place.output()), ["image/disk.raw", "manifest.json"]);
}

#[test]
fn the_target_reference_is_the_one_the_image_was_stored_under() {
    let place = place();
    let plan: serde_json::Value =
        serde_json::from_str(&place.build(&["--dry-run", "--format", "json"]).stdout).unwrap();
    assert_eq!(plan["image"]["target"], "registry.example/mini:1");
    assert_eq!(plan["warnings"], serde_json::json!([]));
}

#[test]
fn the_next_version_of_a_test_takes_the_options_of_images_and_they_need_one() {
    let place = place();
    assert_eq!(place.build(&[]).code, Some(0));
    let disk = place.output().join("image/disk.raw");
    let test = |args: &[&str]| end(bootwright().arg("test").arg(&disk).args(args));
    let alone = test(&["--tls-verify=false"]);
    assert_eq!(
        (alone.code, alone.stderr.contains("--tls-verify goes with --upgrade")),
        (Some(2), true),
        "{}",
        alone.stderr
    );
    let repository = test(&["--upgrade", "ostree:.#main", "--no-cache"]);
    let said = "--no-cache goes with an image to upgrade to, not with ostree:.#main";
    assert_eq!((repository.code, repository.stderr.contains(said)), (Some(2), true), "{}", repository.stderr);
    let policy = place.directory.path().join("policy.json");
    std::fs::write(&policy, r#"{"default": [{"type": "reject"}]}"#).unwrap();
    let refused = test(&["--upgrade", &place.image, "--policy", policy.to_str().unwrap()]);
    assert_eq!((refused.code, refused.stderr.contains("may not be used")), (Some(1), true), "{}", refused.stderr);
}
