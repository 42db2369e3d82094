//! Whether the image has an active SELinux policy.

use super::{CONFIG_LIMIT, OsError};
use crate::tree::Files;

/// Images with an active policy have to be labelled; until that is written, an unlabelled disk must not come out.
pub fn refuse_active_policy(files: &Files<'_>) -> Result<(), OsError> {
    for path in ["etc/selinux/config", "usr/etc/selinux/config"] {
        if let Some(text) = files.read_text(path, CONFIG_LIMIT)? {
            return match active_policy(&text) {
                Some(policy) => Err(OsError::Selinux { policy }),
                None => Ok(()),
            };
        }
    }
    Ok(())
}

/// SELINUXTYPE when SELINUX is enforcing or permissive; every other word means no policy, as in libostree.
fn active_policy(text: &str) -> Option<String> {
    let value = |key: &str| {
        text.lines().rev().find_map(|line| Some(line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim()))
    };
    let active = matches!(value("SELINUX")?, "enforcing" | "permissive");
    active.then(|| value("SELINUXTYPE").unwrap_or("unnamed").to_owned())
}

#[cfg(test)]
mod tests {
    use super::active_policy;

    #[test]
    fn only_enforcing_and_permissive_are_active() {
        assert_eq!(active_policy("SELINUX=enforcing\nSELINUXTYPE=targeted\n").as_deref(), Some("targeted"));
        assert_eq!(active_policy("SELINUX=permissive\nSELINUXTYPE=default\n").as_deref(), Some("default"));
        assert_eq!(active_policy("#SELINUX=enforcing\nSELINUX=disabled\nSELINUXTYPE=targeted\n"), None);
        assert_eq!(active_policy(""), None);
    }
}
