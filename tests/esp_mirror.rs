//! The script that keeps boot entries on the ESP, run over a tree that stands for a machine: whatever step the power fails at,
//! the entry that systemd-boot would start leads to a system that is there.
//!
//! What systemd-boot and the kernel make of the entries is for the boot tests.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bootloaders/systemd-boot/esp-mirror");
/// Each changes the disk, and so is a step that the power may fail at.
const STEPS: [&str; 7] = ["cp", "ln", "mkdir", "mv", "rm", "rmdir", "sync"];

/// Counts down in the file $STEPS; at zero the power fails. A copy that was begun leaves half of itself.
const STEP: &str = r#"#!/bin/sh
read -r left <"$STEPS"
echo $((left - 1)) >"$STEPS"
tool=${0##*/}
if [ "$left" -le 0 ]; then
    if [ "$tool" = cp ]; then head -c 3 "$1" >"$2"; fi
    kill -KILL 0
fi
PATH=$TOOLS exec "$tool" "$@"
"#;

/// A deployment and its kernel: deployments with one kernel share its files on /boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deployment {
    commit: &'static str,
    kernel: &'static str,
}

const A: Deployment = Deployment { commit: "aaaa", kernel: "1111" };
const B: Deployment = Deployment { commit: "bbbb", kernel: "2222" };
const C: Deployment = Deployment { commit: "cccc", kernel: "3333" };
/// A's kernel, another tree.
const D: Deployment = Deployment { commit: "dddd", kernel: "1111" };

struct Machine {
    root: TempDir,
    /// Tools that count their steps.
    bin: TempDir,
    /// Tools that do their work, but for sync: the disk under the tree is not what fails here.
    tools: TempDir,
    swaps: u32,
}

