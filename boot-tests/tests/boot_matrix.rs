//! Every firmware with every loader and client that there is: each row is one disk through first boot, upgrade, rollback, a
//! second upgrade and two power cuts.
//!
//! A row that came to its end leaves a file in the target directory and is not run again (`BOOT_MATRIX_FRESH=1` forgets them);
//! `boot-tests/BOOT-MATRIX.md` is made of these files. `BOOT_MATRIX_ROWS=regex` picks rows, `BOOT_MATRIX_JOBS=n` says how many run side by side.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use bootwright::bootloader::Provided;
use bootwright::layout::Layout;
use bootwright::request::{BootloaderChoice, Request};
use bootwright::smoke::{Arch, Firmware, Regex};
use qemu_tests::{Architecture, Suite, oracle, test_os_of};
use serde_json::{Value, json};

use boot_tests::life::{Life, Machine, Repository};

#[derive(Clone, Copy)]
struct Row {
    suite: Suite,
    architecture: Architecture,
    firmware: Firmware,
    loader: BootloaderChoice,
    layout: Option<&'static str>,
}

impl Row {
    fn loader(&self) -> &'static str {
        match self.loader {
            BootloaderChoice::SystemdBoot => "systemd-boot",
            BootloaderChoice::Syslinux => "syslinux",
            _ => "grub",
        }
    }

    fn name(&self) -> String {
        let Row { suite, architecture, firmware, layout, .. } = self;
        let layout = layout.map(|layout| format!("-{layout}")).unwrap_or_default();
        format!("{}-{}-{firmware}-{}{layout}", suite.name(), architecture.name(), self.loader())
    }
}

/// Those of today's client first.
fn rows() -> Vec<Row> {
    use BootloaderChoice::{Grub, Syslinux, SystemdBoot};
    use Firmware::{Bios, Uefi, UefiSecure};
    let mut rows = Vec::new();
    for suite in [Suite::Trixie, Suite::Sid, Suite::Bookworm] {
        for (firmware, loader, layout) in [
            (UefiSecure, Grub, None),
            (UefiSecure, SystemdBoot, None),
            (Bios, Grub, None),
            (Uefi, Grub, None),
            (Bios, Syslinux, Some("bios-dos")),
            (Uefi, SystemdBoot, None),
            (Bios, Grub, Some("bios-dos")),
            (Bios, Syslinux, Some("bios")),
        ] {
            // Bookworm's systemd-boot has no signature.
            if (suite, firmware, loader) != (Suite::Bookworm, UefiSecure, SystemdBoot) {
                rows.push(Row { suite, architecture: Architecture::Amd64, firmware, loader, layout });
            }
        }
        for loader in [Grub, SystemdBoot] {
            rows.push(Row { suite, architecture: Architecture::Arm64, firmware: Uefi, loader, layout: None });
        }
    }
    rows
}

fn adjust(row: &Row, request: &mut Request) {
    request.bootloader = row.loader;
    request.layout = row.layout.map(|name| Layout::named(name).unwrap());
    if row.loader == BootloaderChoice::Syslinux {
        request.bootloader_files = Some(Provided::open(Path::new(&syslinux_files())).unwrap());
    }
}

/// Debian's files as a user would put them together.
fn syslinux_files() -> PathBuf {
    let directory = results().join("syslinux");
    fs::create_dir_all(&directory).unwrap();
    let modules = ["menu.c32", "libcom32.c32", "libutil.c32"].map(|name| format!("modules/bios/{name}"));
    let code = ["mbr.bin", "gptmbr.bin"].map(|name| format!("mbr/{name}"));
    let of_package = modules.iter().chain(&code).map(|path| format!("/usr/lib/syslinux/{path}"));
    for file in of_package.chain(["/usr/bin/extlinux".to_owned()]) {
        let copy = directory.join(Path::new(&file).file_name().unwrap());
        fs::copy(&file, copy)
            .unwrap_or_else(|_| panic!("{file} is missing: sudo apt-get install extlinux syslinux-common"));
    }
    directory
}

