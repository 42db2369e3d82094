use std::process::ExitCode;

fn main() -> ExitCode {
    bootwright::cli::main()
}
