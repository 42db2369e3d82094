//! `bootwright test`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::args::{AccelChoice, FirmwareChoice, TestArgs};
use super::progress::{self, Lines};
use super::upgrade;
use super::{Outcome, print, wrong};
use crate::inspect;
use crate::os::Architecture;
use crate::smoke::{self, Accel, Accelerator, Arch, Event, Firmware, Life, Regex, Request, Verdict};

pub fn run(args: &TestArgs) -> anyhow::Result<Outcome> {
    let start = inspect::start(&args.disk)?;
    let wishes = upgrade::Wishes {
        server: &args.server,
        container: &args.container,
        architecture: args.arch.or(start.architecture),
    };
    if args.upgrade.is_none() {
        wishes.refuse_beside("--upgrade")?;
    }
    let request = request(args, start)?;
    smoke::stop_on_signals(request.stop.clone())?;
    let lines = progress::lines(args.progress);
    let next = args.upgrade.as_deref().map(|source| upgrade::prepare(source, &wishes)).transpose()?;
    let life = Life {
        reboots: args.reboots,
        upgrade: next.as_ref().map(|next| next.upgrade.clone()),
        cut_power: args.cut_power,
    };
    let mut events = |event: Event<'_>| show(&lines, &event);
    let verdict = if life.is_empty() && args.grow.is_none() {
        smoke::run(&request, &mut events)?
    } else {
        smoke::live(&request, &life, &mut events)?
    };
    let name = args.disk.file_name().unwrap_or_default().to_string_lossy();
    if let Some(path) = &args.junit {
        save(path, &smoke::junit(&verdict, &name))?;
    }
    if let Some(path) = &args.json {
        save(path, &smoke::json(&verdict))?;
    }
    tell(&verdict, &lines);
    Ok(if verdict.passed { Outcome::Done } else { Outcome::Failed })
}

fn request(args: &TestArgs, start: inspect::Start) -> anyhow::Result<Request> {
    let arch = architecture(args, start)?;
    let firmware = match args.firmware {
        Some(FirmwareChoice::Uefi) => Firmware::Uefi,
        Some(FirmwareChoice::UefiSecure) => Firmware::UefiSecure,
        Some(FirmwareChoice::Bios) => Firmware::Bios,
        // Firmware for other architectures checks signatures on few hosts only, so there it is not the default.
        None if start.secure_boot && arch == Arch::X86_64 => Firmware::UefiSecure,
        None if start.bios && !start.uefi => Firmware::Bios,
        None => Firmware::Uefi,
    };
    let expect =
        args.expect.iter().map(|text| Regex::new(text).with_context(|| format!("`{text}` is no regular expression")));
    Ok(Request {
        expect: expect.collect::<Result<_, _>>().map_err(wrong)?,
        timeout: args.timeout.map(Duration::from_secs),
        memory_mib: args.memory,
        screenshot: args.screenshot.clone(),
        grow_to: args.grow.map(|size| size.0),
        log: args.log.clone(),
        accel: match args.accel {
            AccelChoice::Auto => Accel::Auto,
            AccelChoice::Kvm => Accel::Kvm,
            AccelChoice::Tcg => Accel::Tcg,
        },
        ..Request::new(&args.disk, arch, firmware)?
    })
}

/// The machine that the user wants, else the one that the disk is for.
fn architecture(args: &TestArgs, start: inspect::Start) -> anyhow::Result<Arch> {
    match args.arch.or(start.architecture) {
        None | Some(Architecture::X86_64) => Ok(Arch::X86_64),
        Some(Architecture::Aarch64) => Ok(Arch::Aarch64),
        Some(other) => Err(wrong(anyhow::anyhow!(
            "the disk is for {other}, and machines for x86_64 and aarch64 are what `bootwright test` starts"
        ))),
    }
}

fn show(lines: &Lines, event: &Event<'_>) {
    match event {
        Event::Started { command } => lines.detail("started", command),
        Event::Stage(stage) => lines.step("stage", &stage.to_string()),
        Event::SerialLine(line) => lines.detail("console", line),
        Event::Step(step) => {
            let word = if step.passed { "ok" } else { "FAILED" };
            lines.step("step", &format!("{}: {word} after {:.0} s ({})", step.name, step.seconds, step.found));
        }
        Event::KvmGivenUp { after, reason } => {
            let (seconds, reason) = (after.as_secs(), reason.lines().next().unwrap_or_default());
            lines.step(
                "kvm-given-up",
                &format!("KVM given up after {seconds} s ({reason}): starting again in emulation"),
            );
        }
    }
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return print(text);
    }
    fs::write(path, text).with_context(|| format!("writing {} failed", path.display()))
}

fn tell(verdict: &Verdict, lines: &Lines) {
    if lines.are_json() {
        return lines.detail("verdict", &verdict.reason);
    }
    if lines.are_silent() && verdict.passed {
        return;
    }
    for warning in &verdict.warnings {
        eprintln!("warning: {warning}");
    }
    let word = if verdict.passed { "passed" } else { "FAILED" };
    let with = match verdict.accelerator {
        Accelerator::Kvm => "KVM",
        Accelerator::Tcg => "emulation",
    };
    eprintln!("{word} after {:.0} s ({}, {with}): {}", verdict.seconds, verdict.firmware.name(), verdict.reason);
    if verdict.passed {
        return;
    }
    eprintln!("last stage reached: {}", verdict.stage);
    for line in &verdict.last_lines {
        eprintln!("  | {line}");
    }
    for cause in &verdict.usual_causes {
        eprintln!("often: {cause}");
    }
    if let Some(log) = &verdict.log {
        eprintln!("the whole console: {}", log.display());
    }
}
