//! How a build's progress is shown: bars, plain lines, JSON lines, or not at all. Everything goes to standard error.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;

use super::args::ProgressStyle;
use super::bars::Bars;
use super::hint;
use crate::progress::{Event, Progress, Task};
use crate::units::Bytes;

/// A display that can be taken away when the work is done.
pub trait Display: Progress {
    fn finish(&self) {}

    fn is_silent(&self) -> bool {
        false
    }
}

pub fn of(style: ProgressStyle) -> Box<dyn Display> {
    match style {
        ProgressStyle::Auto if stderr().is_terminal() => Box::new(Bars::new()),
        ProgressStyle::Term => Box::new(Bars::new()),
        ProgressStyle::Auto | ProgressStyle::Plain => Box::new(Plain::default()),
        ProgressStyle::Json => Box::new(JsonLines),
        ProgressStyle::None => Box::new(Nothing),
    }
}

struct Nothing;

impl Progress for Nothing {
    fn report(&self, _: &Event<'_>) {}
}

impl Display for Nothing {
    fn is_silent(&self) -> bool {
        true
    }
}

/// A line when a step begins and one when it is done.
#[derive(Default)]
struct Plain {
    running: Mutex<BTreeMap<Task, (String, Instant, u64)>>,
}

impl Progress for Plain {
    fn report(&self, event: &Event<'_>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Begin { task, label, total } => {
                eprintln!("{label}{}", total.map(|total| in_brackets(task, total)).unwrap_or_default());
                running.insert(task, (label.to_owned(), Instant::now(), 0));
            }
            Event::Grow { .. } => {}
            Event::Advance { task, by } => {
                if let Some((_, _, done)) = running.get_mut(&task) {
                    *done += by;
                }
            }
            Event::End { task } => {
                if let Some((label, since, done)) = running.remove(&task) {
                    let size = if done > 0 { format!(", {}", amount(task, done)) } else { String::new() };
                    eprintln!("{label}: done in {:.1} s{size}", since.elapsed().as_secs_f64());
                }
            }
            Event::Warning(text) => hint::warning(text),
        }
    }
}

impl Display for Plain {}

/// What is not known yet is not said.
fn in_brackets(task: Task, total: u64) -> String {
    if total > 0 { format!(" ({})", amount(task, total)) } else { String::new() }
}

fn amount(task: Task, number: u64) -> String {
    match task {
        Task::Pull => format!("{number} objects"),
        _ => Bytes(number).to_string(),
    }
}

struct JsonLines;

impl Progress for JsonLines {
    fn report(&self, event: &Event<'_>) {
        let line = match event {
            Event::Begin { task, label, total } => {
                json!({"event": "begin", "task": name(*task), "label": label, "total": total})
            }
            Event::Grow { task, by } => json!({"event": "grow", "task": name(*task), "by": by}),
            Event::Advance { task, by } => json!({"event": "advance", "task": name(*task), "by": by}),
            Event::End { task } => json!({"event": "end", "task": name(*task)}),
            Event::Warning(text) => json!({"event": "warning", "text": text}),
        };
        eprintln!("{line}");
    }
}

impl Display for JsonLines {
    fn is_silent(&self) -> bool {
        true
    }
}

fn name(task: Task) -> String {
    match task {
        Task::Layer(index) => format!("layer-{index}"),
        Task::Delta => "delta".to_owned(),
        Task::Pull => "pull".to_owned(),
        Task::Deploy => "deploy".to_owned(),
        Task::Write => "write".to_owned(),
    }
}

/// The same styles for `bootwright test`, whose progress is a few words and no bytes.
pub struct Lines(ProgressStyle);

pub fn lines(style: ProgressStyle) -> Lines {
    Lines(style)
}

impl Lines {
    pub fn are_silent(&self) -> bool {
        self.0 == ProgressStyle::None
    }

    pub fn are_json(&self) -> bool {
        self.0 == ProgressStyle::Json
    }

    /// Something a person waits for.
    pub fn step(&self, event: &str, text: &str) {
        match self.0 {
            ProgressStyle::None => {}
            ProgressStyle::Json => self.detail(event, text),
            _ => eprintln!("{text}"),
        }
    }

    /// Something only a machine, or a person with the log, wants.
    pub fn detail(&self, event: &str, text: &str) {
        if self.0 == ProgressStyle::Json {
            eprintln!("{}", json!({"event": event, "text": text}));
        }
    }
}
