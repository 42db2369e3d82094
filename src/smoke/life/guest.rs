//! The machine through its boots: switched on, asked through its root shell, rebooted, its power cut.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Life, Stopped, Upgrade, credentials};
use crate::smoke::accel::{self, kvm_patience};
use crate::smoke::boot::{self, Outcome};
use crate::smoke::transcript::{Finding, Transcript};
use crate::smoke::{
    Accel, Accelerator, Changes, DiskFormat, Drive, Error, Event, Machine, MachineConfig, Network, Request, Stage,
    overlay,
};

/// `ostree fsck` and a pull read and write hundreds of megabytes in emulation.
const ANSWERS_WITHIN: Duration = Duration::from_secs(600);
const NETWORK_WITHIN: Duration = Duration::from_secs(120);
/// The shell opens about when the login prompt does.
const SHELL_WITHIN: Duration = Duration::from_secs(90);
const READY_WITHIN: Duration = Duration::from_secs(20);
const OFF_WITHIN: Duration = Duration::from_secs(180);
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Guest<'a> {
    request: &'a Request,
    log: PathBuf,
    /// The drive that is written to, and beside it the one with the next version.
    drives: Vec<Drive>,
    network: Network,
    accelerator: Accelerator,
    kvm_given_up: Option<String>,
    machine: Option<Machine>,
    transcript: Transcript,
    screenshot: Option<PathBuf>,
    warnings: Vec<String>,
    _directory: TempDir,
}

/// What is left when the machine is gone.
pub(in crate::smoke) struct End {
    pub transcript: Transcript,
    pub screenshot: Option<PathBuf>,
    pub warnings: Vec<String>,
}

