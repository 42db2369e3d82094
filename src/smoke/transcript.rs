//! The console as lines, and what they decide: stage reached, success, failure.

use std::collections::VecDeque;

use regex::Regex;

use super::{Event, Stage};

/// Any of these ends the test at once.
const FAILURES: [&str; 9] = [
    "Kernel panic",
    "emergency mode",
    "dracut:/#",
    "grub>",
    "grub rescue",
    "Security Violation",
    // OVMF with nothing left to start.
    "No bootable option or device",
    "UEFI Interactive Shell",
    "Entering rescue mode",
];
/// Without an expectation of the user's.
const UP: &str = "login: |Reached target .*(Multi-User|Graphical)";
const LAST_LINES: usize = 20;
/// A longer line is cut in two. An unfinished line is judged again with each piece, so this also bounds the work.
const LONGEST_LINE: usize = 4 << 10;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    /// Everything expected was seen, last in this line.
    Success { line: String },
    /// The guest said one of the words that no good boot says.
    Failure { word: &'static str },
}

pub(super) struct Transcript {
    /// The line the cursor is in: a prompt has no end.
    partial: String,
    last: VecDeque<String>,
    stage: Stage,
    /// Not yet seen.
    expected: Vec<Regex>,
    asked: Vec<Regex>,
    finding: Option<Finding>,
}

impl Transcript {
    /// `asked` is what the user expects, nothing for the usual signs of a system that is up.
    pub fn new(asked: &[Regex]) -> Self {
        // OK to unwrap: a constant.
        let usual = || vec![Regex::new(UP).unwrap()];
        let expected = if asked.is_empty() { usual() } else { asked.to_vec() };
        Self {
            partial: String::new(),
            last: VecDeque::new(),
            stage: Stage::Firmware,
            expected,
            asked: asked.to_vec(),
            finding: None,
        }
    }

    /// Takes in what the guest said. The first finding stays.
    pub fn hear(&mut self, text: &str, events: &mut dyn FnMut(Event<'_>)) {
        for piece in text.split_inclusive(['\n', '\r']) {
            let ends = piece.ends_with(['\n', '\r']);
            self.partial += piece.trim_end_matches(['\n', '\r']);
            if ends || self.partial.len() > LONGEST_LINE {
                self.end_line(events);
            }
        }
    }

    /// The guest has been quiet for a while: what it said last is a prompt, not half a line. Half a line is not judged, it
    /// may lack the word that tells it apart.
    pub fn pause(&mut self, events: &mut dyn FnMut(Event<'_>)) {
        let prompt = std::mem::take(&mut self.partial);
        self.advance(Stage::of(&prompt), events);
        self.judge(&prompt);
        self.partial = prompt;
    }

    /// Empty lines are dropped; a redrawn line ends in a carriage return and would be followed by one.
    fn end_line(&mut self, events: &mut dyn FnMut(Event<'_>)) {
        let line = std::mem::take(&mut self.partial);
        if line.trim().is_empty() {
            return;
        }
        self.advance(Stage::of(&line), events);
        self.judge(&line);
        events(Event::SerialLine(&line));
        self.last.push_back(line);
        if self.last.len() > LAST_LINES {
            self.last.pop_front();
        }
    }

    fn advance(&mut self, reached: Option<Stage>, events: &mut dyn FnMut(Event<'_>)) {
        if let Some(stage) = reached.filter(|stage| *stage > self.stage) {
            self.stage = stage;
            events(Event::Stage(stage));
        }
    }

    fn judge(&mut self, line: &str) {
        if self.finding.is_some() {
            return;
        }
        self.expected.retain(|pattern| !pattern.is_match(line));
        if self.expected.is_empty() {
            self.finding = Some(Finding::Success { line: line.to_owned() });
        } else if !self.asked.iter().any(|pattern| pattern.is_match(line)) {
            // A word that the user waits for is no failure.
            let word = FAILURES.into_iter().find(|word| line.contains(word));
            self.finding = word.map(|word| Finding::Failure { word });
        }
    }

    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Patterns not seen yet.
    pub fn missing(&self) -> Vec<String> {
        self.expected.iter().map(|pattern| format!("`{pattern}`")).collect()
    }

    pub fn nothing_asked(&self) -> bool {
        self.asked.is_empty()
    }

    /// The last 20 lines, an unfinished one included.
    pub fn last_lines(&self) -> Vec<String> {
        let partial = Some(&self.partial).filter(|line| !line.trim().is_empty());
        let lines: Vec<_> = self.last.iter().chain(partial).cloned().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(asked: &[&str], text: &str) -> Transcript {
        let asked: Vec<_> = asked.iter().map(|pattern| Regex::new(pattern).unwrap()).collect();
        let mut transcript = Transcript::new(&asked);
        text.chars().for_each(|c| transcript.hear(&c.to_string(), &mut |_| {}));
        transcript.pause(&mut |_| {});
        transcript
    }

    #[test]
    fn a_prompt_without_a_line_end_is_a_success() {
        let transcript = heard(&[], "Debian 13\r\r\n\r\r\ntrixie login: ");
        assert_eq!(transcript.finding(), Some(&Finding::Success { line: "trixie login: ".into() }));
        assert_eq!(transcript.last_lines(), ["Debian 13", "trixie login: "]);
    }

    #[test]
    fn expected_lines_may_come_in_any_order_but_all_of_them_have_to() {
        assert!(heard(&["one", "two"], "two\nlogin: \n").finding().is_none());
        assert!(matches!(heard(&["one", "two"], "two\none\n").finding(), Some(Finding::Success { .. })));
    }

    #[test]
    fn an_expected_word_is_no_failure() {
        let transcript = heard(&["grub>", "never"], "grub> ");
        assert_eq!(transcript.finding(), None);
        assert_eq!(transcript.missing(), ["`never`"]);
    }

    #[test]
    fn half_a_line_decides_nothing() {
        let mut transcript = Transcript::new(&[Regex::new("^one [0-9]+$").unwrap()]);
        transcript.hear("one 4", &mut |_| {});
        assert_eq!(transcript.finding(), None);
        transcript.hear("2\n", &mut |_| {});
        assert_eq!(transcript.finding(), Some(&Finding::Success { line: "one 42".into() }));
    }

    #[test]
    fn the_first_finding_stays() {
        let transcript = heard(&[], "Kernel panic - not syncing\nlogin: ");
        assert_eq!(transcript.finding(), Some(&Finding::Failure { word: "Kernel panic" }));
    }

    #[test]
    fn stages_are_told_once_and_never_go_back() {
        let mut stages = Vec::new();
        let mut transcript = Transcript::new(&[]);
        let text = "Linux version 6\nGRUB\nLinux version 6\nWelcome to Debian!\n";
        transcript.hear(text, &mut |event| {
            if let Event::Stage(stage) = event {
                stages.push(stage);
            }
        });
        assert_eq!(stages, [Stage::Kernel, Stage::Systemd]);
    }

    #[test]
    fn a_line_that_never_ends_is_cut_and_not_kept_whole() {
        let mut transcript = Transcript::new(&[]);
        (0..100).for_each(|_| transcript.hear(&"x".repeat(1000), &mut |_| {}));
        assert!(transcript.partial.len() <= LONGEST_LINE && transcript.last.len() == LAST_LINES);
        assert!(transcript.last.iter().all(|line| line.len() <= LONGEST_LINE + 1000));
    }
}
