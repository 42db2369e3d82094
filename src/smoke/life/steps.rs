//! The steps of a life, in order. What is asked of the guest are commands that a person would type.

use super::guest::Guest;
use super::server::Server;
use super::{Life, Recorder, Stopped, Upgrade};
use crate::smoke::{Event, Stage};

/// The deployments of a machine, by `ostree admin status`.
struct Deployments {
    booted: String,
    /// The remote's name and the ref, where the booted one follows a ref.
    refspec: Option<String>,
}

/// Everything that is asked.
pub(super) fn all(guest: &mut Guest<'_>, life: &Life, record: &mut Recorder<'_>) -> Result<(), Stopped> {
    record.step("first boot", |events| guest.boots(events))?;
    record.step("root shell", |_| guest.opens_its_shell().map(|()| "answers".to_owned()))?;
    if guest.has_grown() {
        record.step("growth", |_| growth(guest))?;
    }
    for number in 1..=life.reboots {
        record.step(&format!("reboot {number}"), |events| guest.reboots(events))?;
    }
    if let Some(upgrade) = &life.upgrade {
        let mut prepared = None;
        record.step("next version", |_| {
            let (old, new) = (deployments(guest)?.booted, upgrade.commit());
            if old == new {
                return Err(guest.failed(format!("the machine already runs {old}: there is nothing to upgrade to")));
            }
            let found = format!("{old} runs, {new} is next");
            prepared = Some((Upgrader::new(guest, upgrade)?, old));
            Ok(found)
        })?;
        match prepared {
            Some((upgrader, old)) if life.cut_power => power_cuts(guest, &upgrader, &old, record)?,
            Some((upgrader, old)) => upgrade_and_back(guest, &upgrader, &old, record)?,
            None => {}
        }
    }
    record.step("afterwards", |_| afterwards(guest))
}

/// Upgrade, rollback, and the upgrade again, each started.
fn upgrade_and_back(
    guest: &mut Guest<'_>,
    upgrader: &Upgrader<'_>,
    old: &str,
    record: &mut Recorder<'_>,
) -> Result<(), Stopped> {
    let new = upgrader.upgrade.commit();
    for (name, back) in [("upgrade", true), ("second upgrade", false)] {
        record.step(name, |_| upgrader.upgrade(guest))?;
        record.step(&format!("{name} started"), |events| {
            guest.reboots(events)?;
            is_booted(guest, &[new])
        })?;
        if back {
            record.step("rollback", |_| roll_back(guest))?;
            record.step("rollback started", |events| {
                guest.reboots(events)?;
                is_booted(guest, &[old])
            })?;
        }
    }
    Ok(())
}

/// The power fails at four points of an upgrade or rollback; after each the old or the new system comes up.
fn power_cuts(
    guest: &mut Guest<'_>,
    upgrader: &Upgrader<'_>,
    old: &str,
    record: &mut Recorder<'_>,
) -> Result<(), Stopped> {
    let new = upgrader.upgrade.commit();
    let either = [old, new];
    record.step("power cut after the upgrade was deployed", |events| {
        upgrader.upgrade(guest)?;
        guest.loses_power();
        comes_back(guest, &either, events)
    })?;
    record.step("power cut while shutting down", |events| {
        upgrader.change(guest, old)?;
        guest.begins("poweroff");
        guest.is_shutting_down();
        guest.loses_power();
        comes_back(guest, &either, events)
    })?;
    record.step("power cut in the boot loader and in the initramfs", |events| {
        upgrader.change(guest, old)?;
        guest.powers_off()?;
        for stage in [Stage::Loader, Stage::Initramfs] {
            guest.switch_on(events)?;
            guest.reaches(stage, events)?;
            guest.loses_power();
        }
        comes_back(guest, &either, events)
    })?;
    record.step("the new system after all", |events| {
        if deployments(guest)?.booted != new {
            upgrader.upgrade(guest)?;
            guest.reboots(events)?;
        }
        is_booted(guest, &[new])
    })
}

fn comes_back(guest: &mut Guest<'_>, either: &[&str], events: &mut dyn FnMut(Event<'_>)) -> Result<String, Stopped> {
    guest.boots(events)?;
    guest.opens_its_shell()?;
    is_booted(guest, either)
}

/// Whether one of these commits runs.
fn is_booted(guest: &mut Guest<'_>, commits: &[&str]) -> Result<String, Stopped> {
    let booted = deployments(guest)?.booted;
    match commits.contains(&booted.as_str()) {
        true => Ok(format!("{booted} runs")),
        false => Err(guest.failed(format!("{booted} runs, and {} was to", commits.join(" or ")))),
    }
}

/// `* STATEROOT COMMIT.SERIAL` is the booted one; its origin stands below it.
fn deployments(guest: &mut Guest<'_>) -> Result<Deployments, Stopped> {
    let status = guest.says("ostree admin status")?;
    let mut lines = status.lines().skip_while(|line| !line.starts_with("* "));
    let booted = lines.next().and_then(|line| line.split_whitespace().nth(2)).and_then(|name| name.split('.').next());
    let Some(booted) = booted.map(str::to_owned) else {
        return Err(guest.failed(format!("`ostree admin status` shows no booted deployment: {status}")));
    };
    let details = lines.take_while(|line| line.starts_with("    "));
    let refspec = details.filter_map(|line| line.trim().strip_prefix("origin refspec: ")).next().map(str::to_owned);
    Ok(Deployments { booted, refspec })
}

