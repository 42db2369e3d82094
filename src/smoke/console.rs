//! One console of the guest: what it says, as text, and what is typed into it.
//!
//! A thread of its own reads each console, so that a guest never waits for us on one while we listen to another.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;

use super::Error;
use super::terminal::Decoder;

/// Text nobody has read yet; the oldest goes when a guest talks on and nobody listens.
const KEPT: usize = 4 << 20;
/// The log of a guest that never stops talking ends here.
const LOGGED: usize = 64 << 20;

#[derive(Default)]
struct Heard {
    chunks: VecDeque<String>,
    bytes: usize,
    closed: bool,
}

#[derive(Default)]
struct Ear {
    heard: Mutex<Heard>,
    more: Condvar,
}

impl Ear {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        // The state is whole between any two statements, so a panic elsewhere does not spoil it.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between two searches for an expected text.
const GATHER: Duration = Duration::from_millis(10);

/// A connected console.
pub struct Console {
    stream: UnixStream,
    ear: Arc<Ear>,
    reader: Option<JoinHandle<()>>,
    /// Text that `expect` has read and not yet consumed, without carriage returns.
    unmatched: String,
}

impl Console {
    /// Listens to `stream`; every byte also goes to `log` as it is.
    pub(super) fn open(stream: UnixStream, log: Option<File>) -> Result<Self, Error> {
        let ear = Arc::new(Ear::default());
        let (source, shared) = (stream.try_clone().map_err(Error::Send)?, Arc::clone(&ear));
        let reader = std::thread::spawn(move || listen(source, &shared, log));
        Ok(Self { stream, ear, reader: Some(reader), unmatched: String::new() })
    }

    /// What was said since the last read, waiting up to `within` for it; `None` when the guest said nothing.
    /// Carriage returns are still in it.
    pub fn read(&mut self, within: Duration) -> Option<String> {
        let silent = |heard: &mut Heard| heard.chunks.is_empty() && !heard.closed;
        let waited = self.ear.more.wait_timeout_while(self.ear.lock(), within, silent);
        let (mut heard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        heard.bytes = 0;
        let chunks = std::mem::take(&mut heard.chunks);
        (!chunks.is_empty()).then(|| chunks.into_iter().collect())
    }

    /// True once QEMU closed the console and everything it said has been read.
    pub fn ended(&self) -> bool {
        let heard = self.ear.lock();
        heard.closed && heard.chunks.is_empty()
    }

    /// Waits until `pattern` is seen in what no earlier `expect` consumed, and consumes up to its end; gives back the
    /// matched text.
    pub fn expect(&mut self, pattern: &Regex, within: Duration) -> Result<String, Error> {
        self.until(pattern, within).map(|(_, matched)| matched)
    }

    /// As `expect`, with the text before the match in front.
    pub(super) fn until(&mut self, pattern: &Regex, within: Duration) -> Result<(String, String), Error> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = pattern.find(&self.unmatched) {
                let (start, matched, end) = (found.start(), found.as_str().to_owned(), found.end());
                let before = self.unmatched[..start].to_owned();
                self.unmatched.drain(..end);
                return Ok((before, matched));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(text) = self.read(left) {
                self.remember(&text);
                // QEMU hands over a few bytes at a time; a search for each would be quadratic in a long output.
                std::thread::sleep(GATHER.min(left));
            } else if self.ended() {
                return Err(Error::ConsoleClosed { pattern: pattern.to_string(), tail: self.tail() });
            } else if left.is_zero() {
                return Err(Error::NotSeen { pattern: pattern.to_string(), within, tail: self.tail() });
            }
        }
    }

    /// Types `text`; a line ends with `\n`.
    pub fn send(&mut self, text: &str) -> Result<(), Error> {
        self.stream.write_all(text.as_bytes()).map_err(Error::Send)
    }

    fn remember(&mut self, text: &str) {
        self.unmatched.extend(text.chars().filter(|c| *c != '\r'));
        let surplus = self.unmatched.len().saturating_sub(KEPT);
        let cut = self.unmatched.ceil_char_boundary(surplus);
        self.unmatched.drain(..cut);
    }

    /// The last 200 bytes, for errors.
    fn tail(&self) -> String {
        let start = self.unmatched.ceil_char_boundary(self.unmatched.len().saturating_sub(200));
        format!("{:?}", &self.unmatched[start..])
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Ends the reader's `read`; an error means that it has ended already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn listen(mut source: UnixStream, ear: &Ear, log: Option<File>) {
    let (mut decoder, mut log, mut logged) = (Decoder::default(), log, 0);
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        let bytes = &buffer[..count];
        logged += count;
        log = log.filter(|file| write_log(file, bytes, logged));
        let text = decoder.decode(bytes);
        let mut heard = ear.lock();
        heard.bytes += text.len();
        heard.chunks.push_back(text);
        while heard.bytes > KEPT {
            let oldest = heard.chunks.pop_front().map_or(0, |chunk| chunk.len());
            heard.bytes -= oldest;
        }
        ear.more.notify_all();
    }
    ear.lock().closed = true;
    ear.more.notify_all();
}

/// False when the log takes no more. A full disk ends the log, not the test.
fn write_log(mut file: &File, bytes: &[u8], logged: usize) -> bool {
    if logged > LOGGED {
        let _ = file.write_all(b"\n[bootwright: the log ends here, at 64 MiB]\n");
        return false;
    }
    file.write_all(bytes).inspect_err(|error| tracing::warn!("writing the console log: {error}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UnixStream, Console) {
        let (guest, ours) = UnixStream::pair().unwrap();
        (guest, Console::open(ours, None).unwrap())
    }

    #[test]
    fn each_expect_goes_on_where_the_last_one_stopped() {
        let (mut guest, mut console) = pair();
        guest.write_all(b"user \x1b[1mlogin: \x1b[0mPass\r\nword: ").unwrap();
        let second = Duration::from_secs(5);
        assert_eq!(console.expect(&Regex::new("login: ").unwrap(), second).unwrap(), "login: ");
        assert_eq!(console.expect(&Regex::new("Pass\nword").unwrap(), second).unwrap(), "Pass\nword");
        let again = console.expect(&Regex::new("login: ").unwrap(), Duration::from_millis(50));
        assert!(matches!(again, Err(Error::NotSeen { .. })));
    }

    #[test]
    fn what_was_said_before_the_end_is_still_read() {
        let (mut guest, mut console) = pair();
        guest.write_all(b"bye").unwrap();
        drop(guest);
        assert_eq!(console.read(Duration::from_secs(5)).unwrap(), "bye");
        let after = console.expect(&Regex::new("more").unwrap(), Duration::from_secs(5));
        assert!(matches!(after, Err(Error::ConsoleClosed { .. })));
    }

    #[test]
    fn a_guest_that_nobody_listens_to_is_never_blocked() {
        let (mut guest, mut console) = pair();
        let line = [b'x'; 1 << 16];
        (0..128).for_each(|_| guest.write_all(&line).unwrap());
        drop(guest);
        let mut read = 0;
        while !console.ended() {
            read += console.read(Duration::from_secs(5)).map_or(0, |text| text.len());
        }
        assert!((1..=KEPT + (8 << 20)).contains(&read), "{read}");
    }
}