/// Lives the row's life; what is worth a line in the table.
fn live(row: &Row) -> Value {
    let started = Instant::now();
    let os = test_os_of(row.suite, row.architecture).unwrap_or_else(|error| panic!("{error:#}"));
    let repository = Repository::of(&os.rootfs_tar);
    let arch = match row.architecture {
        Architecture::Amd64 => Arch::X86_64,
        Architecture::Arm64 => Arch::Aarch64,
    };
    let machine = Machine { name: row.name(), arch, firmware: row.firmware, more: 0 };
    let mut life = Life::new(machine, repository, |request| adjust(row, request));
    let versions = life.is_lived();
    json!({
        "row": row.name(),
        "suite": row.suite.name(),
        "architecture": row.architecture.name(),
        "firmware": row.firmware.name(),
        "loader": row.loader(),
        "layout": life.disk.report.disk.layout,
        "minutes": started.elapsed().as_secs().div_ceil(60),
        "date": oracle::agrees(&oracle::tool("date", "coreutils"), ["-u", "+%Y-%m-%d"]).trim(),
        "kernel": os.kernel_version,
        "ostree": versions.ostree,
        "systemd": versions.systemd,
    })
}

fn results() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("boot-matrix")
}

fn result(row: &Row) -> PathBuf {
    results().join(format!("{}.json", row.name()))
}

/// The table that is kept with the source: rows of this run, `failed` ones among them, else as they stand there.
fn table(before: &str, failed: &[String]) -> String {
    let mut text = String::from(HEAD);
    for row in rows() {
        let (suite, architecture, firmware) = (row.suite.name(), row.architecture.name(), row.firmware);
        let layout = row.layout.unwrap_or(if architecture == "amd64" { "x86_64" } else { "aarch64" });
        let key = format!("| {suite} | {architecture} | {firmware} | {} | {layout} |", row.loader());
        let line = match fs::read_to_string(result(&row)) {
            Ok(found) => {
                let found: Value = serde_json::from_str(&found).unwrap();
                let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
                let [ostree, systemd, kernel, date] = ["ostree", "systemd", "kernel", "date"].map(word);
                format!("{key} {ostree} | {systemd} | {kernel} | {date} | {} |", found["minutes"])
            }
            Err(_) if failed.contains(&row.name()) => format!("{key} failed | | | | |"),
            Err(_) => {
                let as_it_was = before.lines().find(|line| line.starts_with(&key));
                as_it_was.map_or_else(|| format!("{key} not run | | | | |"), str::to_owned)
            }
        };
        text += &format!("{line}\n");
    }
    text
}

const HEAD: &str = "\
# What was booted

Made by `make test-boot-matrix`, in QEMU without KVM. Each row is one disk, built from a ref of an ostree repository, with the system of
a Debian release in it; it went through first boot, upgrade, rollback, a second upgrade and two power cuts, and came up after
each with the version that was asked for (after a power cut: with either). At the end `ostree fsck` read every object, no unit had
failed, and e2fsck found both filesystems clean.

| Debian | architecture | firmware | loader | layout | libostree | systemd | kernel | date | minutes |
|---|---|---|---|---|---|---|---|---|---|
";

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn main() {
    if setting("BOOT_MATRIX_FRESH").is_some() {
        let _ = fs::remove_dir_all(results());
    }
    fs::create_dir_all(results()).unwrap();
    let picked = Regex::new(&setting("BOOT_MATRIX_ROWS").unwrap_or_default()).expect("BOOT_MATRIX_ROWS is a regex");
    let jobs: usize = setting("BOOT_MATRIX_JOBS").map_or(2, |jobs| jobs.parse().expect("BOOT_MATRIX_JOBS is a number"));
    let left: Vec<Row> =
        rows().into_iter().filter(|row| picked.is_match(&row.name()) && !result(row).exists()).rev().collect();
    println!("{} rows to run, {jobs} side by side", left.len());
    let (left, failed, passed) = (Mutex::new(left), Mutex::new(Vec::new()), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some(row) = left.lock().unwrap().pop() else { break };
                    match catch_unwind(AssertUnwindSafe(|| live(&row))) {
                        Ok(found) => {
                            fs::write(result(&row), found.to_string()).unwrap();
                            println!("{} ... ok, {} min", row.name(), found["minutes"]);
                            *passed.lock().unwrap() += 1;
                        }
                        Err(_) => failed.lock().unwrap().push(row.name()),
                    }
                }
            });
        }
    });
    let (failed, passed) = (failed.into_inner().unwrap(), passed.into_inner().unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("BOOT-MATRIX.md");
    fs::write(&path, table(&fs::read_to_string(&path).unwrap_or_default(), &failed)).unwrap();
    failed.iter().for_each(|row| println!("{row} ... FAILED"));
    println!("the table: {}\n{passed} passed, {} failed", path.display(), failed.len());
    std::process::exit(i32::from(!failed.is_empty()));
}
