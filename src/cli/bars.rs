//! Bars on a terminal, through indicatif.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::hint;
use super::progress::Display;
use crate::progress::{Event, Progress, Task};

/// A bar for every task that runs.
pub struct Bars {
    all: MultiProgress,
    running: Mutex<BTreeMap<Task, ProgressBar>>,
}

/// Columns of the terminal that standard output or error is on; 80 without one.
pub fn width() -> u16 {
    console::Term::stdout()
        .size_checked()
        .or_else(|| console::Term::stderr().size_checked())
        .map_or(80, |(_, columns)| columns)
}

impl Bars {
    pub fn new() -> Bars {
        Bars { all: MultiProgress::new(), running: Mutex::default() }
    }
}

impl Progress for Bars {
    fn report(&self, event: &Event<'_>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Begin { task, label, total } => {
                let bar = self.all.add(match total {
                    Some(total) => ProgressBar::new(total).with_style(style(task)),
                    None => ProgressBar::new_spinner(),
                });
                bar.set_message(label.to_owned());
                if let Some(given_up) = running.insert(task, bar) {
                    given_up.finish_and_clear();
                }
            }
            Event::Grow { task, by } => {
                if let Some(bar) = running.get(&task) {
                    bar.inc_length(by);
                }
            }
            Event::Advance { task, by } => {
                if let Some(bar) = running.get(&task) {
                    bar.inc(by);
                }
            }
            Event::End { task } => {
                if let Some(bar) = running.remove(&task) {
                    bar.finish_and_clear();
                }
            }
            Event::Warning(text) => self.all.suspend(|| hint::warning(text)),
        }
    }
}

impl Display for Bars {
    fn finish(&self) {
        let _ = self.all.clear(); // the lines stay when the terminal went away
    }
}

fn style(task: Task) -> ProgressStyle {
    let template = match task {
        Task::Pull => "{msg:28!} {bar:30} {pos:>10} of {len:<10} {eta:>4}",
        _ => "{msg:28!} {bar:30} {bytes:>10} of {total_bytes:<10} {eta:>4}",
    };
    // OK to expect: a test makes one.
    ProgressStyle::with_template(template).expect("the template is right").progress_chars("━╸ ")
}

#[cfg(test)]
mod tests {
    use crate::progress::Task;

    #[test]
    fn the_template_is_right() {
        super::style(Task::Write);
        super::style(Task::Pull);
    }
}
