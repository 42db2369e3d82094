//! The inspection for people: a header, the map, and a section for each part that there is.

use super::map::{self, Cell};
use super::{BootEntry, Deployment, EfiFile, Filesystem, Format, Inspection, OriginKind, Partition, TableKind};
use crate::units::{Bytes, MIB};

/// The text form for a terminal of `width` columns, ending in a line feed. Control characters out of the disk are replaced.
pub fn text(disk: &Inspection, width: usize) -> String {
    let mut page = Page { text: String::new(), width };
    header(disk, &mut page);
    partitions(disk, &mut page);
    filesystems(disk, &mut page);
    esp(disk, &mut page);
    deployments(disk, &mut page);
    boot_entries(disk, &mut page);
    origin(disk, &mut page);
    problems(disk, &mut page);
    page.text
}

struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        let printable = line.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
        self.text.extend(printable);
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    fn section(&mut self, name: &str) {
        self.line("");
        self.line(name);
    }

    /// `  name      value`, the value broken between words.
    fn field(&mut self, name: &str, value: &str) {
        self.wrapped(&format!("    {name:<9} "), value);
    }

    fn wrapped(&mut self, first: &str, value: &str) {
        let indent = first.chars().count();
        let mut line = first.to_owned();
        for word in value.split(' ') {
            let columns = line.chars().count();
            if columns > indent && columns + 1 + word.chars().count() > self.width {
                self.line(&line);
                line = " ".repeat(indent);
            } else if columns > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    fn table(&mut self, rows: &[Vec<String>], right: &[usize]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in rows {
            let cells =
                row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match right.contains(&column) {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                });
            self.line(&format!("  {}", cells.collect::<Vec<_>>().join("  ")));
        }
    }
}

fn header(disk: &Inspection, page: &mut Page) {
    let format = match disk.format {
        Format::Raw => "raw image",
        Format::Qcow2 => "qcow2 image",
    };
    let table = match (disk.table.kind, &disk.table.id) {
        (TableKind::Gpt, Some(id)) => format!("GPT {id}"),
        (TableKind::Dos, Some(id)) => format!("DOS label {id}"),
        _ => "no partition table".to_owned(),
    };
    page.line(&format!("{format}, {}, {} on the host", Bytes(disk.virtual_size), Bytes(disk.allocated)));
    page.line(&table);
    let secure_boot = if disk.secure_boot { "; Secure Boot: signed shim" } else { "" };
    page.line(&format!("Firmware: {}{secure_boot}", disk.firmware));
    page.line("");
    match map::draw(&cells(disk), page.width) {
        Some(rows) => rows.iter().for_each(|row| page.line(row)),
        None => page.line("(more partitions than can be drawn side by side)"),
    }
}

/// Partitions by place, and the room between them where it is more than alignment.
fn cells(disk: &Inspection) -> Vec<Cell> {
    let mut sorted: Vec<&Partition> = disk.partitions.iter().collect();
    sorted.sort_by_key(|partition| partition.start);
    let mut cells = Vec::new();
    let mut at = 0;
    for partition in sorted {
        cells.extend(gap(at, partition.start));
        cells.push(cell(partition));
        at = at.max(partition.start.saturating_add(partition.bytes));
    }
    cells.extend(gap(at, disk.virtual_size));
    cells
}

fn gap(from: u64, to: u64) -> Option<Cell> {
    let bytes = to.checked_sub(from).filter(|&bytes| bytes > MIB)?;
    Some(Cell { lines: vec!["free".to_owned(), Bytes(bytes).to_string()], bytes, used: None })
}

fn cell(partition: &Partition) -> Cell {
    let filesystem = partition.filesystem.as_ref();
    let name = partition
        .label
        .as_deref()
        .or(filesystem.and_then(|filesystem| filesystem.label.as_deref()))
        .unwrap_or_default();
    let name = if partition.number == 0 {
        name.to_owned()
    } else {
        format!("{} {name}", partition.number).trim_end().to_owned()
    };
    let kind = filesystem.map_or("", |filesystem| filesystem.kind);
    Cell {
        lines: vec![name, Bytes(partition.bytes).to_string(), kind.to_owned()],
        bytes: partition.bytes,
        used: filesystem.and_then(|filesystem| filesystem.used.zip(filesystem.size)),
    }
}

