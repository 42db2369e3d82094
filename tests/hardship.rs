//! Builds under bad conditions: no rights, no room, no time. What is finished is whole, and nothing else stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::{disk, mounted, program};
use qemu_tests::oracle;
use qemu_tests::oracle::{agrees, tool};

pub fn everyone(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// A directory that everybody may read, with a copy of the program in it.
pub fn open_place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    everyone(directory.path());
    let copy = directory.path().join("bootwright");
    fs::copy(env!("CARGO_BIN_EXE_bootwright"), &copy).unwrap();
    (directory, copy)
}

/// `program` as nobody, without any capability.
pub fn as_nobody(program: &Path) -> Command {
    oracle::needs_root("becoming nobody");
    let mut command = Command::new(tool("setpriv", "util-linux"));
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--no-new-privs",
    ]);
    command.arg(program).env("HOME", "/nonexistent").env_remove("SOURCE_DATE_EPOCH").current_dir("/");
    command
}

#[test]
fn nobody_without_capabilities_builds_the_same_disk_as_root() {
    let (directory, bootwright) = open_place();
    let image = directory.path().join("os");
    agrees(
        &tool("cp", "coreutils"),
        ["-r".as_ref(), qemu_tests::test_os().unwrap().oci.as_os_str(), image.as_os_str()],
    );
    let output = directory.path().join("out");
    fs::create_dir(&output).unwrap();
    std::os::unix::fs::chown(&output, Some(65534), Some(65534)).unwrap();
    let mut build = as_nobody(&bootwright);
    build.arg("build").arg(format!("oci:{}:latest", image.display())).arg("--output").arg(&output);
    program::succeed(build.args([
        "--type",
        "raw",
        "--no-checksums",
        "--progress",
        "none",
        "--target-imgref",
        disk::TARGET,
    ]));
    let by_root = disk::test_os().raw;
    agrees(&tool("cmp", "diffutils"), [output.join("image/disk.raw").as_path(), by_root.as_path()]);
}

#[test]
fn an_output_directory_of_somebody_else_is_refused_with_a_hint() {
    let (directory, bootwright) = open_place();
    let image = MiniImage::bootable().write(&directory.path().join("mini"));
    for output in [directory.path().join("mini"), directory.path().join("out/below")] {
        let before = program::files_below(directory.path());
        let mut build = as_nobody(&bootwright);
        let ended =
            program::end(build.args(["build", &image.reference(), "--progress", "none", "--output"]).arg(&output));
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("ermission denied") && ended.stderr.contains("hint: "), "{}", ended.stderr);
        assert_eq!(program::files_below(directory.path()), before);
    }
}

#[test]
fn a_full_disk_is_an_error_with_a_hint_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().write(&scratch.path().join("mini"));
    let small = small_partitions(scratch.path());
    // The spool takes about 5 MB, each output as much again: the room ends while reading, while writing, and just before the end.
    for size in ["1m", "4m", "6m", "9m"] {
        let tmpfs = mounted::in_memory(size);
        let output = tmpfs.path().join("out");
        let mut build = program::build(&image.reference(), &output);
        let ended =
            program::end(build.args(["--layout", &small, "--type", "raw", "--type", "qcow2", "--compression", "none"]));
        assert_eq!(ended.code, Some(1), "{size}: {}", ended.stderr);
        assert!(ended.stderr.contains("No space left on device"), "{size}: {}", ended.stderr);
        assert!(ended.stderr.contains("hint: a build needs room"), "{size}: {}", ended.stderr);
        assert_eq!(program::files_below(tmpfs.path()), [""; 0], "{size}");
        assert!(!output.exists());
    }
}

/// When a build is killed.
enum Kill {
    After(u64),
    WhenItWrites,
}

#[test]
fn a_killed_build_leaves_no_output_and_the_next_one_clears_up() {
    let scratch = tempfile::tempdir().unwrap();
    let small = small_partitions(scratch.path());
    let mini = MiniImage::bootable().write(&scratch.path().join("mini")).reference();
    let os = format!("oci:{}:latest", qemu_tests::test_os().unwrap().oci.display());
    let types = ["--type", "raw", "--type", "qcow2"];
    let mut left = Vec::new();
    for kill in [Kill::After(30), Kill::After(700), Kill::WhenItWrites] {
        let output = scratch.path().join("out");
        let mut child = program::build(&os, &output).args(types).spawn().unwrap();
        match kill {
            Kill::After(milliseconds) => thread::sleep(Duration::from_millis(milliseconds)),
            Kill::WhenItWrites => {
                let waited = Instant::now();
                while program::files_below(&output).is_empty() && waited.elapsed() < Duration::from_secs(60) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break; // a fast machine; the earlier ones were killed
        }
        let files = program::files_below(&output);
        assert!(
            files.iter().all(|file| file.contains("/.bootwright-partial-") || file.starts_with(".bootwright-partial-")),
            "{files:?}"
        );
        left.extend(files);
        program::succeed(program::build(&mini, &output).args(["--layout", &small]).args(types));
        assert_eq!(
            program::files_below(&output),
            ["SHA256SUMS", "image/disk.raw", "manifest.json", "qcow2/disk.qcow2"]
        );
        fs::remove_dir_all(&output).unwrap();
    }
    assert!(!left.is_empty(), "no build was killed while it wrote its outputs");
}

#[test]
fn a_failed_build_keeps_the_outputs_of_the_one_before() {
    let scratch = tempfile::tempdir().unwrap();
    let small = small_partitions(scratch.path());
    let output = scratch.path().join("out");
    let good = MiniImage::bootable().write(&scratch.path().join("good"));
    program::succeed(program::build(&good.reference(), &output).args(["--layout", &small]));
    let state = || -> Vec<(String, Vec<u8>)> {
        let read = |file: String| (file.clone(), fs::read(output.join(&file)).unwrap());
        program::files_below(&output).into_iter().map(read).collect()
    };
    let before = state();
    let bad = MiniImage::bootable().without("usr/lib/os-release").write(&scratch.path().join("bad"));
    assert_eq!(program::end(program::build(&bad.reference(), &output).args(["--layout", &small])).code, Some(1));
    assert!(state() == before);
}

#[test]
fn a_second_build_into_the_same_directory_is_refused_and_does_not_disturb_the_first() {
    let scratch = tempfile::tempdir().unwrap();
    let small = small_partitions(scratch.path());
    let output = scratch.path().join("out");
    let os = format!("oci:{}:latest", qemu_tests::test_os().unwrap().oci.display());
    let args = ["--type", "raw", "--no-checksums", "--target-imgref", disk::TARGET];
    let mut first = program::build(&os, &output).args(args).spawn().unwrap();
    while !output.exists() {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(50));
    let mini = MiniImage::bootable().write(&scratch.path().join("mini")).reference();
    let second = program::end(program::build(&mini, &output).args(["--layout", &small, "--type", "raw"]));
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains("another build is writing to"), "{}", second.stderr);
    assert!(first.wait().unwrap().success());
    agrees(&tool("cmp", "diffutils"), [output.join("image/disk.raw"), disk::test_os().raw]);
}
