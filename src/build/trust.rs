//! Which images are taken, and what the machine will ask of its upgrades.

use std::path::Path;

use super::BuildError;
use super::origin::FoundImage;
use crate::container_trust::{Accepted, Identity, Policy};
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
    let admit = |policy| source::admit(&*found.source, &found.resolved, policy, wishes.now);
    let accepted = wishes.policy.as_ref().map(admit).transpose()?;
    if wishes.enforce {
        enforceable(wishes, accepted.as_ref())?;
    }
    Ok(accepted)
}

/// Enforcing a policy that asks for nothing, in general or of this image, would be no more than a promise.
fn enforceable(wishes: &TrustRequest, accepted: Option<&Accepted>) -> Result<(), BuildError> {
    let why = match &wishes.policy {
        None => "there is no policy on this machine".to_owned(),
        Some(policy) if policy.accepts_anything() => format!("{policy} accepts anything"),
        Some(_) if accepted.is_some_and(Accepted::is_signed) => return Ok(()),
        Some(policy) => format!("{policy} takes this image without a signature"),
    };
    Err(BuildError::NothingToEnforce { why })
}

/// The target as its upgrades are checked.
pub fn target(
    target: TargetImage,
    accepted: Option<&Accepted>,
    request: &Request,
    os: &Os,
) -> Result<TargetImage, BuildError> {
    if !request.trust.enforce && !os.install.enforce_container_sigpolicy {
        return Ok(target);
    }
    enforceable(&request.trust, accepted)?;
    Ok(target.signed())
}

/// What would keep the machine from its upgrades.
pub fn machine_warning(target: &TargetImage, files: &Files<'_>) -> Result<Option<String>, BuildError> {
    if !target.is_signed() {
        return Ok(None);
    }
    let path = Path::new("/").join(OF_MACHINE);
    let why = match in_image(&path, files)?.map(|text| Policy::parse(&path, &text)) {
        // A link that leads out of the image.
        None if is_named(&path, files)? => None,
        None => Some("is missing".to_owned()),
        Some(Err(_)) => Some("cannot be read by any client".to_owned()),
        Some(Ok(policy)) => obstacle(&policy, target, files),
    };
    let warning =
        |why| format!("the machine will refuse its upgrades, which have to be signed: its {} {why}", path.display());
    Ok(why.map(warning))
}

fn obstacle(policy: &Policy, target: &TargetImage, files: &Files<'_>) -> Option<String> {
    // OK to ignore: a name that is none of an image's is another one's concern.
    let identity = Identity::docker(&target.as_str().parse().ok()?);
    let is_of_image = |path: &Path| path.starts_with("/etc") || path.starts_with("/usr");
    // What lies in /var may be there.
    let is_there = |path: &Path| !is_of_image(path) || is_named(path, files).unwrap_or(true);
    policy.obstacle(&identity, &is_there)
}

/// A file that machines of the image have at `path`.
fn in_image(path: &Path, files: &Files<'_>) -> Result<Option<Vec<u8>>, DeployError> {
    let [first, second] = names_in_image(path);
    Ok(files.read(&first, LIMIT)?.map_or_else(|| files.read(&second, LIMIT), |text| Ok(Some(text)))?)
}

/// Whether the image has something of that name, be it a link that leads nowhere before there is an /etc.
fn is_named(path: &Path, files: &Files<'_>) -> Result<bool, DeployError> {
    let [first, second] = names_in_image(path);
    Ok(files.has(&first)? || files.has(&second)?)
}

/// What the machine has in /etc is in usr/etc of its image.
fn names_in_image(path: &Path) -> [String; 2] {
    let path = path.strip_prefix("/").unwrap_or(path).display();
    [format!("usr/{path}"), path.to_string()]
}
