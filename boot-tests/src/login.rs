//! A person at the serial console: login(1) and the shell behind it.

use std::time::Duration;

use bootwright::smoke::{Console, Regex};

const WITHIN: Duration = Duration::from_secs(120);

pub struct Session<'a> {
    console: &'a mut Console,
}

/// Types a name and a password that login(1) has to refuse.
pub fn is_refused(console: &mut Console, name: &str, password: &str) {
    enter(console, name, password);
    see(console, "Login incorrect");
}

impl Session<'_> {
    /// Logs in; a shell's prompt has to follow.
    pub fn open<'a>(console: &'a mut Console, name: &str, password: &str) -> Session<'a> {
        enter(console, name, password);
        see(console, r"\$ $");
        Session { console }
    }

    /// What `command` prints. The marks are put together by printf, so that the typed line does not look like them.
    pub fn says(&mut self, command: &str) -> String {
        self.console.send(&format!("printf '%s<%s>%s\\n' @ \"$({command})\" @\n")).unwrap();
        let seen = see(self.console, r"@<[^@]*>@");
        seen.trim_start_matches("@<").trim_end_matches(">@").to_owned()
    }

    /// Logs out; login(1) asks again.
    pub fn close(self) {
        self.console.send("exit\n").unwrap();
    }
}

fn enter(console: &mut Console, name: &str, password: &str) {
    see(console, "login: ");
    console.send(&format!("{name}\n")).unwrap();
    see(console, "Password: ");
    console.send(&format!("{password}\n")).unwrap();
}

fn see(console: &mut Console, pattern: &str) -> String {
    console.expect(&Regex::new(pattern).unwrap(), WITHIN).unwrap_or_else(|error| panic!("{error}"))
}
