//! `bootwright inspect`.

use std::env;

use super::args::{Format, InspectArgs};
use super::{Outcome, container, ostree, print, server, survey, wrong};
use crate::image_ref::{ImageRefError, SourceRef};
use crate::inspect;
use crate::progress::Silent;
use crate::request::Request;

pub fn run(args: &InspectArgs) -> anyhow::Result<Outcome> {
    if let Some(source) = source(args)? {
        return run_source(args, source);
    }
    if let Some(name) = given(args) {
        return Err(wrong(anyhow::anyhow!("{name} goes with what a disk is made of, not with a disk")));
    }
    let inspection = inspect::inspect(&args.disk)?;
    let text = match args.format {
        Format::Text => inspect::text(&inspection, usize::from(super::bars::width())),
        Format::Json => serde_json::to_string_pretty(&inspection)? + "\n",
    };
    print(&text)?;
    Ok(Outcome::Done)
}

/// The source that is named instead of a disk. A file of that name is a disk all the same, and so is a name that is only
/// nearly one of an image.
fn source(args: &InspectArgs) -> anyhow::Result<Option<SourceRef>> {
    let Some(text) = args.disk.to_str().filter(|_| !args.disk.exists()) else { return Ok(None) };
    match text.parse() {
        Ok(source) => Ok(Some(source)),
        Err(ImageRefError::ShortName { .. } | ImageRefError::Registry { .. } | ImageRefError::Credentials { .. })
            if may_be_a_path(text) =>
        {
            Ok(None)
        }
        Err(error) => Err(wrong(error)),
    }
}

/// `vm@home.qcow2` is a disk that is not there; `me:secret@host/os` is not to be repeated.
fn may_be_a_path(text: &str) -> bool {
    !text.contains("://") && text.split_once('@').is_none_or(|(_, host)| !host.contains('/'))
}

fn given(args: &InspectArgs) -> Option<&'static str> {
    let own = args.target_arch.map(|_| "--target-arch");
    let of_servers = || server::first_given(&args.server).or_else(|| container::first_given(&args.container));
    own.or_else(|| ostree::first_given(&args.ostree)).or_else(of_servers)
}

fn run_source(args: &InspectArgs, source: SourceRef) -> anyhow::Result<Outcome> {
    let ostree = match source {
        SourceRef::Ostree(_) => {
            ostree::read(&args.ostree, server::options(&args.server).map_err(wrong)?).map_err(wrong)?
        }
        SourceRef::Container(_) => ostree::none(&args.ostree, &source)?,
    };
    let request = container::request(source, &env::temp_dir(), &args.server, &args.container)?;
    let request = Request { architecture: args.target_arch, ostree, ..request };
    let found = crate::survey::survey(&request, &env::temp_dir(), &Silent).map_err(anyhow::Error::new)?;
    let text = match args.format {
        Format::Text => survey::text(&found),
        Format::Json => serde_json::to_string_pretty(&found)? + "\n",
    };
    print(&text)?;
    Ok(Outcome::Done)
}
