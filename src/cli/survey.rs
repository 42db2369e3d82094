//! `bootwright inspect SOURCE`, for people.

use crate::survey::Survey;
use crate::units::Bytes;

/// Columns of the names of fields.
const NAMES: usize = 14;

pub fn text(survey: &Survey) -> String {
    let mut page = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let value = super::hint::printable(value);
            page.push_str(&format!("{name:<NAMES$} {value}\n"));
        }
    };
    line("Source", &survey.source);
    let commit = &survey.commit;
    line("Ref", commit.name.as_deref().unwrap_or_default());
    line("Commit", &commit.commit);
    line("Date", &commit.created);
    line("Version", commit.version.as_deref().unwrap_or_default());
    line("Subject", &commit.subject);
    let verified = if commit.verification.verified { "yes" } else { "NO" };
    line("Verified", verified);
    if commit.verification.signatures.is_empty() {
        line("Signature", "none");
    }
    for signature in &commit.verification.signatures {
        line("Signature", &signature.to_string());
    }
    let size = match survey.size {
        Some(bytes) => format!("{} in {} objects", Bytes(bytes), commit.files),
        None => format!("{} objects; the commit does not say how large (ostree.sizes)", commit.files),
    };
    line("Files", &size);
    line("Download", &survey.download.map(|bytes| Bytes(bytes).to_string()).unwrap_or_default());
    if let Some(system) = &survey.system {
        line("System", &system.name);
        line("Kernel", &format!("{} for {}", system.kernel, system.architecture));
        line("Upgrades with", system.update_client.unwrap_or("nothing: no client is in it"));
        line("Grows", if system.grows_at_first_boot { "at first boot" } else { "no: systemd-repart is not in it" });
        line("Composefs", if system.composefs { "yes" } else { "no" });
        for file in &system.bootloader_files {
            let signed = if file.signed { "signed " } else { "" };
            line("Boot file", &format!("{} ({signed}{})", file.path, file.role));
        }
        line("Boot loader", system.bootloader.as_deref().unwrap_or_default());
    }
    for (key, value) in commit.metadata.iter().filter(|(key, _)| *key != "version") {
        line("Metadata", &format!("{key} = {value}"));
    }
    for warning in &survey.warnings {
        line("Warning", warning);
    }
    line("No disk", survey.obstacle.as_deref().unwrap_or_default());
    page
}
