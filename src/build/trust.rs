//! Which images are taken, and what the machine will ask of its upgrades.

use std::path::Path;

use super::BuildError;
use super::origin::FoundImage;
use crate::container_trust::{Accepted, Policy};
use crate::deploy::{DeployError, TargetImage};
use crate::os::Os;
use crate::request::{Request, TrustRequest};
use crate::source;
use crate::tree::Files;

/// Where clients look for the policy that `ostree-image-signed:` asks for (containers/image `signature/policy_config.go`).
const OF_MACHINE: &str = "etc/containers/policy.json";
const LIMIT: u64 = 16 << 20;

/// Asks the policy, if there is one; nothing but the documents of the image has been read.
pub fn admit(found: &FoundImage, wishes: &TrustRequest) -> Result<Option<Accepted>, BuildError> {
    if wishes.enforce {
        enforceable(wishes)?;
    }
    let Some(policy) = &wishes.policy else { return Ok(None) };
    let accepted = source::admit(&*found.source, &found.resolved, policy, wishes.now)?;
    if wishes.enforce && !accepted.is_signed() {
        return Err(BuildError::NothingToEnforce { why: format!("{policy} takes this image without a signature") });
    }
    Ok(Some(accepted))
}

/// Enforcing a policy that asks for nothing would be no more than a promise.
fn enforceable(wishes: &TrustRequest) -> Result<(), BuildError> {
    match &wishes.policy {
        None => Err(BuildError::NothingToEnforce { why: "there is no policy on this machine".to_owned() }),
        Some(policy) if policy.accepts_anything() => {
            Err(BuildError::NothingToEnforce { why: format!("{policy} accepts anything") })
        }
        Some(_) => Ok(()),
    }
}

/// The target as its upgrades are checked.
pub fn target(target: TargetImage, request: &Request, os: &Os) -> Result<TargetImage, BuildError> {
    if !request.trust.enforce && !os.install.enforce_container_sigpolicy {
        return Ok(target);
    }
    enforceable(&request.trust)?;
    Ok(target.signed())
}

/// What would keep the machine from its upgrades.
pub fn machine_warning(target: &TargetImage, files: &Files<'_>) -> Result<Option<String>, BuildError> {
    if !target.is_signed() {
        return Ok(None);
    }
    let mut text = None;
    for directory in ["usr/", ""] {
        text = text.or(files.read(&format!("{directory}{OF_MACHINE}"), LIMIT).map_err(DeployError::from)?);
    }
    let why = match text.map(|text| Policy::parse(Path::new(OF_MACHINE), &text)) {
        None => "is missing",
        Some(Err(_)) => "cannot be read by any client",
        Some(Ok(policy)) if policy.accepts_anything() => "accepts anything",
        Some(Ok(_)) => return Ok(None),
    };
    Ok(Some(format!("the machine will refuse its upgrades, which have to be signed: its /{OF_MACHINE} {why}")))
}
