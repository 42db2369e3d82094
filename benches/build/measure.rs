//! What one run of a command takes: wall clock, processor time, memory.
//!
//! The command is started by a process that does nothing else: `getrusage` adds up over children, and counts to a child's
//! memory what its parent had.

use std::env;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The word after which this program is that process.
pub const WORD: &str = "--measure";

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds.
    pub wall: f64,
    /// Seconds of all processors in the program.
    pub user: f64,
    /// Seconds of all processors in the kernel, which for one and the same command may swing by a factor of five.
    pub kernel: f64,
    /// Peak resident set in KiB.
    pub rss: f64,
}

/// Runs `command` once; an error when it fails.
pub fn run(command: &[String]) -> Result<Sample> {
    let output = Command::new(env::current_exe()?).arg(WORD).args(command).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{} failed", command.join(" "));
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[wall, user, kernel, rss] = numbers.as_slice() else { bail!("four numbers expected, not `{text}`") };
    Ok(Sample { wall, user, kernel, rss })
}

/// Runs the command and prints its four numbers.
pub fn child(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().context("a command to measure")?;
    let begin = Instant::now();
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let wall = begin.elapsed().as_secs_f64();
    let status = status.with_context(|| format!("{program} cannot be started; is it installed?"))?;
    if !status.success() {
        bail!("{program}: {status}");
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    // Microseconds of a few minutes are exact in an f64.
    let [user, kernel] = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds() as f64 / 1e6);
    println!("{wall} {user} {kernel} {}", usage.max_rss());
    Ok(())
}
