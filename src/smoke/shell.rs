//! Commands run in a shell on a console of the guest.
//!
//! Any POSIX shell will do, with or without echo: the marks around the output are put together by the guest's printf,
//! so the echo of what is typed never looks like one.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use regex::Regex;

use super::{Console, Error};

/// Longest line a terminal hands over at once is 4096 bytes (N_TTY); a prompt and the marks need some.
const LONGEST_LINE: usize = 4000;

pub(super) struct Shell {
    console: Console,
    count: u32,
    awake: bool,
}

impl Shell {
    pub fn open(stream: UnixStream) -> Result<Self, Error> {
        Ok(Self { console: Console::open(stream, None)?, count: 0, awake: false })
    }

    /// Exit status and output of `command`.
    pub fn run(&mut self, command: &str, within: Duration) -> Result<(i32, String), Error> {
        let longest = command.lines().map(str::len).max().unwrap_or(0);
        if longest > LONGEST_LINE {
            return Err(Error::CommandTooLong { length: longest });
        }
        self.answer(command, Instant::now() + within).map_err(|error| match error {
            // The limit of the whole, not of the step that met it.
            Error::NotSeen { pattern, tail, .. } => Error::NotSeen { pattern, within, tail },
            error => error,
        })
    }

    /// Waits for a shell that says that it is ready. What is typed before it is there may keep it from opening.
    pub fn wait_ready(&mut self, within: Duration) {
        // One that says nothing is found by `wake`.
        let _ = self.see("ROOT-SHELL-READY", Instant::now() + within);
    }

    fn answer(&mut self, command: &str, deadline: Instant) -> Result<(i32, String), Error> {
        self.wake(deadline)?;
        let n = self.next();
        // Its own lines, so that a comment at the end of the command ends there.
        self.console.send(&format!(
            "printf '\\n@%s-begin@\\n' {n}; (\n{command}\n); printf '\\n@%s-end-%s@\\n' {n} \"$?\"\n"
        ))?;
        self.see(&format!("@{n}-begin@\n"), deadline)?;
        let (output, end) = self.see(&format!(r"\n@{n}-end-[0-9]+@\n"), deadline)?;
        let said = end.trim_matches(['\n', '@']).rsplit('-').next().unwrap_or_default();
        let status = said.parse().map_err(|_| Error::BadShellStatus { said: said.to_owned() })?;
        Ok((status, output))
    }

    /// Types a first command again and again until it is answered: what is typed before the shell is up gets lost.
    fn wake(&mut self, deadline: Instant) -> Result<(), Error> {
        while !self.awake {
            let n = self.next();
            self.console.send(&format!("printf '@%s-awake@\\n' {n}\n"))?;
            let try_until = deadline.min(Instant::now() + Duration::from_secs(2));
            match self.see(&format!("@{n}-awake@\n"), try_until) {
                Err(Error::NotSeen { .. }) if Instant::now() < deadline => {}
                other => self.awake = other.map(|_| true)?,
            }
        }
        Ok(())
    }

    fn next(&mut self) -> u32 {
        self.count += 1;
        self.count
    }

    /// The text before `pattern`, and what it matched.
    fn see(&mut self, pattern: &str, deadline: Instant) -> Result<(String, String), Error> {
        // OK to unwrap: our own patterns with a number in them.
        let pattern = Regex::new(pattern).unwrap();
        self.console.until(&pattern, deadline.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::process::{Child, Command};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(20);

    /// A real shell at the other end; killed with the test.
    struct Guest(Child);

    impl Drop for Guest {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn shell(program: &str, args: &[&str]) -> (Guest, Shell) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        let end = || OwnedFd::from(theirs.try_clone().unwrap());
        let child = Command::new(program).args(args).stdin(end()).stdout(end()).stderr(end()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{program}: {error}: sudo apt-get install bsdutils bash"));
        (Guest(child), Shell::open(ours).unwrap())
    }

    fn answers(shell: &mut Shell) {
        for (command, status, output) in [
            ("true", 0, ""),
            ("echo hello; echo error >&2", 0, "hello\nerror\n"),
            ("exit 7", 7, ""),
            ("printf 'no line end'; false", 1, "no line end"),
            ("printf '\\n\\nempty lines\\n\\n' # and a comment", 0, "\n\nempty lines\n\n"),
            ("cat <<'E'\n@1-end-0@ $HOME\nE", 0, "@1-end-0@ $HOME\n"),
        ] {
            assert_eq!(shell.run(command, WITHIN).unwrap(), (status, output.to_owned()), "{command}");
        }
    }

    #[test]
    fn a_shell_without_a_terminal_answers() {
        let (_guest, mut shell) = shell("sh", &[]);
        answers(&mut shell);
    }

    #[test]
    fn a_shell_on_a_terminal_that_echoes_answers_the_same() {
        let (_guest, mut shell) = shell("script", &["-qfec", "bash --norc -i", "/dev/null"]);
        answers(&mut shell);
    }

    #[test]
    fn a_line_longer_than_a_terminals_is_refused() {
        let (_guest, mut shell) = shell("sh", &[]);
        let result = shell.run(&format!("echo {}", "x".repeat(4000)), WITHIN);
        assert!(matches!(result, Err(Error::CommandTooLong { length: 4005 })));
    }

    #[test]
    fn a_shell_that_never_comes_up_is_an_error_in_time() {
        let (_guest, mut shell) = shell("sleep", &["60"]);
        let result = shell.run("true", Duration::from_millis(300));
        assert!(matches!(result, Err(Error::NotSeen { within, .. }) if within.as_millis() == 300));
    }
}