impl Machine {
    fn new() -> Machine {
        let [root, bin, tools] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        symlink("/bin/true", tools.path().join("sync")).unwrap();
        let machine = Machine { root, bin, tools, swaps: 0 };
        for directory in ["boot/efi", "sysroot/ostree/deploy/os/deploy", "proc", "run"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        for tool in STEPS {
            let path = machine.bin.path().join(tool);
            fs::write(&path, STEP).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine
    }

    /// Another one whose disk is the same.
    fn twin(&self) -> Machine {
        let twin = Machine::new();
        let paths = [self.root.path().join("."), twin.root.path().to_owned()];
        assert!(Command::new("cp").arg("-a").args(paths).status().unwrap().success());
        Machine { swaps: self.swaps, ..twin }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// What libostree leaves when it has made these its deployments, the default first.
    fn deploy(&mut self, deployments: &[Deployment]) {
        let (new, old) = (self.swaps % 2, (self.swaps + 1) % 2);
        self.swaps += 1;
        for directory in [format!("sysroot/ostree/boot.{old}"), "boot/ostree".into(), format!("boot/loader.{old}")] {
            let _ = fs::remove_dir_all(self.path(&directory));
        }
        let kept: Vec<String> = deployments.iter().map(|it| format!("{}.0", it.commit)).collect();
        for entry in fs::read_dir(self.path("sysroot/ostree/deploy/os/deploy")).unwrap() {
            let entry = entry.unwrap();
            if !kept.contains(&entry.file_name().into_string().unwrap()) {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
        let entries = self.path(&format!("boot/loader.{new}/entries"));
        fs::create_dir_all(&entries).unwrap();
        for (index, Deployment { commit, kernel }) in deployments.iter().enumerate() {
            fs::create_dir_all(self.path(&format!("sysroot/ostree/deploy/os/deploy/{commit}.0"))).unwrap();
            let link = self.path(&format!("sysroot/ostree/boot.{new}/os/{kernel}/{index}"));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(format!("../../../deploy/os/deploy/{commit}.0"), link).unwrap();
            let directory = self.path(&format!("boot/ostree/os-{kernel}"));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("vmlinuz-6"), format!("kernel {kernel}")).unwrap();
            fs::write(directory.join("initramfs-6.img"), format!("initramfs {kernel}")).unwrap();
            let number = deployments.len() - index;
            let text = format!(
                "title OS (ostree:{index})\nversion {number}\noptions root=x glob=* rw \
                 ostree=/ostree/boot.{new}/os/{kernel}/{index}\nlinux /boot/ostree/os-{kernel}/vmlinuz-6\n\
                 initrd /boot/ostree/os-{kernel}/initramfs-6.img\naboot \n"
            );
            fs::write(entries.join(format!("ostree-{number}.conf")), text).unwrap();
        }
        let _ = fs::remove_file(self.path("boot/loader"));
        symlink(format!("loader.{new}"), self.path("boot/loader")).unwrap();
    }

    /// Says that a deployment was started through its entry on the ESP.
    fn runs(&self, deployment: Deployment) {
        let link = self.path(&format!("sysroot/ostree/boot-1/os/{}/0", deployment.commit));
        if !link.is_symlink() {
            // As the builder has put it there.
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(format!("../../../deploy/os/deploy/{}.0", deployment.commit), link).unwrap();
        }
        let line = format!("root=x ostree=/ostree/boot-1/os/{}/0\n", deployment.commit);
        fs::write(self.path("proc/cmdline"), line).unwrap();
    }

    /// Runs the script; the power fails after so many steps. Whether it came to its end.
    fn mirror(&self, mode: &str, steps: u32) -> bool {
        let counter = self.bin.path().join("steps");
        fs::write(&counter, format!("{steps}\n")).unwrap();
        let tools = format!("{}:/usr/bin:/bin", self.tools.path().display());
        let counting = format!("{}:{tools}", self.bin.path().display());
        let mut command = Command::new("/bin/sh");
        command.arg(SCRIPT).arg(mode).arg(self.root.path()).env("STEPS", &counter).env("TOOLS", &tools);
        command.env("PATH", if steps == ALL { tools } else { counting });
        command.process_group(0).status().unwrap().success()
    }

    /// Entries on the ESP as systemd-boot sorts them: those without tries last, then the highest name first.
    fn menu(&self) -> Vec<Entry> {
        let Ok(directory) = fs::read_dir(self.path("boot/efi/loader/entries")) else { return Vec::new() };
        let paths = directory.map(|entry| entry.unwrap().path());
        let mut menu: Vec<Entry> =
            paths.filter(|path| path.extension() == Some("conf".as_ref())).map(Entry::of).collect();
        menu.sort_by_key(|entry| (entry.exhausted, std::cmp::Reverse(entry.id)));
        menu
    }

    /// The deployment that an entry starts; panics when it would start nothing.
    fn started_by(&self, entry: &Entry) -> Deployment {
        let link = self.path("sysroot").join(entry.field("ostree=").trim_start_matches('/'));
        assert!(link.is_symlink(), "ostree-prepare-root wants a link: {}", link.display());
        let target = fs::canonicalize(&link).unwrap_or_else(|error| panic!("{}: {error}", link.display()));
        let name = target.file_name().unwrap().to_str().unwrap();
        let deployment = *[A, B, C, D].iter().find(|it| name == format!("{}.0", it.commit)).unwrap();
        for (key, content) in [("linux ", "kernel"), ("initrd ", "initramfs")] {
            let path = self.path("boot/efi").join(entry.field(key).trim_start_matches('/'));
            let found = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(found, format!("{content} {}", deployment.kernel), "{}", path.display());
        }
        assert!(entry.text.contains("options root=x glob=* rw ostree="), "{}", entry.text);
        deployment
    }

    fn deployments_in_menu(&self) -> Vec<Deployment> {
        self.menu().iter().map(|entry| self.started_by(entry)).collect()
    }

    fn kernels_on_esp(&self) -> usize {
        fs::read_dir(self.path("boot/efi/ostree")).unwrap().count()
    }
}

struct Entry {
    /// Generation and index.
    id: (u32, u32),
    exhausted: bool,
    counted: bool,
    text: String,
}

impl Entry {
    fn of(path: impl AsRef<Path>) -> Entry {
        let path = path.as_ref();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (id, counter) = name.split_once('+').map_or((name, None), |(id, counter)| (id, Some(counter)));
        let (generation, index) = id.strip_prefix("ostree-").unwrap().split_once('-').unwrap();
        Entry {
            id: (generation.parse().unwrap(), index.parse().unwrap()),
            exhausted: counter.is_some_and(|counter| counter.starts_with('0')),
            counted: counter.is_some(),
            text: fs::read_to_string(path).unwrap(),
        }
    }

    fn field(&self, key: &str) -> &str {
        let rest = self.text.split(key).nth(1).unwrap_or_else(|| panic!("no {key} in {}", self.text));
        rest.split_whitespace().next().unwrap()
    }
}

/// More steps than any run has.
const ALL: u32 = 10_000;

/// A machine that runs one of `before`, which became `after`.
fn changed(running: Deployment, before: &[Deployment], after: &[Deployment]) -> Machine {
    let mut machine = Machine::new();
    machine.deploy(before);
    machine.runs(running);
    assert!(machine.mirror("running", ALL));
    machine.deploy(after);
    machine
}

/// Running one first, the others as libostree has them.
fn while_running(running: Deployment, deployments: &[Deployment]) -> Vec<Deployment> {
    let others = deployments.iter().filter(|deployment| **deployment != running);
    [running].iter().chain(others).copied().collect()
}

#[test]
fn whatever_step_the_power_fails_at_the_first_entry_of_the_menu_starts_a_system_that_is_there() {
    for (running, before, after) in [
        (A, &[A][..], &[B, A][..]),
        (B, &[B, A], &[C, B]),
        (B, &[B, A], &[A, B]),
        (A, &[A], &[D, A]),
        // An upgrade that was never started is taken back, or replaced by the next one.
        (A, &[D, A], &[A]),
        (A, &[B, A], &[C, A]),
        (A, &[A], &[C, B, A]),
    ] {
        std::thread::scope(|scope| {
            for mode in ["running", "final"] {
                scope.spawn(move || power_fails_at_every_step(mode, running, before, after));
            }
        });
    }
}

fn power_fails_at_every_step(mode: &str, running: Deployment, before: &[Deployment], after: &[Deployment]) {
    let changed = changed(running, before, after);
    // Before the script runs at all, too.
    assert_eq!(changed.started_by(&changed.menu()[0]), running);
    for steps in 0.. {
        let machine = changed.twin();
        let whole = machine.mirror(mode, steps);
        let first = machine.started_by(&machine.menu()[0]);
        assert!(first == running || first == after[0], "{before:?} {after:?} {mode} {steps}");
        // The machine starts that one, and finds what the killed run left.
        machine.runs(first);
        assert!(machine.mirror("running", ALL), "{before:?} {after:?} {steps}");
        assert_eq!(machine.deployments_in_menu(), while_running(first, after), "{mode} after {steps} steps");
        assert!(machine.mirror("final", ALL));
        assert_eq!(machine.deployments_in_menu(), after, "{mode} after {steps} steps");
        if whole {
            assert!(steps > 10, "{steps} points were tried");
            break;
        }
    }
}

#[test]
fn a_second_run_changes_nothing() {
    let machine = changed(A, &[A], &[B, A]);
    assert!(machine.mirror("final", ALL));
    let names = || machine.menu().iter().map(|entry| (entry.id, entry.counted)).collect::<Vec<_>>();
    let before = names();
    assert_eq!(before, [((2, 2), true), ((2, 1), false)]);
    assert!(machine.mirror("final", ALL));
    assert_eq!(names(), before);
    // Started, it has proved itself, and nothing else is to do.
    machine.runs(B);
    assert!(machine.mirror("running", ALL));
    assert_eq!(names(), [((2, 2), false), ((2, 1), false)]);
}

#[test]
fn an_entry_that_failed_three_times_is_not_tried_again() {
    let machine = changed(A, &[A], &[B, A]);
    assert!(machine.mirror("final", ALL));
    let entries = machine.path("boot/efi/loader/entries");
    // As systemd-boot renames it while it counts.
    fs::rename(entries.join("ostree-2-2+3.conf"), entries.join("ostree-2-2+0-3.conf")).unwrap();
    assert_eq!(machine.deployments_in_menu(), [A, B], "after three failures the old system is the default");
    for mode in ["running", "final"] {
        assert!(machine.mirror(mode, ALL));
        assert_eq!(machine.deployments_in_menu(), [A, B], "{mode}");
    }
    assert!(machine.menu()[1].exhausted);
}

#[test]
fn kernels_and_links_that_nothing_names_go() {
    let mut machine = changed(A, &[A], &[B, A]);
    assert!(machine.mirror("final", ALL));
    assert_eq!(machine.kernels_on_esp(), 2);
    machine.runs(B);
    machine.deploy(&[B]);
    assert!(machine.mirror("running", ALL));
    assert_eq!(machine.kernels_on_esp(), 1);
    let links = fs::read_dir(machine.path("sysroot/ostree/boot-1/os")).unwrap().count();
    assert_eq!(links, 1);
}

#[test]
fn a_machine_without_a_good_entry_keeps_the_esp_as_it_is() {
    let machine = changed(A, &[A], &[A]);
    fs::remove_dir_all(machine.path("boot/loader").canonicalize().unwrap()).unwrap();
    assert!(!machine.mirror("final", ALL));
    assert_eq!(machine.deployments_in_menu(), [A]);
}
