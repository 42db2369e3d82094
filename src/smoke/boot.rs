//! The boot test itself: start, listen, decide, clean up.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tempfile::TempPath;

use super::accel::{self, kvm_patience};
use super::transcript::{Finding, Transcript};
use super::{Accel, Accelerator, Changes, Drive, Error, Event, Machine, MachineConfig, Network};
use super::{Request, Stage, Step, Verdict, life};

/// How often the time limit and the stop flag are looked at.
const TICK: Duration = Duration::from_millis(100);
/// The login prompt of the screen comes a moment after that of the serial console.
const SCREEN_SETTLES: Duration = Duration::from_secs(3);
/// A guest that says nothing for this long in the middle of a line waits at a prompt.
const QUIET: Duration = Duration::from_millis(400);
/// After a failure the guest gets this long to finish its sentence: a panic is many lines.
const LAST_WORDS: Duration = Duration::from_millis(700);

/// Boots the disk and waits for a verdict. A guest that does not come up is a verdict, not an error.
pub fn run(request: &Request, events: &mut dyn FnMut(Event<'_>)) -> Result<Verdict, Error> {
    let started = Instant::now();
    let log = Log::create(request.log.as_deref())?;
    let mut accelerator = accel::choose(request.accel, request.arch)?;
    let mut kvm_given_up = None;
    let end = loop {
        match watch(request, accelerator, log.path(), events)? {
            Watched::Ended(end) => break *end,
            Watched::KvmFailed { reason } => {
                events(Event::KvmGivenUp { after: started.elapsed(), reason: &reason });
                (accelerator, kvm_given_up) = (Accelerator::Tcg, Some(reason));
            }
        }
    };
    verdict(request, end, log, Ran { seconds: started.elapsed().as_secs_f64(), accelerator, kvm_given_up })
}

/// How the machine ran in the end.
pub(super) struct Ran {
    pub seconds: f64,
    pub accelerator: Accelerator,
    pub kvm_given_up: Option<String>,
}

/// What came of one start.
enum Watched {
    Ended(Box<End>),
    /// KVM made no machine, or nothing was heard of it; emulation may be tried.
    KvmFailed {
        reason: String,
    },
}

/// How one start ended.
struct End {
    outcome: Outcome,
    transcript: Transcript,
    screenshot: Option<PathBuf>,
    warnings: Vec<String>,
}

pub(super) enum Outcome {
    Found(Finding),
    Exited { after: Duration, status: String, said: String },
    TimeLimit(Duration),
}

/// One start of the machine.
fn watch(
    request: &Request,
    accelerator: Accelerator,
    log: &Path,
    events: &mut dyn FnMut(Event<'_>),
) -> Result<Watched, Error> {
    let may_give_up = request.accel == Accel::Auto && accelerator == Accelerator::Kvm;
    let mut machine = match Machine::start(&config(request, accelerator, log)) {
        // KVM that opens and then cannot make a machine; a wrong argument shows in emulation too.
        Err(error @ Error::QemuRefused { .. }) if may_give_up => {
            return Ok(Watched::KvmFailed { reason: error.to_string() });
        }
        machine => machine?,
    };
    events(Event::Started { command: machine.command() });
    let mut transcript = Transcript::new(&request.expect);
    let limit = request.timeout.unwrap_or(accelerator.default_timeout());
    let patience = may_give_up.then(|| kvm_patience(request.firmware).min(limit));
    let Some(outcome) = listen(request, &mut machine, &mut transcript, limit, patience, events)? else {
        let reason = format!("nothing was heard of the guest within {:.0} s", patience.unwrap_or(limit).as_secs_f64());
        return Ok(Watched::KvmFailed { reason });
    };
    let mut end = End { outcome, transcript, screenshot: None, warnings: Vec::new() };
    take_screenshot(request, &mut machine, &mut end);
    if !matches!(end.outcome, Outcome::Exited { .. }) {
        // Asked or killed, QEMU is gone after this.
        let _ = machine.quit();
    }
    Ok(Watched::Ended(Box::new(end)))
}

fn config(request: &Request, accelerator: Accelerator, log: &Path) -> MachineConfig {
    MachineConfig {
        arch: request.arch,
        firmware: request.firmware,
        accelerator,
        memory_mib: request.memory_mib,
        drives: vec![Drive {
            path: request.disk.clone(),
            format: request.format,
            changes: Changes::Discarded { grow_to: request.grow_to },
        }],
        network: Network::Isolated,
        shell_console: false,
        extra_args: request.extra_args.clone(),
        log: Some(log.to_owned()),
    }
}

/// Listens until something decides; `None` when `patience` or the machine ended in silence.
pub(super) fn listen(
    request: &Request,
    machine: &mut Machine,
    transcript: &mut Transcript,
    limit: Duration,
    patience: Option<Duration>,
    events: &mut dyn FnMut(Event<'_>),
) -> Result<Option<Outcome>, Error> {
    let (started, mut silent) = (Instant::now(), true);
    let mut heard = started;
    loop {
        if request.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if let Some(text) = machine.console().read(TICK) {
            (silent, heard) = (false, Instant::now());
            transcript.hear(&text, events);
        } else if let Some((status, said)) = machine.exited()?.filter(|_| machine.console().ended()) {
            let exited = Outcome::Exited { after: started.elapsed(), status: status.to_string(), said };
            return Ok(Some(exited).filter(|_| !silent || patience.is_none()));
        } else if heard.elapsed() >= QUIET {
            transcript.pause(events);
        }
        if let Some(finding) = transcript.finding().cloned() {
            hear_last_words(&finding, machine, transcript, events);
            return Ok(Some(Outcome::Found(finding)));
        }
        if silent && patience.is_some_and(|patience| started.elapsed() >= patience) {
            return Ok(None);
        }
        if started.elapsed() >= limit {
            return Ok(Some(Outcome::TimeLimit(limit)));
        }
    }
}

fn hear_last_words(
    finding: &Finding,
    machine: &mut Machine,
    transcript: &mut Transcript,
    events: &mut dyn FnMut(Event<'_>),
) {
    let until = Instant::now() + LAST_WORDS;
    while matches!(finding, Finding::Failure { .. }) && Instant::now() < until && !machine.console().ended() {
        if let Some(text) = machine.console().read(TICK) {
            transcript.hear(&text, events);
        }
    }
}

fn take_screenshot(request: &Request, machine: &mut Machine, end: &mut End) {
    let Some(path) = &request.screenshot else { return };
    if matches!(&end.outcome, Outcome::Found(Finding::Success { .. })) {
        let until = Instant::now() + SCREEN_SETTLES;
        while Instant::now() < until && !machine.console().ended() {
            machine.console().read(TICK);
        }
    }
    match machine.screendump(path) {
        Ok(()) => end.screenshot = Some(path.clone()),
        Err(error) => end.warnings.push(format!("no screenshot: {error}")),
    }
}

/// What the end says.
fn verdict(request: &Request, end: End, log: Log, ran: Ran) -> Result<Verdict, Error> {
    let passed = matches!(end.outcome, Outcome::Found(Finding::Success { .. }));
    let stage = end.transcript.stage();
    let last_lines = end.transcript.last_lines();
    let matched = matched(&end.outcome, &last_lines);
    let usual_causes = if passed { Vec::new() } else { stage.usual_causes(request.firmware).to_vec() };
    Ok(Verdict {
        passed,
        reason: what_happened(&end.transcript, &end.outcome, Duration::from_secs_f64(ran.seconds)),
        stage,
        seconds: ran.seconds,
        accelerator: ran.accelerator,
        kvm_given_up: ran.kvm_given_up,
        firmware: request.firmware,
        matched,
        usual_causes,
        last_lines,
        log: log.close(passed)?,
        screenshot: end.screenshot,
        warnings: end.warnings,
        steps: Vec::new(),
    })
}

/// What the end of a life says; `failed` is what went wrong, and how far the boot was.
pub(super) fn life_verdict(
    request: &Request,
    end: life::End,
    failed: Option<(String, Stage)>,
    steps: Vec<Step>,
    log: Log,
    ran: Ran,
) -> Result<Verdict, Error> {
    let passed = failed.is_none();
    let (reason, stage) = failed.unwrap_or_else(|| {
        let done = format!("{} steps after {:.0} s", steps.len(), ran.seconds);
        (steps.last().map_or(done.clone(), |last| format!("{done}: {}", last.found)), end.transcript.stage())
    });
    let usual_causes = if passed { Vec::new() } else { stage.usual_causes(request.firmware).to_vec() };
    Ok(Verdict {
        passed,
        reason,
        stage,
        seconds: ran.seconds,
        accelerator: ran.accelerator,
        kvm_given_up: ran.kvm_given_up,
        firmware: request.firmware,
        matched: None,
        usual_causes,
        last_lines: end.transcript.last_lines(),
        log: log.close(passed)?,
        screenshot: end.screenshot,
        warnings: end.warnings,
        steps,
    })
}

fn matched(outcome: &Outcome, last_lines: &[String]) -> Option<String> {
    match outcome {
        Outcome::Found(Finding::Success { line }) => Some(line.clone()),
        Outcome::Found(Finding::Failure { word }) => {
            let line = last_lines.iter().find(|line| line.contains(word));
            Some(line.map_or((*word).to_owned(), String::clone))
        }
        Outcome::Exited { .. } | Outcome::TimeLimit(_) => None,
    }
}

/// In one sentence.
pub(super) fn what_happened(transcript: &Transcript, outcome: &Outcome, elapsed: Duration) -> String {
    let last_lines = transcript.last_lines();
    let waiting = match transcript.missing() {
        _ if transcript.nothing_asked() => "a login prompt or the multi-user target".to_owned(),
        missing => missing.join(", "),
    };
    match outcome {
        Outcome::Found(Finding::Success { line }) => {
            format!("the guest said `{}` after {:.1} s", line.trim(), elapsed.as_secs_f64())
        }
        Outcome::Found(Finding::Failure { word }) => {
            let line = matched(outcome, &last_lines).unwrap_or_default();
            format!("the guest said `{word}`: {}", line.trim())
        }
        Outcome::Exited { after, status, said } => {
            let said = if said.is_empty() { String::new() } else { format!(", saying: {said}") };
            format!("QEMU ended after {:.1} s ({status}{said}) before {waiting} was seen", after.as_secs_f64())
        }
        Outcome::TimeLimit(limit) => {
            let heard = if last_lines.is_empty() { ", nothing was heard at all" } else { "" };
            format!("{waiting} was not seen within {:.0} s{heard}", limit.as_secs_f64())
        }
    }
}

/// The console log: at the asked place, or in a file that goes when nobody needs it.
pub(super) enum Log {
    Asked(PathBuf),
    Own(TempPath),
}

impl Log {
    pub(super) fn create(asked: Option<&Path>) -> Result<Self, Error> {
        if let Some(path) = asked {
            File::create(path).map_err(Error::io("creating the log", path))?;
            return Ok(Self::Asked(path.to_owned()));
        }
        let made = tempfile::Builder::new().prefix("bootwright-test-").suffix(".log").tempfile();
        Ok(Self::Own(made.map_err(Error::io("creating a log in", std::env::temp_dir()))?.into_temp_path()))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Asked(path) => path,
            Self::Own(path) => path,
        }
    }

    /// Where the log stays, if it does.
    fn close(self, passed: bool) -> Result<Option<PathBuf>, Error> {
        match self {
            Self::Asked(path) => Ok(Some(path)),
            Self::Own(_) if passed => Ok(None),
            Self::Own(path) => {
                let place = path.to_path_buf();
                path.keep().map(Some).map_err(|error| Error::io("keeping the log", place)(error.error))
            }
        }
    }
}
