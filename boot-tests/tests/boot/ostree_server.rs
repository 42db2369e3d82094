//! A disk made from a ref of a server, booted: the real client upgrades from that server, and goes back.

use std::fs;
use std::path::Path;
use std::process::Command;

use bootwright::output::OutputType;
use bootwright::request::OstreeRequest;
use bootwright::smoke::{Changes, Drive, Firmware, Network};
use bootwright::source::ostree::Policy;
use bootwright::trust::Keys;
use qemu_tests::test_os;

use boot_tests::disk::{BuiltDisk, build_from};
use boot_tests::guest::Guest;
use boot_tests::system;
use qemu_tests::oracle;
use qemu_tests::server::Server;

const BRANCH: &str = "debian/x86_64/main";

/// An archive whose commits a key of gpg signs.
struct Vendor {
    directory: tempfile::TempDir,
}

impl Vendor {
    fn new() -> Vendor {
        let vendor = Vendor { directory: tempfile::Builder::new().prefix("vendor").tempdir_in("/tmp").unwrap() };
        vendor.gpg(&["--quick-generate-key", "vendor", "rsa3072", "sign", "never"]);
        vendor.gpg(&["--armor", "--output", &vendor.path("key"), "--export", "vendor"]);
        vendor.ostree("init", &["--mode=archive"]);
        vendor
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn gpg(&self, args: &[&str]) -> String {
        let mut command = Command::new(oracle::tool("gpg", "gpg gpg-agent"));
        command.env("GNUPGHOME", self.directory.path()).args(["--batch", "--quiet", "--yes", "--passphrase", ""]);
        let output = command.args(["--pinentry-mode", "loopback"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", oracle::said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ostree(&self, command: &str, args: &[&str]) -> String {
        let mut ostree = Command::new(oracle::tool("ostree", "ostree"));
        // Names of links are UTF-8, and libarchive asks the locale.
        ostree.env("LC_ALL", "C.UTF-8").arg(command).arg(format!("--repo={}", self.path("repo"))).args(args);
        let output = ostree.output().unwrap();
        assert!(output.status.success(), "ostree {args:?}: {}", oracle::said(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits the trees over each other, signed.
    fn commit(&self, version: &str, trees: &[String]) -> String {
        let listing = self.gpg(&["--with-colons", "--list-keys", "vendor"]);
        let fingerprint = listing.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
        let sign = format!("--gpg-sign={}", fingerprint.trim_end_matches(':'));
        let (home, version) =
            (format!("--gpg-homedir={}", self.path("")), format!("--add-metadata-string=version={version}"));
        let fixed =
            ["-b", BRANCH, "--tar-pathname-filter=^etc,usr/etc", "--tar-autocreate-parents", &sign, &home, &version];
        let trees: Vec<&str> = trees.iter().map(String::as_str).collect();
        let commit = self.ostree("commit", &[&fixed[..], &trees].concat());
        self.ostree("summary", &["-u", &sign, &home]);
        commit
    }

    fn keys(&self) -> Keys {
        Keys::read(&[self.path("key").into()], &[]).unwrap()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.directory.path()).args(["--kill", "all"]).output();
    }
}

/// Now, for keys.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn a_disk_from_a_server_boots_upgrades_from_it_with_signatures_checked_and_goes_back() {
    let os = test_os().unwrap();
    let vendor = Vendor::new();
    let first = vendor.commit("1", &[format!("--tree=tar={}", os.rootfs_tar.display())]);
    let server = Server::of(Path::new(&vendor.path("repo")));
    let wishes = OstreeRequest {
        policy: Policy { keys: vendor.keys(), now: now(), ..Policy::default() },
        remote_name: Some("vendor".to_owned()),
        remote_url: Some(format!("http://10.0.2.2:{}", server.port)),
        ..OstreeRequest::default()
    };
    let disk = build_from(&server.reference(BRANCH), OutputType::Qcow2, None, wishes);
    assert_eq!(disk.report.deployment.commit, first, "the same commit id arrives");

    let directory = tempfile::tempdir().unwrap();
    let copy = disk.copy_on_larger_disk(&directory, disk.report.disk.bytes);
    let drive = || Drive { path: copy.clone(), format: bootwright::smoke::DiskFormat::Qcow2, changes: Changes::Kept };
    let boot = |name: &str| Guest::boot_in(Network::Open, name, Firmware::UefiSecure, vec![drive()]);

    let mut guest = boot("ostree-first");
    system::everything_has_started(&mut guest);
    system::mounts_are_ostrees(&mut guest);
    is_running(&mut guest, &disk, &first, "1");
    assert_eq!(guest.says("ostree remote list"), "vendor");
    system::ostree_finds_its_deployment_whole(&mut guest, &first);

    let overlay = directory.path().join("overlay");
    fs::create_dir_all(overlay.join("usr/share")).unwrap();
    fs::write(overlay.join("usr/share/smoke-marker"), "v2\n").unwrap();
    let trees = [format!("--tree=ref={BRANCH}"), format!("--tree=dir={}", overlay.display())];
    // Not signed: the machine asks for what the build asked for.
    vendor.ostree("commit", &["-b", BRANCH, "--owner-uid=0", "--owner-gid=0", &trees[0], &trees[1]]);
    vendor.ostree("summary", &["-u"]);
    let (status, said) = guest.run("ostree admin upgrade 2>&1");
    assert!(status != 0 && said.contains("no signatures found"), "{said}");
    let second = vendor.commit("2", &trees);
    let said = guest.says("ostree admin upgrade 2>&1");
    assert!(said.contains("Bootloader updated") || said.contains("bootversion"), "{said}");
    guest.power_off();

    let mut guest = boot("ostree-second");
    system::everything_has_started(&mut guest);
    is_running(&mut guest, &disk, &second, "2");
    assert_eq!(guest.says("cat /usr/share/smoke-marker"), "v2");
    guest.says("ostree admin set-default 1");
    guest.power_off();

    let mut guest = boot("ostree-back");
    is_running(&mut guest, &disk, &first, "1");
    system::everything_has_started(&mut guest);
    system::journal_has_no_errors(&mut guest);
    guest.power_off();
}

/// By the client: this commit with this version is booted, and upgrades come from the vendor.
fn is_running(guest: &mut Guest, disk: &BuiltDisk, commit: &str, version: &str) {
    let status = guest.says("ostree admin status");
    let stateroot = &disk.report.deployment.stateroot;
    assert!(status.contains(&format!("* {stateroot} {commit}.0")), "{status}");
    assert!(status.contains(&format!("Version: {version}")), "{status}");
    assert!(status.contains(&format!("origin refspec: vendor:{BRANCH}")), "{status}");
}
