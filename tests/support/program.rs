//! Running `bootwright`.

use std::path::Path;
use std::process::{Command, Stdio};

/// How a run ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program with nothing of the tester's environment that it looks at.
pub fn bootwright() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootwright"));
    command.env_remove("SOURCE_DATE_EPOCH").env_remove("NO_COLOR").stdin(Stdio::null());
    // Without a home there is no cache.
    command.env_remove("HOME").env_remove("XDG_CACHE_HOME");
    command
}

/// `bootwright build IMAGE --output DIR --progress none`.
pub fn build(image: &str, output: &Path) -> Command {
    let mut command = bootwright();
    command.arg("build").arg(image).arg("--output").arg(output).args(["--progress", "none"]);
    command
}

pub fn end(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs to the end; answers the most memory that it had as well, in bytes (`ru_maxrss` of getrusage(2)).
pub fn measure(command: &Command) -> (Ended, u64) {
    let script = "import resource, subprocess, sys\n\
                  code = subprocess.run(sys.argv[1:]).returncode\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
                  sys.exit(code)";
    let mut measuring = Command::new(qemu_tests::oracle::tool("python3", "python3"));
    measuring.args(["-c", script]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => measuring.env(name, value),
            None => measuring.env_remove(name),
        };
    }
    let ended = end(&mut measuring);
    let kibibytes: u64 = ended.stdout.lines().next_back().unwrap().parse().unwrap();
    (ended, kibibytes << 10)
}

/// Runs to a good end.
pub fn succeed(command: &mut Command) -> Ended {
    let ended = end(command);
    assert_eq!(ended.code, Some(0), "{command:?} failed:\n{}", ended.stderr);
    ended
}

/// All regular files below a directory, relative, in order.
pub fn files_below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(here) = left.pop() {
        for entry in std::fs::read_dir(&here).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
