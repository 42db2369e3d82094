//! `make bench`: how long a build takes, beside what it cannot take less than and what other tools take.
//!
//! A plain program. Everything is measured in one run and in rounds, so that a busy moment of the machine meets all rows
//! alike. `BENCH_RUNS=n` sets the rounds, `BENCH_ONLY=test-os` or `BENCH_ONLY=large` picks one image. What it writes lies in
//! `target/bench` and is removed. Every command runs as a child of its own; so does the floor, which is this program again.

mod floor;
mod labels;
mod machine;
mod measure;
mod oci;
mod ostree;
mod registry;
mod rows;
mod table;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use qemu_tests::{Architecture, Suite};

use measure::Sample;
use rows::{Bench, Row};

const RUNS: usize = 5;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [measure::WORD, command @ ..] => measure::child(command),
        [floor::WORD, image, output] => floor::run(Path::new(image), Path::new(output)),
        [labels::WORD, list] => labels::run(Path::new(list)),
        _ => bench(), // cargo adds `--bench`
    }
}

fn bench() -> Result<()> {
    let runs = match env::var("BENCH_RUNS") {
        Ok(text) => text.parse().ok().filter(|&runs| runs > 0).context("BENCH_RUNS is a number of rounds")?,
        Err(_) => RUNS,
    };
    let only = env::var("BENCH_ONLY").ok();
    if let Some(other) = only.as_deref().filter(|name| !["test-os", "large"].contains(name)) {
        bail!("BENCH_ONLY is test-os or large, not `{other}`");
    }
    let wanted = |name| only.as_deref().is_none_or(|only| only == name);
    print!("{}", machine::header(runs));
    if wanted("test-os") {
        let os = qemu_tests::test_os()?;
        let (next, foreign) = (Some(os.oci_v2), foreign());
        image(
            &Bench { name: "test-os", oci: os.oci, rootfs_tar: os.rootfs_tar, next, foreign, scratch: scratch() },
            runs,
        )?;
    }
    if wanted("large") {
        let os = qemu_tests::large_os()?;
        let (oci, rootfs_tar) = (os.oci, os.rootfs_tar);
        image(&Bench { name: "large", oci, rootfs_tar, next: None, foreign: None, scratch: scratch() }, runs)?;
    }
    Ok(())
}

/// The test system for arm64, whose own packages need an emulator to be installed.
fn foreign() -> Option<PathBuf> {
    let os = qemu_tests::test_os_of(Suite::Trixie, Architecture::Arm64);
    os.map(|os| os.oci).inspect_err(|error| eprintln!("no row for arm64: {error:#}")).ok()
}

fn scratch() -> PathBuf {
    // Beside the build directory of this program: target/release/deps/build-….
    let program = env::current_exe().unwrap_or_default();
    program.ancestors().nth(3).unwrap_or(Path::new("target")).join("bench")
}

/// Measures all rows on one image and prints the table.
fn image(bench: &Bench, runs: usize) -> Result<()> {
    let clean = Clean(bench.scratch.clone());
    clean.begin()?;
    let served = ostree::Served::new(&bench.rootfs_tar, &bench.scratch)?;
    let stored = registry::Stored::new(&bench.oci, &bench.scratch)?;
    let rows = bench.prepare(&served, &stored)?;
    let samples = rounds(&rows, runs)?;
    let facts = oci::facts(&bench.oci)?;
    print!("\n{}: {facts}\n\n{}", bench.name, table::render(&rows, &samples, bench.name == "large"));
    Ok(())
}

/// One list of samples for each row.
fn rounds(rows: &[Row], runs: usize) -> Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = rows.iter().map(|_| Vec::new()).collect();
    for round in 1..=runs {
        for (row, samples) in rows.iter().zip(&mut samples) {
            eprintln!("round {round} of {runs}: {}", row.title);
            samples.push(row.run().with_context(|| row.title.clone())?);
        }
    }
    Ok(samples)
}

/// The scratch directory, which goes with this value.
struct Clean(PathBuf);

impl Clean {
    fn begin(&self) -> Result<()> {
        remove(&self.0);
        fs::create_dir_all(&self.0).with_context(|| format!("making {}", self.0.display()))
    }
}

impl Drop for Clean {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(directory: &Path) {
    let _ = fs::remove_dir_all(directory); // it may not be there
}
