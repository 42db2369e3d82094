//! The life of an installed machine: a repository that its client upgrades from, and one disk through all its boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bootwright::output::OutputType;
use bootwright::plan::Content;
use bootwright::request::Request;
use bootwright::smoke::{Arch, Changes, DiskFormat, Drive, Firmware, Network};
use bootwright::source::ostree::Policy;
use tempfile::TempDir;

use super::disk::{BuiltDisk, UsedDisk, build_as};
use super::guest::Guest;
use super::system;
use qemu_tests::{oracle, server::Server};

pub const BRANCH: &str = "debian/main";

/// An archive repository with the two versions of a system, served to guests.
pub struct Repository {
    directory: TempDir,
    server: Server,
    pub first: String,
    pub second: String,
}

impl Repository {
    /// The first version is the tree of `rootfs`, the second one differs in /usr/share/smoke-marker; the ref is the first.
    pub fn of(rootfs: &Path) -> Repository {
        Repository::laid_over(rootfs, None)
    }

    /// As [`Repository::of`], with the files of a directory over the tree.
    pub fn laid_over(rootfs: &Path, overlay: Option<&Path>) -> Repository {
        let directory = tempfile::tempdir().unwrap();
        let repo = directory.path().join("repo");
        fs::create_dir(&repo).unwrap();
        let server = Server::of(&repo);
        let mut repository = Repository { directory, server, first: String::new(), second: String::new() };
        repository.ostree("init", &["--mode=archive"]);
        let tree = format!("--tree=tar={}", rootfs.display());
        let over = overlay.map(|overlay| format!("--tree=dir={}", overlay.display()));
        let trees: Vec<&str> = [&tree].into_iter().chain(&over).map(String::as_str).collect();
        repository.first = repository.commit("1", &trees);
        repository
    }

    /// Makes the second version the one that the ref names.
    pub fn publish_second(&mut self) {
        if self.second.is_empty() {
            let overlay = self.directory.path().join("overlay");
            fs::create_dir_all(overlay.join("usr/share")).unwrap();
            fs::write(overlay.join("usr/share/smoke-marker"), "v2\n").unwrap();
            let trees = [format!("--tree=ref={BRANCH}"), format!("--tree=dir={}", overlay.display())];
            self.second = self.commit("2", &["--owner-uid=0", "--owner-gid=0", &trees[0], &trees[1]]);
        }
    }