impl<'a> Guest<'a> {
    pub fn new(request: &'a Request, life: &Life, log: &Path) -> Result<Guest<'a>, Error> {
        let directory = tempfile::Builder::new().prefix("bootwright-test-").tempdir();
        let directory = directory.map_err(Error::io("making a directory in", std::env::temp_dir()))?;
        let path = directory.path().join("disk.qcow2");
        overlay::create(&path, &request.disk, request.format, request.grow_to)?;
        let mut drives = vec![Drive { path, format: DiskFormat::Qcow2, changes: Changes::Kept }];
        if let Some(Upgrade::Disk { path, format, .. }) = &life.upgrade {
            let changes = Changes::Discarded { grow_to: None };
            drives.push(Drive { path: path.clone(), format: *format, changes });
        }
        let serves = matches!(life.upgrade, Some(Upgrade::Repository { .. }));
        Ok(Guest {
            request,
            log: log.to_owned(),
            drives,
            network: if serves { Network::Open } else { Network::Isolated },
            accelerator: accel::choose(request.accel, request.arch)?,
            kvm_given_up: None,
            machine: None,
            transcript: Transcript::new(&request.expect),
            screenshot: None,
            warnings: Vec::new(),
            _directory: directory,
        })
    }

    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    pub fn kvm_given_up(&self) -> Option<String> {
        self.kvm_given_up.clone()
    }

    /// Whether the drive is larger than the disk.
    pub fn has_grown(&self) -> bool {
        self.request.grow_to.is_some()
    }

    /// Switches the machine on and waits until it is up.
    pub fn boots(&mut self, events: &mut dyn FnMut(Event<'_>)) -> Result<String, Stopped> {
        let started = Instant::now();
        let may_give_up = self.request.accel == Accel::Auto && self.accelerator == Accelerator::Kvm;
        match self.switch_on(events) {
            Err(Error::QemuRefused { said, .. }) if may_give_up => return self.without_kvm(said, started, events),
            other => other?,
        }
        let patience = may_give_up.then(|| kvm_patience(self.request.firmware).min(self.limit()));
        match self.listen(patience, events)? {
            Some(outcome) => self.is_up(outcome, started),
            None => self.without_kvm("nothing was heard of the guest".to_owned(), started, events),
        }
    }

    fn without_kvm(
        &mut self,
        reason: String,
        started: Instant,
        events: &mut dyn FnMut(Event<'_>),
    ) -> Result<String, Stopped> {
        events(Event::KvmGivenUp { after: started.elapsed(), reason: &reason });
        (self.accelerator, self.kvm_given_up) = (Accelerator::Tcg, Some(reason));
        self.boots(events)
    }

    /// Starts the machine and does not wait.
    pub fn switch_on(&mut self, events: &mut dyn FnMut(Event<'_>)) -> Result<(), Error> {
        self.machine = None;
        self.transcript = Transcript::new(&self.request.expect);
        let mut extra_args = credentials::arguments().to_vec();
        // A restart ends QEMU, and the next start is a cold one: emulated firmware hangs in a warm reset now and then.
        extra_args.push("-no-reboot".into());
        extra_args.extend(self.request.extra_args.iter().cloned());
        let machine = Machine::start(&MachineConfig {
            arch: self.request.arch,
            firmware: self.request.firmware,
            accelerator: self.accelerator,
            memory_mib: self.request.memory_mib,
            drives: self.drives.clone(),
            network: self.network,
            shell_console: true,
            extra_args,
            log: Some(self.log.clone()),
        })?;
        events(Event::Started { command: machine.command() });
        self.machine = Some(machine);
        Ok(())
    }

    fn limit(&self) -> Duration {
        self.request.timeout.unwrap_or(self.accelerator.default_timeout())
    }

    fn listen(
        &mut self,
        patience: Option<Duration>,
        events: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Outcome>, Error> {
        let limit = self.limit();
        let machine = self.machine.as_mut().ok_or(Error::NoShellConsole)?;
        boot::listen(self.request, machine, &mut self.transcript, limit, patience, events)
    }

    /// Turns the end of a boot into what was found, or into why the life ends.
    fn is_up(&mut self, outcome: Outcome, started: Instant) -> Result<String, Stopped> {
        match &outcome {
            Outcome::Found(Finding::Success { line }) => {
                Ok(format!("up after {:.0} s: {}", started.elapsed().as_secs_f64(), line.trim()))
            }
            other => Err(self.failed(boot::what_happened(&self.transcript, other, started.elapsed()))),
        }
    }

    pub fn failed(&self, found: String) -> Stopped {
        Stopped::Failed { found, stage: self.transcript.stage() }
    }

    /// Waits for the root shell; says what is needed when none comes.
    pub fn opens_its_shell(&mut self) -> Result<(), Stopped> {
        let machine = self.machine.as_mut().ok_or(Error::NoShellConsole)?;
        machine.wait_for_shell(READY_WITHIN);
        match machine.shell_within("id -u", SHELL_WITHIN) {
            Ok((0, said)) if said.trim() == "0" => Ok(()),
            Ok((_, said)) => Err(self.failed(format!("the shell on hvc0 is not root's: {}", said.trim()))),
            Err(Error::NotSeen { .. }) => Err(self.failed(
                "no root shell answers on hvc0: the system needs systemd 256, to which one is handed in, or a shell of its own there"
                    .to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Where no route comes, the client that needs one says best what it misses.
    pub fn waits_for_its_network(&mut self) -> Result<(), Stopped> {
        let machine = self.machine.as_mut().ok_or(Error::NoShellConsole)?;
        machine.wait_for_route(NETWORK_WITHIN)?;
        Ok(())
    }

    /// Output of a command that has to succeed.
    pub fn says(&mut self, command: &str) -> Result<String, Stopped> {
        let machine = self.machine.as_mut().ok_or(Error::NoShellConsole)?;
        let (status, said) = machine.shell_within(command, ANSWERS_WITHIN)?;
        let said = said.trim().to_owned();
        if status == 0 {
            return Ok(said);
        }
        let last = said.lines().rev().take(5).collect::<Vec<_>>();
        let last = last.into_iter().rev().collect::<Vec<_>>().join(" / ");
        Err(self.failed(format!("`{command}` ended with {status}: {last}")))
    }

    /// Asks the system to restart, and waits until it is up again.
    pub fn reboots(&mut self, events: &mut dyn FnMut(Event<'_>)) -> Result<String, Stopped> {
        self.ends("reboot")?;
        let found = self.boots(events)?;
        self.opens_its_shell()?;
        Ok(found)
    }

    /// Shuts the system down.
    pub fn powers_off(&mut self) -> Result<(), Stopped> {
        self.ends("poweroff")
    }

    fn ends(&mut self, verb: &str) -> Result<(), Stopped> {
        self.begins(verb);
        if let Some(machine) = &mut self.machine
            && let Err(Error::StillRunning { after }) = machine.wait_exit(OFF_WITHIN)
        {
            return Err(self.failed(format!("the system did not {verb} within {} s", after.as_secs())));
        }
        self.machine = None;
        Ok(())
    }

    /// Begins to restart or to power off; the shell may be gone before it can answer.
    pub fn begins(&mut self, verb: &str) {
        if let Some(machine) = &mut self.machine {
            let _ = machine.shell_within(&format!("systemctl {verb} --no-block"), Duration::from_secs(5));
        }
        self.transcript = Transcript::new(&self.request.expect);
    }

    /// Waits until the boot has come to a stage, for a while.
    pub fn reaches(&mut self, stage: Stage, events: &mut dyn FnMut(Event<'_>)) -> Result<(), Stopped> {
        let deadline = Instant::now() + self.limit();
        while self.transcript.stage() < stage {
            let machine = self.machine.as_mut().ok_or(Error::NoShellConsole)?;
            if self.request.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted.into());
            }
            if let Some(text) = machine.console().read(TICK) {
                self.transcript.hear(&text, events);
            }
            if Instant::now() > deadline {
                return Err(self.failed(format!("the boot did not come to {stage}")));
            }
        }
        Ok(())
    }

    /// Waits for the shutdown to be under way: for a word of it on the console, and no longer than a few seconds.
    pub fn is_shutting_down(&mut self) {
        const WORDS: [&str; 4] = ["Stopping", "Stopped", "Finalize", "Unmount"];
        let deadline = Instant::now() + Duration::from_secs(10);
        let Some(machine) = &mut self.machine else { return };
        while Instant::now() < deadline && !machine.console().ended() {
            let text = machine.console().read(TICK).unwrap_or_default();
            if WORDS.iter().any(|word| text.contains(word)) {
                return;
            }
        }
    }

    /// The power fails: QEMU is killed, and what the guest had not written out is lost.
    pub fn loses_power(&mut self) {
        self.machine = None;
    }

    pub fn screenshot(&mut self, path: &Path) {
        let Some(machine) = &mut self.machine else {
            return self.warnings.push("no screenshot: the machine was off".to_owned());
        };
        match machine.screendump(path) {
            Ok(()) => self.screenshot = Some(path.to_owned()),
            Err(error) => self.warnings.push(format!("no screenshot: {error}")),
        }
    }

    /// Ends the machine.
    pub fn into_end(self) -> End {
        if let Some(machine) = self.machine {
            // Asked or killed, QEMU is gone after this.
            let _ = machine.quit();
        }
        End { transcript: self.transcript, screenshot: self.screenshot, warnings: self.warnings }
    }
}
