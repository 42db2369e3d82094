//! `bootwright inspect`.

use std::env;

use super::args::{Format, InspectArgs};
use super::{Outcome, ostree, print, server, survey, wrong};
use crate::build::BuildError;
use crate::image_ref::{OstreeRef, SourceRef};
use crate::inspect;
use crate::progress::Silent;

pub fn run(args: &InspectArgs) -> anyhow::Result<Outcome> {
    if let Some(reference) = source(args)? {
        return run_source(args, &reference);
    }
    if let Some(name) = ostree::first_given(&args.ostree).or_else(|| server::first_given(&args.server)) {
        return Err(wrong(anyhow::anyhow!(
            "{name} goes with the ref of an ostree repository (ostree:…), not with a disk"
        )));
    }
    let inspection = inspect::inspect(&args.disk)?;
    let text = match args.format {
        Format::Text => inspect::text(&inspection, usize::from(super::bars::width())),
        Format::Json => serde_json::to_string_pretty(&inspection)? + "\n",
    };
    print(&text)?;
    Ok(Outcome::Done)
}

/// The source that is named instead of a disk. A file of that name is a disk all the same.
fn source(args: &InspectArgs) -> anyhow::Result<Option<OstreeRef>> {
    let Some(text) = args.disk.to_str().filter(|text| text.starts_with("ostree:") && !args.disk.exists()) else {
        return Ok(None);
    };
    match text.parse().map_err(|error: crate::image_ref::ImageRefError| wrong(error))? {
        SourceRef::Ostree(reference) => Ok(Some(reference)),
        SourceRef::Container(_) => Ok(None),
    }
}

fn run_source(args: &InspectArgs, reference: &OstreeRef) -> anyhow::Result<Outcome> {
    let http = server::options(&args.server).map_err(wrong)?;
    let wishes = ostree::read(&args.ostree, http).map_err(wrong)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = crate::survey::survey(reference, &wishes, &env::temp_dir(), threads, &Silent);
    let found = found.map_err(|error: BuildError| anyhow::Error::new(error))?;
    let text = match args.format {
        Format::Text => survey::text(&found),
        Format::Json => serde_json::to_string_pretty(&found)? + "\n",
    };
    print(&text)?;
    Ok(Outcome::Done)
}
