//! `bootwright inspect SOURCE`, for people.

use crate::report::CommitFacts;
use crate::source::KeptSignatures;
use crate::survey::{Choice, ImageSurvey, SignaturesSurvey, Survey, SystemSurvey};
use crate::units::Bytes;

/// Columns of the names of fields.
const NAMES: usize = 14;

pub fn text(survey: &Survey) -> String {
    let mut page = Page::default();
    page.line("Source", &survey.source);
    if let Some(image) = &survey.image {
        of_image(&mut page, image);
    }
    if let Some(commit) = &survey.commit {
        of_commit(&mut page, commit);
    }
    page.line("Unpacked", &survey.size.map(|bytes| Bytes(bytes).to_string()).unwrap_or_default());
    page.line("Download", &survey.download.map(|bytes| Bytes(bytes).to_string()).unwrap_or_default());
    if let Some(system) = &survey.system {
        of_system(&mut page, system);
    }
    let labels = survey.image.iter().flat_map(|image| &image.labels);
    labels.for_each(|(key, value)| page.line("Label", &format!("{key} = {value}")));
    let metadata = survey.commit.iter().flat_map(|commit| &commit.metadata).filter(|(key, _)| *key != "version");
    metadata.for_each(|(key, value)| page.line("Metadata", &format!("{key} = {value}")));
    survey.warnings.iter().for_each(|warning| page.line("Warning", warning));
    page.line("No disk", survey.obstacle.as_deref().unwrap_or_default());
    page.0
}

/// Lines of a name and a value.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Nothing, where the value is empty. A value of the image's stays on its line: the next one would look like ours.
    fn line(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let value = super::hint::printable(&value.replace('\n', "\\n"));
            self.0.push_str(&format!("{name:<NAMES$} {value}\n"));
        }
    }
}

fn of_image(page: &mut Page, image: &ImageSurvey) {
    page.line("Manifest", &image.manifest_digest);
    page.line("Date", image.created.as_deref().unwrap_or_default());
    page.line("Version", image.version.as_deref().unwrap_or_default());
    page.line("Architecture", &image.architecture);
    page.line("Upgrades from", image.target.as_deref().unwrap_or_default());
    if let Some(trust) = &image.trust {
        let refused = if trust.accepted { "" } else { "REFUSED: " };
        page.line("Policy", &format!("{refused}{}", trust.because));
    }
    page.line("Signatures", &signatures(image));
    for (number, layer) in image.layers.iter().enumerate() {
        let (size, kind) = (Bytes(layer.compressed), layer.media_type.rsplit('.').next().unwrap_or_default());
        page.line(&format!("Layer {number}"), &format!("{}  {size}  {kind}", layer.digest));
    }
}

/// How many there are, and whether somebody looked at them.
fn signatures(image: &ImageSurvey) -> String {
    let SignaturesSurvey { kept: KeptSignatures { places, cosign, gpg, bundles }, unknown } = &image.signatures;
    if let Some(why) = unknown {
        return format!("unknown: {why}");
    }
    let kinds = [(cosign, "by cosign"), (gpg, "by GPG"), (bundles, "in sigstore bundles, which are not supported")];
    let found: Vec<_> =
        kinds.iter().filter(|(count, _)| **count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    let is_asked = image.trust.as_ref().is_some_and(|trust| trust.signed || !trust.accepted);
    let checked = if is_asked { "" } else { "; nobody asks for them (--cosign-key, --policy)" };
    match found.is_empty() {
        true => format!("none in {places}"),
        false => format!("{}{checked}", found.join(", ")),
    }
}

fn of_commit(page: &mut Page, commit: &CommitFacts) {
    page.line("Ref", commit.name.as_deref().unwrap_or_default());
    page.line("Commit", &commit.commit);
    page.line("Date", &commit.created);
    page.line("Version", commit.version.as_deref().unwrap_or_default());
    page.line("Subject", &commit.subject);
    page.line("Verified", if commit.verification.verified { "yes" } else { "NO" });
    if commit.verification.signatures.is_empty() {
        page.line("Signature", "none");
    }
    commit.verification.signatures.iter().for_each(|signature| page.line("Signature", &signature.to_string()));
    page.line("Files", &commit.files.to_string());
}

fn of_system(page: &mut Page, system: &SystemSurvey) {
    page.line("System", &system.name);
    page.line("Kernel", &format!("{} for {}", system.kernel, system.architecture));
    page.line("Upgrades with", system.update_client.unwrap_or("nothing: no client is in it"));
    page.line("Grows", if system.grows_at_first_boot { "at first boot" } else { "no: systemd-repart is not in it" });
    page.line("Composefs", if system.composefs { "yes" } else { "no" });
    for file in &system.bootloader_files {
        let signed = if file.signed { "signed " } else { "" };
        page.line("Boot file", &format!("{} ({signed}{})", file.path, file.role));
    }
    let choice = |choice: &Option<Choice>| choice.as_ref().map(|Choice { name, why }| format!("{name} ({why})"));
    page.line("Layout", &choice(&system.layout).unwrap_or_default());
    page.line("Root", &choice(&system.root_filesystem).unwrap_or_default());
    page.line("Stateroot", &system.stateroot);
    page.line("Boot loader", system.bootloader.as_deref().unwrap_or_default());
}