    /// The directory of the repository.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("repo")
    }

    fn commit(&self, version: &str, trees: &[&str]) -> String {
        let version = format!("--add-metadata-string=version={version}");
        let fixed = ["-b", BRANCH, "--tar-pathname-filter=^etc,usr/etc", "--tar-autocreate-parents", &version];
        let commit = self.ostree("commit", &[&fixed[..], trees].concat());
        self.ostree("summary", &["-u"]);
        commit
    }

    fn ostree(&self, command: &str, args: &[&str]) -> String {
        let mut ostree = Command::new(oracle::tool("ostree", "ostree"));
        let repo = format!("--repo={}", self.directory.path().join("repo").display());
        // Names of links are UTF-8, and libarchive asks the locale.
        ostree.env("LC_ALL", "C.UTF-8").arg(command).arg(repo).args(args);
        let output = ostree.output().unwrap();
        assert!(output.status.success(), "ostree {args:?}: {}", oracle::said(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// The machine that a disk is put in.
#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    pub arch: Arch,
    pub firmware: Firmware,
    /// Bytes by which its drive is larger than the disk that was built.
    pub more: u64,
}

/// One disk, and the machine that it is in.
pub struct Life {
    pub machine: Machine,
    pub disk: BuiltDisk,
    pub repository: Repository,
    drive: PathBuf,
    _directory: TempDir,
}

impl Life {
    /// Builds the disk from the repository's ref; `adjust` chooses loader and layout.
    pub fn new(machine: Machine, repository: Repository, adjust: impl FnOnce(&mut Request)) -> Life {
        let source = repository.server.reference(BRANCH);
        let url = format!("http://10.0.2.2:{}", repository.server.port);
        let disk = build_as(&source, OutputType::Qcow2, None, |request| {
            request.ostree.policy = Policy { unverified: true, ..Policy::default() };
            request.ostree.remote_name = Some("vendor".to_owned());
            request.ostree.remote_url = Some(url);
            adjust(request);
        });
        assert_eq!(disk.report.deployment.commit, repository.first, "the same commit id arrives");
        let directory = tempfile::tempdir().unwrap();
        let drive = disk.copy_on_larger_disk(&directory, disk.report.disk.bytes + machine.more);
        Life { machine, disk, repository, drive, _directory: directory }
    }

    /// The machine is switched on.
    pub fn boot(&self, occasion: &str) -> Guest {
        let drive = Drive { path: self.drive.clone(), format: DiskFormat::Qcow2, changes: Changes::Kept };
        let Machine { name, arch, firmware, .. } = &self.machine;
        Guest::boot_on(*arch, Network::Open, &format!("{name}-{occasion}"), *firmware, vec![drive])
    }

    /// The machine is switched on, and its boot menu is answered: `keys` are typed when `seen` is on the screen.
    pub fn boot_and_choose(&self, occasion: &str, seen: &str, keys: &str) -> Guest {
        let drive = Drive { path: self.drive.clone(), format: DiskFormat::Qcow2, changes: Changes::Kept };
        let Machine { name, arch, firmware, .. } = &self.machine;
        let mut guest = Guest::start(*arch, Network::Open, &format!("{name}-{occasion}"), *firmware, vec![drive]);
        guest.sees(seen);
        guest.console().send(keys).unwrap();
        guest.is_up();
        guest
    }

    /// Everything runs, and it is the first or the second version.
    pub fn is_running(&self, guest: &mut Guest, version: u32) {
        system::everything_has_started(guest);
        let commit = if version == 1 { &self.repository.first } else { &self.repository.second };
        let status = guest.says("ostree admin status");
        let stateroot = &self.disk.report.deployment.stateroot;
        assert!(status.contains(&format!("* {stateroot} {commit}.")), "{status}");
        let marker = if version == 1 { "v1-derived" } else { "v2" };
        assert_eq!(guest.says("cat /usr/share/smoke-marker"), marker);
    }

    /// Which version runs, when both may.
    pub fn running_version(&self, guest: &mut Guest) -> u32 {
        let version = if guest.says("cat /usr/share/smoke-marker") == "v2" { 2 } else { 1 };
        self.is_running(guest, version);
        version
    }

    /// The real client fetches the second version; it is the default afterwards.
    pub fn upgrade(&mut self, guest: &mut Guest) {
        self.repository.publish_second();
        let said = guest.says("ostree admin upgrade 2>&1");
        assert!(said.contains("Bootloader updated") || said.contains("bootversion"), "{said}");
    }

    /// The other deployment becomes the default. `set-default` is younger than libostree 2022.7, where the old commit is deployed
    /// again, with its origin.
    pub fn roll_back(&self, guest: &mut Guest) {
        let (stateroot, commit) = (&self.disk.report.deployment.stateroot, &self.repository.first);
        let origin = format!("/sysroot/ostree/deploy/{stateroot}/deploy/{commit}.0.origin");
        guest.says(&format!(
            "if ostree admin --help 2>&1 | grep -q set-default; then ostree admin set-default 1 2>&1; else \
             ostree admin deploy --os={stateroot} --origin-file={origin} {commit} 2>&1; fi"
        ));
    }

    /// What the machine left on its disk, while it is off.
    pub fn used_disk_is_sound(&self) {
        let used = UsedDisk::of(&self.drive);
        for partition in &self.disk.report.disk.partitions {
            let kind = serde_json::to_value(&partition.content).unwrap()["kind"].clone();
            if kind == "boot" || kind == "root" {
                used.ext4_is_clean(partition.number);
            }
        }
    }

    /// First boot, upgrade, rollback, second upgrade, power cuts between finishing an upgrade and starting it: after each the
    /// machine comes up with a version that was asked for.
    pub fn is_lived(&mut self) -> Versions {
        let mut guest = self.boot("first");
        self.is_running(&mut guest, 1);
        let has_esp = self.disk.report.disk.partition(|content| matches!(content, Content::Esp { .. })).is_some();
        system::mounts_are_ostrees_on(&mut guest, has_esp);
        self.upgrade(&mut guest);
        guest.power_off();

        let mut guest = self.boot("upgraded");
        self.is_running(&mut guest, 2);
        self.roll_back(&mut guest);
        guest.power_off();

        let mut guest = self.boot("rolled-back");
        self.is_running(&mut guest, 1);
        self.upgrade(&mut guest);
        // What libostree says is done is written out.
        guest.cut_power();

        let mut guest = self.boot("cut");
        println!("{}: version {} after the power cut", self.machine.name, self.running_version(&mut guest));
        guest.cut_power_while_shutting_down(Duration::from_secs(2));

        let mut guest = self.boot("cut-again");
        if self.running_version(&mut guest) == 1 {
            // A loader whose entries are written at shutdown starts the upgrade after one that comes to its end.
            guest.power_off();
            guest = self.boot("second-upgrade");
            self.is_running(&mut guest, 2);
        }
        system::ostree_objects_are_whole(&mut guest);
        system::Room::on(&mut guest, "/sysroot");
        let first_line = |said: String| said.lines().next().unwrap_or_default().to_owned();
        let ostree = guest.says("ostree --version | sed -n \"s/.*Version: '\\(.*\\)'/\\1/p\"");
        let systemd = guest.says("systemctl --version | sed -n '1s/.*(\\(.*\\))/\\1/p'");
        guest.power_off();
        self.used_disk_is_sound();
        Versions { ostree: first_line(ostree), systemd: first_line(systemd) }
    }
}

/// What ran in the guest.
pub struct Versions {
    pub ostree: String,
    pub systemd: String,
}
