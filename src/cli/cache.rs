//! `bootwright cache`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use super::args::{CacheAction, CacheArgs, PruneArgs};
use super::{Outcome, print, wrong};
use crate::cache::{self, Cache, Entry};
use crate::units::Bytes;

const DAY: u64 = 24 * 3600;

pub fn run(args: &CacheArgs) -> anyhow::Result<Outcome> {
    let place = args.cache.clone().or_else(Cache::default_place);
    let place = place.context("there is no home directory for a cache: say where it is with --cache").map_err(wrong)?;
    match &args.action {
        None => show(&place)?,
        Some(CacheAction::Prune(prune)) => self::prune(&place, prune)?,
    }
    Ok(Outcome::Done)
}

fn show(place: &Path) -> anyhow::Result<()> {
    let (entries, now) = (cache::entries(place)?, SystemTime::now());
    let mut page = String::new();
    for entry in &entries {
        let days = entry.unused(now).as_secs() / DAY;
        let used = match days {
            0 => "today".to_owned(),
            1 => "1 day ago".to_owned(),
            days => format!("{days} days ago"),
        };
        page.push_str(&format!("{:>10}  {used:<12}  {}\n", Bytes(entry.bytes).to_string(), entry.name));
    }
    let total = Bytes(entries.iter().map(|entry| entry.bytes).sum());
    print(&format!("{page}{total} in {} layers, {}\n", entries.len(), place.display()))
}

fn prune(place: &Path, args: &PruneArgs) -> anyhow::Result<()> {
    let (now, mut kept) = (SystemTime::now(), 0);
    // Entries come with the one used last in front.
    let swept = cache::prune(place, |entry: &Entry| {
        let old = args.unused_for.is_some_and(|days| entry.unused(now) >= Duration::from_secs(u64::from(days) * DAY));
        if args.all || old {
            return true;
        }
        kept += entry.bytes;
        args.keep.is_some_and(|keep| kept > keep.0)
    })?;
    print(&format!("dropped {} layers, {}\n", swept.entries, Bytes(swept.bytes)))
}
