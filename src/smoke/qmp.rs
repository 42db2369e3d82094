//! QEMU's control protocol (`docs/interop/qmp-spec.rst`): one JSON object per line, as little of it as is used.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Error;

/// Longest silence after a command. A screenshot took 0.1 s.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// Longest answer that is read; those used here have less than 1 KiB.
const LONGEST_LINE: u64 = 1 << 20;

pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Reads the greeting and leaves the negotiation mode.
    pub fn open(stream: UnixStream) -> Result<Self, Error> {
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).map_err(Error::Qmp)?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        let greeting = qmp.line()?;
        if greeting.get("QMP").is_none() {
            return Err(Error::Qmp(io::Error::new(io::ErrorKind::InvalidData, "no greeting")));
        }
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Saves the screen as PNG; `path` has to be absolute, QEMU writes it.
    pub fn screendump(&mut self, path: &Path) -> Result<(), Error> {
        let filename = path.to_str().ok_or_else(|| Error::PathNotUtf8 { path: path.to_owned() })?;
        self.execute("screendump", &json!({ "filename": filename, "format": "png" }))
    }

    /// Ends QEMU; it may be gone before its answer arrives.
    pub fn quit(&mut self) -> Result<(), Error> {
        match self.execute("quit", &json!({})) {
            Err(Error::Qmp(_)) => Ok(()),
            other => other,
        }
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> Result<(), Error> {
        let line = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.stream.get_mut().write_all(line.as_bytes()).map_err(Error::Qmp)?;
        loop {
            let answer = self.line()?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                let reason = error["desc"].as_str().unwrap_or("no description").to_owned();
                return Err(Error::QmpRefused { command: command.to_owned(), reason });
            }
            // Anything else is an event, such as SHUTDOWN.
        }
    }

    fn line(&mut self) -> Result<Value, Error> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(Error::Qmp)?;
        if read == 0 {
            return Err(Error::Qmp(io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_slice(&line).map_err(|error| Error::Qmp(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a client against a QEMU that has said all of this in advance.
    fn open(said: &str) -> Result<(Qmp, UnixStream), Error> {
        let (mut qemu, ours) = UnixStream::pair().unwrap();
        qemu.write_all(said.as_bytes()).unwrap();
        qemu.shutdown(std::net::Shutdown::Write).unwrap();
        Qmp::open(ours).map(|qmp| (qmp, qemu))
    }

    #[test]
    fn events_between_command_and_answer_are_passed_over() {
        let said = "{\"QMP\":{}}\n{\"event\":\"RESUME\"}\n{\"return\":{}}\n{\"error\":{\"class\":\"GenericError\",\"desc\":\"no screen\"}}\n";
        let (mut qmp, _qemu) = open(said).unwrap();
        let refused = qmp.screendump(Path::new("/x.png")).unwrap_err().to_string();
        assert_eq!(refused, "QEMU refused `screendump`: no screen");
    }

    #[test]
    fn a_quit_whose_answer_is_lost_is_a_quit() {
        let (mut qmp, _qemu) = open("{\"QMP\":{}}\n{\"return\":{}}\n").unwrap();
        qmp.quit().unwrap();
    }

    #[test]
    fn another_greeting_is_an_error() {
        assert!(matches!(open("SSH-2.0\n"), Err(Error::Qmp(_))));
        assert!(matches!(open(""), Err(Error::Qmp(_))));
    }
}
