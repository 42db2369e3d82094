//! Other people's tools, called as judges. A missing one fails the test and says how to install it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where `tool` is, or a failed test that says which Debian package brings it.
pub fn tool(tool: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/bin"])
        .map(|dir| Path::new(dir).join(tool))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("the judge `{tool}` is missing: sudo apt-get install {package}"))
}

/// Runs a judge to its end and hands back everything it said.
pub fn run<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C").env("TZ", "UTC");
    command.output().unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()))
}

/// Runs a judge that has to agree; anything but exit 0 fails the test with its words.
pub fn agrees<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> String {
    let output = run(program, args);
    let said = said(&output);
    assert!(output.status.success(), "{} ended with {}:\n{said}", program.display(), output.status);
    said
}

/// Standard output, then standard error, as text.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Fails unless the test runs as root, for judges that only the kernel can be.
pub fn needs_root(what: &str) {
    assert!(nix::unistd::geteuid().is_root(), "{what} needs root: run the tests with sudo");
}
