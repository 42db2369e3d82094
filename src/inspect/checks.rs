//! What looks wrong once all is read: parts of the disk that contradict one another.

use super::firmware::is_default_program;
use super::{BootEntry, Deployment, Inspection, OriginKind, Partition, TableKind};
use crate::units::Bytes;

/// Adds a sentence per contradiction, in the order of the disk: table, filesystems, boot entries, deployments.
pub fn check(disk: &mut Inspection) {
    let mut problems = Vec::new();
    places(disk, &mut problems);
    esp(disk, &mut problems);
    for entry in &disk.boot_entries {
        boot_entry(entry, disk, &mut problems);
    }
    for deployment in &disk.deployments {
        origin(deployment, disk, &mut problems);
    }
    unread_root(disk, &mut problems);
    disk.problems.append(&mut problems);
}

fn places(disk: &Inspection, problems: &mut Vec<String>) {
    let mut sorted: Vec<&Partition> = disk.partitions.iter().collect();
    sorted.sort_by_key(|partition| partition.start);
    for pair in sorted.windows(2) {
        if end(pair[0]) > pair[1].start {
            problems.push(format!("partitions {} and {} overlap", pair[0].number, pair[1].number));
        }
    }
    for partition in sorted {
        let (name, end) = (partition.name(), end(partition));
        if end > disk.virtual_size {
            let size = disk.virtual_size;
            problems.push(format!(
                "{name} ends at byte {end}, beyond the end of the disk at {size}: the image is truncated"
            ));
        }
        let filesystem = partition.filesystem.as_ref().and_then(|filesystem| Some((filesystem.kind, filesystem.size?)));
        if let Some((kind, size)) = filesystem.filter(|(_, size)| *size > partition.bytes) {
            let (size, bytes) = (Bytes(size), Bytes(partition.bytes));
            problems.push(format!("the {kind} on {name} has {size}, more than the {bytes} of the partition"));
        }
    }
}

fn end(partition: &Partition) -> u64 {
    partition.start.saturating_add(partition.bytes)
}

fn esp(disk: &Inspection, problems: &mut Vec<String>) {
    let Some(esp) = disk.partitions.iter().find(|partition| partition.is_esp()) else { return };
    match &esp.filesystem {
        Some(filesystem) if filesystem.kind == "vfat" => {
            if !disk.efi_files.iter().any(is_default_program) {
                problems.push(format!(
                    "the ESP, partition {}, has no EFI/BOOT/BOOT*.EFI for firmware to start",
                    esp.number
                ));
            }
        }
        Some(filesystem) => {
            problems.push(format!("the ESP, partition {}, is {} and not FAT", esp.number, filesystem.kind))
        }
        None => problems.push(format!("the ESP, partition {}, has no filesystem that is known", esp.number)),
    }
}

fn boot_entry(entry: &BootEntry, disk: &Inspection, problems: &mut Vec<String>) {
    let path = &entry.path;
    if entry.linux.is_none() {
        problems.push(format!("the boot entry `{path}` names no kernel"));
    }
    for missing in &entry.missing {
        problems
            .push(format!("the boot entry `{path}` names `{missing}`, which is not on partition {}", entry.partition));
    }
    match (entry.ostree(), &entry.deployment) {
        (Some(link), None) => {
            problems.push(format!("the boot entry `{path}` says ostree={link}, which leads to no deployment"));
        }
        (None, _) if !disk.deployments.is_empty() => {
            problems.push(format!("the boot entry `{path}` has no ostree= argument"))
        }
        _ => {}
    }
    for key in ["root", "boot"] {
        if let Some(uuid) =
            entry.argument(key).and_then(|value| value.strip_prefix("UUID=")).filter(|uuid| !has_uuid(disk, uuid))
        {
            problems
                .push(format!("the boot entry `{path}` says {key}=UUID={uuid}, and no filesystem here has that UUID"));
        }
    }
}

fn has_uuid(disk: &Inspection, uuid: &str) -> bool {
    let mut filesystems = disk.partitions.iter().filter_map(|partition| partition.filesystem.as_ref());
    // What is inside an encrypted or composed device does not show.
    filesystems.any(|filesystem| {
        matches!(filesystem.kind, "crypto_LUKS" | "LVM2_member")
            || filesystem.uuid.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(uuid))
    })
}

fn origin(deployment: &Deployment, disk: &Inspection, problems: &mut Vec<String>) {
    let name = deployment.name();
    if !disk.boot_entries.iter().any(|entry| entry.deployment.as_ref() == Some(&name)) {
        problems.push(format!("no boot entry leads to the deployment {name}; the next upgrade will delete it"));
    }
    match &deployment.origin {
        None => problems.push(format!("the deployment {name} has no origin file, so it cannot be upgraded")),
        Some(origin) if origin.kind == OriginKind::Unknown => {
            problems
                .push(format!("the origin of the deployment {name} has neither container-image-reference nor refspec"));
        }
        Some(_) => {}
    }
}

/// Silence about the operating system must not read as if there were none.
fn unread_root(disk: &Inspection, problems: &mut Vec<String>) {
    if !disk.deployments.is_empty() || disk.table.kind == TableKind::None {
        return;
    }
    for partition in &disk.partitions {
        if let Some(kind @ ("xfs" | "btrfs" | "crypto_LUKS" | "LVM2_member")) =
            partition.filesystem.as_ref().map(|found| found.kind)
        {
            problems.push(format!(
                "partition {} is {kind}, which is not read here: a system on it is not shown",
                partition.number
            ));
        }
    }
}
