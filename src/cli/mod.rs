//! The command line: the only room that prints. A contract: it grows, it never changes meaning.

mod args;
mod bars;
mod build;
mod cache;
mod container;
mod hint;
mod inspect;
mod layouts;
mod ostree;
mod progress;
mod server;
mod survey;
mod test;
mod upgrade;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// How a command ended, as the exit code says it.
enum Outcome {
    Done,
    /// The build or the test failed.
    Failed,
}

/// Reads the command line and does what it says. 0: done, 1: the build or test failed, 2: the request is wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse(); // clap ends a wrong command line with 2 itself
    let result = match cli.command {
        Command::Build(args) => build::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Cache(args) => cache::run(&args),
        Command::Layouts => layouts::run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bootwright", &mut script);
            print(&String::from_utf8_lossy(&script)).map(|()| Outcome::Done)
        }
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(error) => {
            hint::report(&error);
            ExitCode::from(if error.is::<WrongRequest>() { 2 } else { 1 })
        }
    }
}

/// An error of the request itself: exit code 2.
#[derive(Debug)]
struct WrongRequest(anyhow::Error);

impl std::fmt::Display for WrongRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for WrongRequest {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// Turns any error into one that ends with exit code 2.
fn wrong(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(WrongRequest(error.into()))
}

/// Prints to standard output; a reader that went away is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
