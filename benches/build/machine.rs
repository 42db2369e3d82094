//! On what and with what the numbers were made.

use std::fs;
use std::process::Command;
use std::thread;

/// Command, machine and versions, a line for each.
pub fn header(runs: usize) -> String {
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let commit = first_line("git", &["rev-parse", "--short", "HEAD"]);
    [
        format!("make bench: cargo bench --bench build, {runs} rounds, medians"),
        format!("bootwright {} {commit}", env!("CARGO_PKG_VERSION")),
        format!(
            "{}, {} threads, {} GB",
            field("/proc/cpuinfo", "model name").unwrap_or_default(),
            thread::available_parallelism().map_or(1, usize::from),
            memory.unwrap_or_default() / 1_000_000
        ),
        format!("{}, load before: {}", first_line("uname", &["-sr"]), read("/proc/loadavg").trim()),
        first_line("rustc", &["--version"]),
        first_line("gzip", &["--version"]),
        first_line("mke2fs", &["-V"]),
        first_line("qemu-img", &["--version"]),
    ]
    .map(|line| line + "\n")
    .concat()
}

/// What stands after `name:` in a file of the kernel.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a program prints, on whichever stream.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return format!("{program}: not installed") };
    let printed = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&printed).lines().next().unwrap_or_default().to_owned()
}
