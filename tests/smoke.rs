//! Boots disks of one sector, so that the test of disks is itself tested without an operating system.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bootwright::smoke::{self, Accel, Accelerator, Arch, Changes, DiskFormat, Drive, Error, Event, Firmware};
use bootwright::smoke::{Machine, MachineConfig, Network, Regex, Request, Stage, Verdict};
use qemu_tests::oracle;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

mod boot_sector;

/// Where a disk and whatever a test writes live.
struct Bench {
    directory: TempDir,
    disk: PathBuf,
}

impl Bench {
    fn with(disk: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk, one.raw");
        std::fs::write(&path, disk).unwrap();
        Self { disk: path, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An emulated BIOS machine that gives up after 20 s.
    fn request(&self) -> Request {
        let mut request = Request::new(&self.disk, Arch::X86_64, Firmware::Bios).unwrap();
        request.accel = Accel::Tcg;
        request.memory_mib = 256;
        request.timeout = Some(Duration::from_secs(20));
        request.log = Some(self.path("console.log"));
        request
    }

    fn machine(&self, changes: Changes) -> MachineConfig {
        MachineConfig {
            arch: Arch::X86_64,
            firmware: Firmware::Bios,
            accelerator: Accelerator::Tcg,
            memory_mib: 256,
            drives: vec![Drive { path: self.disk.clone(), format: DiskFormat::Raw, changes }],
            network: Network::Isolated,
            shell_console: true,
            extra_args: Vec::new(),
            log: None,
        }
    }
}

fn run(request: &Request) -> Verdict {
    smoke::run(request, &mut |_| {}).unwrap()
}

fn sha256(path: &Path) -> Vec<u8> {
    Sha256::digest(std::fs::read(path).unwrap()).to_vec()
}

#[test]
fn a_login_prompt_passes_and_the_disk_stays_as_it_was_though_the_guest_writes() {
    let bench = Bench::with(&boot_sector::saying("Debian \x1b[1m13\x1b[0m\r\r\ntrixie login: "));
    let before = sha256(&bench.disk);
    let verdict = run(&bench.request());
    assert!(verdict.passed, "{verdict:?}");
    assert_eq!((verdict.stage, verdict.matched.as_deref()), (Stage::Login, Some("trixie login: ")));
    assert_eq!((verdict.accelerator, verdict.kvm_given_up), (Accelerator::Tcg, None));
    assert_eq!(sha256(&bench.disk), before);
    let log = std::fs::read(bench.path("console.log")).unwrap();
    assert_eq!(log, b"Debian \x1b[1m13\x1b[0m\r\r\ntrixie login: ", "the log holds every byte");
}

#[test]
fn a_kernel_panic_fails_at_once_with_its_line() {
    let bench = Bench::with(&boot_sector::saying(
        "[    0.0] Linux version 6.12\n[    1.0] Kernel panic - not syncing: VFS: no root\nlogin: ",
    ));
    let verdict = run(&bench.request());
    assert!(!verdict.passed && verdict.seconds < 15.0, "{verdict:?}");
    assert_eq!(verdict.reason, "the guest said `Kernel panic`: [    1.0] Kernel panic - not syncing: VFS: no root");
    assert_eq!(verdict.last_lines.len(), 3, "the guest's last words are kept: {:?}", verdict.last_lines);
    assert!(!verdict.usual_causes.is_empty());
}

#[test]
fn a_silent_disk_fails_at_the_time_limit() {
    let bench = Bench::with(&boot_sector::saying(""));
    let mut request = bench.request();
    request.timeout = Some(Duration::from_secs(2));
    let verdict = run(&request);
    assert_eq!(
        verdict.reason,
        "a login prompt or the multi-user target was not seen within 2 s, nothing was heard at all"
    );
    assert_eq!((verdict.passed, verdict.stage), (false, Stage::Firmware));
}

#[test]
fn a_guest_that_powers_off_too_early_fails() {
    let bench = Bench::with(&boot_sector::saying_and_leaving("Welcome to GRUB!\n"));
    let verdict = run(&bench.request());
    assert!(!verdict.passed && verdict.reason.starts_with("QEMU ended after "), "{}", verdict.reason);
    assert_eq!((verdict.stage, &verdict.last_lines[..]), (Stage::Loader, &["Welcome to GRUB!".to_owned()][..]));
}

#[test]
fn all_expected_lines_have_to_come_and_the_missing_one_is_named() {
    let bench = Bench::with(&boot_sector::saying("two\nlogin: \none 42\n"));
    let mut request = bench.request();
    request.expect = ["^one [0-9]+$", "^two$"].map(|pattern| Regex::new(pattern).unwrap()).to_vec();
    let verdict = run(&request);
    assert!(verdict.passed && verdict.matched.as_deref() == Some("one 42"), "{verdict:?}");

    request.expect.push(Regex::new("three").unwrap());
    request.timeout = Some(Duration::from_secs(3));
    assert_eq!(run(&request).reason, "`three` was not seen within 3 s");
}

#[test]
fn a_qcow2_disk_boots() {
    let bench = Bench::with(&boot_sector::saying("login: "));
    let qcow2 = bench.path("disk.qcow2");
    let qemu_img = oracle::tool("qemu-img", "qemu-utils");
    oracle::agrees(&qemu_img, ["convert", "-O", "qcow2", bench.disk.to_str().unwrap(), qcow2.to_str().unwrap()]);
    let mut request = Request::new(&qcow2, Arch::X86_64, Firmware::Bios).unwrap();
    assert_eq!(request.format, DiskFormat::Qcow2);
    (request.accel, request.timeout) = (Accel::Tcg, Some(Duration::from_secs(20)));
    let verdict = run(&request);
    assert!(verdict.passed && verdict.log.is_none(), "{verdict:?}");
}

#[test]
fn qemu_img_finds_nothing_to_repair_in_the_overlay_of_a_grown_disk() {
    let bench = Bench::with(&boot_sector::saying(""));
    let qemu_img = oracle::tool("qemu-img", "qemu-utils");
    let file_name = Regex::new(r#""filename":"([^"]+overlay0.qcow2)""#).unwrap();
    // 16 TiB and a bit: the L1 table has five clusters.
    for (grow_to, size) in [(None, 1_u64 << 20), (Some(3 << 30), 3 << 30), (Some((1 << 44) + 1), (1 << 44) + 512)] {
        let mut request = bench.request();
        // Stopped before its first instruction, so the overlay is as we wrote it.
        request.extra_args = vec!["-S".into()];
        (request.grow_to, request.timeout) = (grow_to, Some(Duration::from_secs(1)));
        let mut judged = false;
        smoke::run(&request, &mut |event| {
            let Event::Started { command } = event else { return };
            let overlay = file_name.captures(command).unwrap()[1].to_owned();
            oracle::agrees(&qemu_img, ["check", "-U", "-f", "qcow2", &overlay]);
            let info = oracle::agrees(&qemu_img, ["info", "-U", "--output=json", &overlay]);
            let info: serde_json::Value = serde_json::from_str(&info).unwrap();
            assert_eq!(info["virtual-size"], size);
            assert_eq!(info["backing-filename"], bench.disk.canonicalize().unwrap().to_str().unwrap());
            assert_eq!(info["backing-filename-format"], "raw");
            judged = true;
        })
        .unwrap();
        assert!(judged);
    }
}

#[test]
fn a_disk_does_not_shrink() {
    let bench = Bench::with(&boot_sector::saying(""));
    let mut request = bench.request();
    request.grow_to = Some(512);
    let error = smoke::run(&request, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Shrinks { has: 1_048_576, asked: 512 }), "{error}");
}

#[test]
fn the_screenshot_is_a_png_of_the_screen() {
    let bench = Bench::with(&boot_sector::saying("login: "));
    let mut request = bench.request();
    request.screenshot = Some(bench.path("screen.png"));
    let verdict = run(&request);
    assert_eq!((&verdict.screenshot, &verdict.warnings[..]), (&request.screenshot, &[][..]));
    let png = std::fs::read(bench.path("screen.png")).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let [width, height] = [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()));
    assert!(width >= 640 && height >= 400, "{width}×{height}");
}

#[test]
fn xmllint_and_serde_read_the_reports() {
    let xmllint = oracle::tool("xmllint", "libxml2-utils");
    for (text, failures) in [("<b>&\"]]>\u{1} login: ", "0"), ("<b>&\"]]>\u{1} Kernel panic", "1")] {
        let bench = Bench::with(&boot_sector::saying(text));
        let verdict = run(&bench.request());
        let report = bench.path("junit.xml");
        std::fs::write(&report, smoke::junit(&verdict, "disk \"one\" <raw>")).unwrap();
        let ask = |xpath: &str| oracle::agrees(&xmllint, ["--xpath", xpath, report.to_str().unwrap()]);
        assert_eq!(ask("string(/testsuites/testsuite/@failures)").trim(), failures);
        assert_eq!(ask("count(//testcase/failure)").trim(), failures);
        assert_eq!(ask("string(//testcase/@name)").trim(), "disk \"one\" <raw>");
        let json: serde_json::Value = serde_json::from_str(&smoke::json(&verdict)).unwrap();
        assert_eq!((&json["passed"], &json["firmware"]), (&(failures == "0").into(), &"bios".into()));
        assert_eq!((&json["accelerator"], &json["log"]), (&"tcg".into(), &verdict.log.unwrap().to_str().into()));
    }
}

#[test]
fn arguments_that_qemu_refuses_are_an_error_with_its_words() {
    let bench = Bench::with(&boot_sector::saying("login: "));
    let mut request = bench.request();
    request.extra_args = vec!["-device".into(), "no-such-device".into()];
    let error = smoke::run(&request, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, Error::QemuRefused { said, .. } if said.contains("no-such-device")), "{error}");
}

