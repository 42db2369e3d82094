//! `bootwright inspect`.

use super::args::{Format, InspectArgs};
use super::{Outcome, print};
use crate::inspect;

pub fn run(args: &InspectArgs) -> anyhow::Result<Outcome> {
    let inspection = inspect::inspect(&args.disk)?;
    let text = match args.format {
        Format::Text => inspect::text(&inspection, usize::from(super::bars::width())),
        Format::Json => serde_json::to_string_pretty(&inspection)? + "\n",
    };
    print(&text)?;
    Ok(Outcome::Done)
}