fn partitions(disk: &Inspection, page: &mut Page) {
    if disk.table.kind == TableKind::None {
        return;
    }
    page.section("Partitions");
    let uuids = page.width >= 120;
    let mut rows = vec![["#", "Type", "Start", "Size", "Label", "Attributes"].map(str::to_owned).to_vec()];
    rows.extend(disk.partitions.iter().map(partition_row));
    if uuids {
        let all = disk.partitions.iter().map(|partition| partition.uuid.clone().unwrap_or_default());
        let titled = std::iter::once("UUID".to_owned()).chain(all);
        rows.iter_mut().zip(titled).for_each(|(row, uuid)| row.insert(5, uuid));
    }
    page.table(&rows, &[0, 2, 3]);
}

fn partition_row(partition: &Partition) -> Vec<String> {
    let type_name = match partition.type_name.as_str() {
        "unknown" => &partition.type_id,
        known => known,
    };
    vec![
        partition.number.to_string(),
        type_name.to_owned(),
        Bytes(partition.start).to_string(),
        Bytes(partition.bytes).to_string(),
        partition.label.clone().unwrap_or_default(),
        partition.attributes.join(" "),
    ]
}

fn filesystems(disk: &Inspection, page: &mut Page) {
    let found: Vec<_> =
        disk.partitions.iter().filter_map(|partition| Some((partition, partition.filesystem.as_ref()?))).collect();
    if found.is_empty() {
        return;
    }
    page.section("Filesystems");
    let mut rows = vec![["#", "Kind", "Label", "UUID", "Used"].map(str::to_owned).to_vec()];
    rows.extend(found.into_iter().map(|(partition, filesystem)| filesystem_row(partition, filesystem)));
    page.table(&rows, &[0]);
}

fn filesystem_row(partition: &Partition, filesystem: &Filesystem) -> Vec<String> {
    let used = match (filesystem.used, filesystem.size) {
        (Some(used), Some(size)) => format!("{} of {}", Bytes(used), Bytes(size)),
        (None, Some(size)) => format!("? of {}", Bytes(size)),
        _ => String::new(),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        partition.number.to_string(),
        filesystem.kind.to_owned(),
        text(&filesystem.label),
        text(&filesystem.uuid),
        used,
    ]
}

fn esp(disk: &Inspection, page: &mut Page) {
    if disk.efi_files.is_empty() {
        return;
    }
    page.section("EFI system partition");
    let row = |file: &EfiFile| {
        let role = file.role.map_or("", |role| role.name());
        let signed = if file.signed { "signed" } else { "" };
        vec![file.path.clone(), Bytes(file.bytes).to_string(), format!("{signed} {role}").trim().to_owned()]
    };
    page.table(&disk.efi_files.iter().map(row).collect::<Vec<_>>(), &[1]);
}

fn deployments(disk: &Inspection, page: &mut Page) {
    if disk.deployments.is_empty() {
        return;
    }
    page.section("Deployments");
    for deployment in &disk.deployments {
        deployment_fields(deployment, disk, page);
    }
}

fn deployment_fields(deployment: &Deployment, disk: &Inspection, page: &mut Page) {
    let name = deployment.name();
    let default = disk.boot_entries.iter().any(|entry| entry.default && entry.deployment.as_ref() == Some(&name));
    let os = deployment.os.as_deref().unwrap_or("unknown system");
    page.line(&format!("  {} {os}, stateroot {}", mark(default), deployment.stateroot));
    page.field("commit", &format!("{}.{}", deployment.commit, deployment.serial));
    for (name, value) in [
        ("version", &deployment.version),
        ("date", &deployment.timestamp),
        ("ends", &deployment.end_of_life),
        ("image", &deployment.manifest_digest),
        ("kernel", &deployment.kernel),
        ("bootcsum", &deployment.bootcsum),
    ] {
        if let Some(value) = value {
            page.field(name, value);
        }
    }
}