/// `set-default` is younger than libostree 2022.7, where the old commit is deployed again, with its origin.
fn roll_back(guest: &mut Guest<'_>) -> Result<String, Stopped> {
    let said = guest.says(
        "if ostree admin --help 2>&1 | grep -q set-default; then ostree admin set-default 1 2>&1; else \
         set -- $(ostree admin status | sed -n 's/^  *\\([^ ]*\\) \\([0-9a-f]*\\)\\.\\([0-9]*\\) (rollback).*/\\1 \\2 \\3/p'); \
         ostree admin deploy --os=$1 --origin-file=/sysroot/ostree/deploy/$1/deploy/$2.$3.origin $2 2>&1; fi",
    )?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

/// How the machine gets the next version.
struct Upgrader<'a> {
    upgrade: &'a Upgrade,
    _server: Option<Server>,
}

impl<'a> Upgrader<'a> {
    /// Points the machine's remote at the repository, or mounts the second disk.
    fn new(guest: &mut Guest<'_>, upgrade: &'a Upgrade) -> Result<Upgrader<'a>, Stopped> {
        let server = match upgrade {
            Upgrade::Repository { directory, branch, .. } => {
                let server = Server::of(directory)?;
                follow(guest, branch, server.port)?;
                Some(server)
            }
            Upgrade::Disk { .. } => None,
        };
        Ok(Upgrader { upgrade, _server: server })
    }

    /// Makes the other version the default: upgrades the old system, rolls the new one back.
    fn change(&self, guest: &mut Guest<'_>, old: &str) -> Result<String, Stopped> {
        match deployments(guest)?.booted == old {
            true => self.upgrade(guest),
            false => roll_back(guest),
        }
    }

    fn upgrade(&self, guest: &mut Guest<'_>) -> Result<String, Stopped> {
        let said = match self.upgrade {
            Upgrade::Repository { .. } => {
                guest.waits_for_its_network()?;
                guest.says("ostree admin upgrade 2>&1")?
            }
            Upgrade::Disk { root_uuid, stateroot, commit, .. } => {
                guest.says(&format!(
                    "mkdir -p /run/next && {{ mountpoint -q /run/next || mount -o ro,noload UUID={root_uuid} /run/next; }}"
                ))?;
                guest.says(&format!(
                    "ostree pull-local --repo=/sysroot/ostree/repo /run/next/ostree/repo {commit} 2>&1"
                ))?;
                let origin = format!("/run/next/ostree/deploy/{stateroot}/deploy/{commit}.0.origin");
                guest.says(&format!("ostree admin deploy --origin-file={origin} {commit} 2>&1"))?
            }
        };
        let deployed = guest.says("ostree admin status")?;
        if !deployed.contains(self.upgrade.commit()) {
            return Err(guest.failed(format!("the client deployed nothing: {said}")));
        }
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }
}

/// Gives the remote that the machine follows the URL of our server, in the overlay alone.
fn follow(guest: &mut Guest<'_>, branch: &str, port: u16) -> Result<(), Stopped> {
    let Some(refspec) = deployments(guest)?.refspec else {
        return Err(guest.failed("the machine follows no ref of an ostree repository".to_owned()));
    };
    let Some((remote, followed)) = refspec.split_once(':') else {
        return Err(guest.failed(format!("the machine follows `{refspec}`, which names no remote")));
    };
    if followed != branch {
        return Err(guest.failed(format!("the machine follows `{followed}`, and the upgrade has `{branch}`")));
    }
    let url = format!("http://10.0.2.2:{port}");
    let file = format!("/etc/ostree/remotes.d/{remote}.conf");
    guest.says(&format!(
        "if [ -f {file} ]; then sed -i -e 's|^url=.*|url={url}|' -e '/^contenturl=/d' -e '/^metalink=/d' {file}; else \
         mount -o remount,rw /sysroot; ostree config --repo=/sysroot/ostree/repo set 'remote \"{remote}\".url' {url}; fi"
    ))?;
    Ok(())
}

/// Bytes of the root filesystem against those of the drive behind the partitions before it.
fn growth(guest: &mut Guest<'_>) -> Result<String, Stopped> {
    let script = "device=$(readlink -f $(findmnt -nro SOURCE /sysroot | cut -d'[' -f1)); \
                  cd /sys/class/block/${device##*/} && \
                  echo $(($(cat ../size) - $(cat start))) $(cat size) $(($(df -B512 --output=size /sysroot | tail -n 1)))";
    let said = guest.says(script)?;
    let sectors: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [room, partition, filesystem] = sectors[..] else {
        return Err(guest.failed(format!("the sizes of the root filesystem cannot be read: {said}")));
    };
    let found =
        format!("{room} sectors to the end of the drive, {partition} in the partition, {filesystem} in its filesystem");
    // A backup GPT and alignment at the end; inode tables and a journal in the filesystem.
    let grown = partition + 8192 >= room && filesystem >= partition / 100 * 90;
    if grown { Ok(found) } else { Err(guest.failed(format!("the root filesystem did not grow: {found}"))) }
}

/// What a machine has to be at the end of any day.
fn afterwards(guest: &mut Guest<'_>) -> Result<String, Stopped> {
    // Waits for the last job of the boot.
    guest.says("systemctl is-system-running --wait || true")?;
    let failed = guest.says("systemctl --failed --no-legend --plain")?;
    if !failed.is_empty() {
        return Err(guest.failed(format!("units have failed: {}", failed.replace('\n', "; "))));
    }
    guest.says("ostree fsck --quiet 2>&1")?;
    let room = guest.says("df -B1 --output=avail /sysroot | tail -n 1")?;
    Ok(format!("no failed unit, every object is whole, {} bytes are free", room.trim()))
}
