//! What a machine goes through after its first boot: growth, reboots, upgrade and rollback, power cuts. One overlay keeps what
//! the guest writes from boot to boot.

mod credentials;
mod guest;
mod server;
mod steps;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::boot::{self, Log, Ran};
use super::verdict::Verdict;
use super::{DiskFormat, Error, Event, Request, Stage};
pub(super) use guest::End;
use guest::Guest;

/// What is asked of the machine beside its first boot.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub reboots: u32,
    pub upgrade: Option<Upgrade>,
    /// The power fails while the upgrade is deployed, shut down for, and started.
    pub cut_power: bool,
}

impl Life {
    /// Whether nothing but the first boot is asked for.
    pub fn is_empty(&self) -> bool {
        self.reboots == 0 && self.upgrade.is_none()
    }
}

/// Where the next version comes from.
#[derive(Clone, Debug)]
pub enum Upgrade {
    /// A repository in archive mode, served to the guest, whose own client follows `branch` there; `commit` is what it names.
    Repository { directory: PathBuf, branch: String, commit: String },
    /// A second disk, with the version installed: its commit is taken out of the repository on its root filesystem.
    Disk { path: PathBuf, format: DiskFormat, root_uuid: String, stateroot: String, commit: String },
}

impl Upgrade {
    pub(super) fn commit(&self) -> &str {
        match self {
            Upgrade::Repository { commit, .. } | Upgrade::Disk { commit, .. } => commit,
        }
    }
}

/// One thing that the machine went through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub name: String,
    pub passed: bool,
    pub seconds: f64,
    /// What was found, in one sentence.
    pub found: String,
}

/// Why a life ended early.
enum Stopped {
    /// The machine did something wrong.
    Failed { found: String, stage: Stage },
    /// The test could not go on.
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Error(error)
    }
}

/// Boots the disk and lives its life. A machine that does not come up is a verdict, not an error.
pub fn live(request: &Request, life: &Life, events: &mut dyn FnMut(Event<'_>)) -> Result<Verdict, Error> {
    let started = Instant::now();
    let log = Log::create(request.log.as_deref())?;
    let mut guest = Guest::new(request, life, log.path())?;
    let mut steps = Vec::new();
    let lived = steps::all(&mut guest, life, &mut Recorder { steps: &mut steps, events });
    if let Some(path) = &request.screenshot {
        guest.screenshot(path);
    }
    let ran = Ran {
        seconds: started.elapsed().as_secs_f64(),
        accelerator: guest.accelerator(),
        kvm_given_up: guest.kvm_given_up(),
    };
    let failed = match lived {
        Ok(()) => None,
        Err(Stopped::Error(error)) => return Err(error),
        Err(Stopped::Failed { found, stage }) => Some((found, stage)),
    };
    boot::life_verdict(request, guest.into_end(), failed, steps, log, ran)
}

/// Keeps the steps and tells them as they end.
struct Recorder<'a> {
    steps: &'a mut Vec<Step>,
    events: &'a mut dyn FnMut(Event<'_>),
}

impl Recorder<'_> {
    /// Runs one step; `work` gives what was found.
    fn step(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut dyn FnMut(Event<'_>)) -> Result<String, Stopped>,
    ) -> Result<(), Stopped> {
        let started = Instant::now();
        let worked = work(self.events);
        let (passed, found) = match &worked {
            Ok(found) => (true, found.clone()),
            Err(Stopped::Failed { found, .. }) => (false, found.clone()),
            Err(Stopped::Error(error)) => (false, error.to_string()),
        };
        let step = Step { name: name.to_owned(), passed, seconds: started.elapsed().as_secs_f64(), found };
        (self.events)(Event::Step(&step));
        self.steps.push(step);
        worked.map(drop).map_err(|stopped| match stopped {
            Stopped::Failed { found, stage } => Stopped::Failed { found: format!("{name}: {found}"), stage },
            error => error,
        })
    }
}
