//! A terminal's byte stream as text: escape sequences (ECMA-48) taken out, UTF-8 checked, across read boundaries.
//!
//! A screen is not modelled. A sequence that moves the cursor to another place (GRUB's menu, OVMF) becomes a carriage
//! return, so that words written to two places are not read as one line.

/// Longest escape sequence that is waited for; anything longer is no sequence.
const LONGEST_SEQUENCE: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    Escape,
    /// Behind `ESC [`, until a final byte.
    Csi,
    /// Behind `ESC ]` and its like, until BEL or `ESC \`.
    String,
    StringEscape,
    /// Behind `ESC (` and its like: one byte names a character set.
    Charset,
}

/// Takes bytes as they come and gives text with `\n` and `\r` as its only control characters (and `\t`).
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    sequence: usize,
    /// An unfinished UTF-8 character.
    pending: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Text, sequence: 0, pending: Vec::new() }
    }
}

impl Decoder {
    /// The text of these bytes; an unfinished sequence or character waits for the next call.
    pub fn decode(&mut self, bytes: &[u8]) -> String {
        let mut text = std::mem::take(&mut self.pending);
        for byte in bytes {
            self.step(*byte, &mut text);
        }
        let whole = text.len() - unfinished(&text);
        self.pending = text.split_off(whole);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn step(&mut self, byte: u8, text: &mut Vec<u8>) {
        self.sequence = if self.state == State::Text { 0 } else { self.sequence + 1 };
        if self.sequence > LONGEST_SEQUENCE {
            self.state = State::Text;
        }
        self.state = match (self.state, byte) {
            // ESC and CAN begin anew wherever they come.
            (State::Text | State::Escape | State::Csi | State::Charset, 0x1b) => State::Escape,
            (State::String, 0x1b) => State::StringEscape,
            (_, 0x18) => State::Text,
            (State::Text, _) => self.text(byte, text),
            (State::Escape, b'[') => State::Csi,
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            (State::Escape, b'(' | b')' | b'*' | b'+' | b'#' | b'%' | b' ') => State::Charset,
            (State::Csi, b'H' | b'f' | b'J' | b'A' | b'B' | b'E' | b'F' | b'd') => self.text(b'\r', text),
            (State::Csi, 0x40..=0x7e) => State::Text,
            (State::Csi, _) => State::Csi,
            (State::String, 0x07) | (State::StringEscape, b'\\') => State::Text,
            (State::String | State::StringEscape, _) => State::String,
            (State::Escape | State::Charset, _) => State::Text,
        };
    }

    fn text(&self, byte: u8, text: &mut Vec<u8>) -> State {
        if byte >= b' ' && byte != 0x7f || matches!(byte, b'\n' | b'\r' | b'\t') {
            text.push(byte);
        }
        State::Text
    }
}

/// How many bytes at the end begin a UTF-8 character that may still be finished.
fn unfinished(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Ok(_) => 0,
        Err(_) => (1..=text.len().min(3))
            .find(|back| matches!(std::str::from_utf8(&text[text.len() - back..]), Err(e) if e.error_len().is_none() && e.valid_up_to() == 0))
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_leave_only_their_text() {
        for (bytes, text) in [
            (&b"\x1b[0;1;31mRed\x1b[0m"[..], "Red"),
            (b"\x1b]0;title\x07after", "after"),
            (b"\x1b]8;;http://x\x1b\\link", "link"),
            (b"\x1b[?2004hroot# ", "root# "),
            (b"\x1b(B\x1b)0box", "box"),
            (b"\x1b[2J\x1b[01;01H=\x1b[5;9Hgrub> ", "\r\r=\rgrub> "),
            (b"a\x08\x07b\x7f\x00c", "abc"),
            (b"line\r\r\n", "line\r\r\n"),
            (b"caf\xc3\xa9 \xff.", "café \u{fffd}."),
        ] {
            assert_eq!(Decoder::default().decode(bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_text() {
        let bytes = "\x1b[31mé€🦀\x1b]0;t\x07 login: ".as_bytes();
        let mut decoder = Decoder::default();
        let text: String = bytes.iter().map(|byte| decoder.decode(&[*byte])).collect();
        assert_eq!(text, "é€🦀 login: ");
    }

    #[test]
    fn a_string_that_never_ends_hides_no_more_than_256_bytes() {
        let bytes = [b"\x1b]".to_vec(), vec![b'x'; 300]].concat();
        assert_eq!(Decoder::default().decode(&bytes).len(), 45);
    }
}