#[test]
fn a_raised_stop_flag_ends_the_run() {
    let bench = Bench::with(&boot_sector::saying("hello\n"));
    let request = bench.request();
    let started = Instant::now();
    let result = smoke::run(&request, &mut |event| {
        if event == Event::SerialLine("hello") {
            request.stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(result, Err(Error::Interrupted)) && started.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_machine_answers_what_is_typed_and_keeps_its_writes_when_asked() {
    let disk = boot_sector::saying("ready\n");
    let bench = Bench::with(&disk);
    let mut machine = Machine::start(&bench.machine(Changes::Kept)).unwrap();
    let within = Duration::from_secs(20);
    machine.console().expect(&Regex::new("ready\n").unwrap(), within).unwrap();
    machine.console().send("abc").unwrap();
    machine.console().expect(&Regex::new("^abc").unwrap(), within).unwrap();
    assert!(matches!(machine.wait_exit(Duration::from_millis(100)), Err(Error::StillRunning { .. })));
    machine.console().send("!").unwrap();
    assert!(machine.wait_exit(within).unwrap().success());
    drop(machine);
    assert_eq!(std::fs::read(&bench.disk).unwrap()[512..1024], disk[..512]);
}

#[test]
fn a_silent_guest_under_kvm_is_started_again_in_emulation() {
    let kvm = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    let bench = Bench::with(&boot_sector::saying("login: "));
    let mut request = bench.request();
    // Stopped before its first instruction, a guest is silent on every host.
    request.extra_args = vec!["-S".into()];
    (request.accel, request.timeout) = (Accel::Auto, Some(Duration::from_secs(1)));
    let (mut started, mut given_up) = (Vec::new(), 0);
    let verdict = smoke::run(&request, &mut |event| match event {
        Event::Started { command } => started.push(command.contains("-accel kvm")),
        Event::KvmGivenUp { .. } => given_up += 1,
        _ => {}
    });
    let verdict = verdict.unwrap();
    assert_eq!(
        (verdict.accelerator, verdict.kvm_given_up.is_some(), given_up),
        (Accelerator::Tcg, kvm, u32::from(kvm))
    );
    // A KVM that cannot make a machine is given up before it starts.
    assert_eq!(started.last(), Some(&false));
}

/// An empty disk under UEFI, up to the firmware's last word.
fn empty_disk(firmware: Firmware, accel: Accel) -> Verdict {
    let bench = Bench::with(&[0; 1 << 20]);
    let mut request = bench.request();
    (request.firmware, request.accel, request.timeout) = (firmware, accel, Some(Duration::from_secs(60)));
    let verdict = run(&request);
    assert_eq!((verdict.passed, verdict.stage), (false, Stage::Firmware), "{verdict:?}");
    verdict
}

#[test]
fn an_empty_disk_ends_in_the_firmware() {
    // What comes last depends on whether this firmware was built with a shell.
    let ends = ["No bootable option or device", "UEFI Interactive Shell"];
    let verdict = empty_disk(Firmware::Uefi, Accel::Auto);
    assert!(ends.iter().any(|end| verdict.reason.contains(end)), "{}", verdict.reason);
}

#[test]
fn the_secure_boot_machine_does_not_start_the_unsigned_shell() {
    let ends = ["No bootable option or device", "Security Violation"];
    let verdict = empty_disk(Firmware::UefiSecure, Accel::Tcg);
    assert!(ends.iter().any(|end| verdict.reason.contains(end)), "{}", verdict.reason);
}

#[test]
fn a_host_without_qemu_learns_the_command_that_installs_it() {
    if inside() {
        let bench = Bench::with(&boot_sector::saying("login: "));
        let error = smoke::run(&bench.request(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("`qemu-system-x86_64` is not in PATH; install it with: sudo "), "{error}");
        return;
    }
    again("a_host_without_qemu_learns_the_command_that_installs_it", |command| command.env("PATH", ""));
}

#[test]
fn a_passed_test_leaves_nothing_and_a_failed_one_its_log() {
    if inside() {
        for (text, passes) in [("login: ", true), ("Kernel panic", false)] {
            let bench = Bench::with(&boot_sector::saying(text));
            let mut request = bench.request();
            request.log = None;
            let verdict = run(&request);
            assert_eq!((verdict.passed, verdict.log.is_none()), (passes, passes));
        }
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    again("a_passed_test_leaves_nothing_and_a_failed_one_its_log", |command| command.env("TMPDIR", temporary.path()));
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(std::fs::read_to_string(&left[0]).unwrap(), "Kernel panic");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let ours = temporary.path().to_str().unwrap();
    assert!(!lines.any(|line| String::from_utf8_lossy(&line).contains(ours)), "a QEMU still runs");
}

/// True in the second process that `again` starts: environment variables cannot be changed safely in this one.
fn inside() -> bool {
    std::env::var_os("BOOTWRIGHT_TEST_INSIDE").is_some()
}

fn again(test: &str, change: impl FnOnce(&mut Command) -> &mut Command) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = change(command.args(["--exact", &format!("smoke::{test}")]).env("BOOTWRIGHT_TEST_INSIDE", "1"))
        .output()
        .unwrap();
    assert!(output.status.success() && oracle::said(&output).contains("1 passed"), "{}", oracle::said(&output));
}
