//! `bootwright layouts`.

use super::{Outcome, print};
use crate::layout::Layout;

pub fn run() -> anyhow::Result<Outcome> {
    let mut text = String::new();
    for layout in Layout::built_in() {
        let default = layout.architecture.as_deref().map(|name| format!(" (default for {name})")).unwrap_or_default();
        text.push_str(&format!("{}{default}: {}\n", layout.name, layout.description));
        for partition in &layout.partitions {
            let mount = partition.mount_point.as_deref().unwrap_or("-");
            let kind = format!("{:?}", partition.kind).to_lowercase();
            text.push_str(&format!(
                "  {:<12} {kind:<9} {mount:<10} at least {}\n",
                partition.label, partition.size_min_bytes
            ));
        }
    }
    print(&text)?;
    Ok(Outcome::Done)
}