fn mark(default: bool) -> char {
    if default { '●' } else { '○' }
}

fn boot_entries(disk: &Inspection, page: &mut Page) {
    if disk.boot_entries.is_empty() {
        return;
    }
    page.section("Boot entries");
    for entry in &disk.boot_entries {
        boot_entry_fields(entry, page);
    }
}

fn boot_entry_fields(entry: &BootEntry, page: &mut Page) {
    page.line(&format!("  {} {}", mark(entry.default), entry.title));
    page.field("file", &format!("{} on partition {}", entry.path, entry.partition));
    if let Some(file) = &entry.linux {
        page.field("linux", &shortened(file));
    }
    for file in &entry.initrd {
        page.field("initrd", &shortened(file));
    }
    let shown = entry.options.split_whitespace().filter(|option| !option.starts_with("ostree="));
    page.field("options", &shown.collect::<Vec<_>>().join(" "));
    if let Some(link) = entry.ostree() {
        let target = entry.deployment.as_deref().unwrap_or("nowhere");
        page.field("ostree", &format!("{} → {}", shortened(link), shortened(target)));
    }
}

/// Checksums of 64 digits cut to twelve, as people compare them.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let digits = piece.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        match digits.len() {
            64 => short.extend([&digits[..12], "…", &piece[64..]]),
            _ => short.push_str(piece),
        }
    }
    short
}

fn origin(disk: &Inspection, page: &mut Page) {
    let origins: Vec<_> =
        disk.deployments.iter().filter_map(|deployment| Some((deployment, deployment.origin.as_ref()?))).collect();
    if origins.is_empty() {
        return;
    }
    page.section("Origin");
    for (deployment, origin) in origins {
        let kind = match origin.kind {
            OriginKind::ContainerImageReference => "container image",
            OriginKind::Refspec => "refspec",
            OriginKind::Unknown => "neither image nor refspec",
        };
        page.line(&format!("  {}: {kind}", shortened(&deployment.name())));
        page.wrapped("    ", origin.reference.as_deref().unwrap_or_default());
    }
    page.line(&format!("  refs in the repository: {}", disk.refs.len()));
    let aleph = |key: &str| disk.aleph.as_ref().and_then(|aleph| aleph.get(key)?.as_str());
    if let Some(image) = aleph("target-image").or(aleph("image")) {
        page.wrapped("  installed as ", &format!("{image} {}", aleph("digest").unwrap_or_default()));
    }
}

fn problems(disk: &Inspection, page: &mut Page) {
    page.section(if disk.problems.is_empty() { "Nothing looks wrong." } else { "Problems" });
    for problem in &disk.problems {
        page.wrapped("  ✗ ", problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_speak_to_the_terminal() {
        let mut page = Page { text: String::new(), width: 80 };
        page.line("a\u{1b}[31mb\n");
        assert_eq!(page.text, "a\u{fffd}[31mb\u{fffd}\n");
    }

    #[test]
    fn only_checksums_are_shortened() {
        let checksum = "0123456789abcdef".repeat(4);
        assert_eq!(
            shortened(&format!("/boot/default-{checksum}/vmlinuz-6.12")),
            "/boot/default-0123456789ab…/vmlinuz-6.12"
        );
        assert_eq!(shortened("deadbeef.0"), "deadbeef.0");
    }

    #[test]
    fn words_break_at_the_width_and_hang() {
        let mut page = Page { text: String::new(), width: 20 };
        page.wrapped("  ✗ ", "aaaaaaa bbbbbbb ccccccc");
        assert_eq!(page.text, "  ✗ aaaaaaa bbbbbbb\n    ccccccc\n");
    }
}
