//! What a boot test found out.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::{Accelerator, Firmware, Stage, Step};

/// The end of a boot test that could be held.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub passed: bool,
    /// One sentence.
    pub reason: String,
    /// The last stage reached.
    pub stage: Stage,
    /// Wall clock of the whole test, a try under KVM that was given up included.
    pub seconds: f64,
    /// What the guest ran with in the end.
    pub accelerator: Accelerator,
    /// Why KVM, tried first, was given up.
    pub kvm_given_up: Option<String>,
    pub firmware: Firmware,
    /// The console line that decided.
    pub matched: Option<String>,
    /// What usually keeps a boot from leaving `stage`; empty when passed.
    pub usual_causes: Vec<&'static str>,
    /// The end of the console, at most 20 lines.
    pub last_lines: Vec<String>,
    /// The console log; `None` when the test passed and no log was asked for.
    #[serde(serialize_with = "lossy")]
    pub log: Option<PathBuf>,
    /// The picture, when one was asked for and could be taken.
    #[serde(serialize_with = "lossy")]
    pub screenshot: Option<PathBuf>,
    /// What else went wrong, without bearing on `passed`.
    pub warnings: Vec<String>,
    /// What the machine went through, when more than a boot was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// serde refuses paths that are not UTF-8; a report may show them approximately.
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}
