//! The image's SELinux policy, as far as it labels files.

use super::{CONFIG_LIMIT, OsError, has_program};
use crate::selinux::{FileContexts, FileKind, Label, PolicyFiles};
use crate::tree::{Files, ReadError};

/// Each of a policy's texts; Fedora's largest has half a megabyte.
const POLICY_LIMIT: u64 = 16 << 20;

/// An active policy.
#[derive(Debug)]
pub struct SelinuxPolicy {
    /// SELINUXTYPE: `targeted`, `default`.
    pub name: String,
    contexts: FileContexts,
}

impl SelinuxPolicy {
    /// The policy that the tree's configuration turns on; none when there is none, as libostree decides.
    pub fn find(files: &Files<'_>) -> Result<Option<SelinuxPolicy>, OsError> {
        for etc in ["etc/selinux", "usr/etc/selinux"] {
            if let Some(text) = files.read_text(&format!("{etc}/config"), CONFIG_LIMIT)? {
                return match active_policy(&text) {
                    Some(name) => SelinuxPolicy::read(files, etc, name).map(Some),
                    None => Ok(None),
                };
            }
        }
        Ok(None)
    }

    fn read(files: &Files<'_>, etc: &str, name: String) -> Result<SelinuxPolicy, OsError> {
        let path = format!("{etc}/{name}/contexts/files/file_contexts");
        let read = |suffix: &str| files.read(&format!("{path}{suffix}"), POLICY_LIMIT);
        let file_contexts =
            read("")?.ok_or_else(|| OsError::NoFileContexts { name: name.clone(), path: path.clone() })?;
        let texts = PolicyFiles {
            file_contexts,
            homedirs: read(".homedirs")?,
            local: read(".local")?,
            subs: read(".subs")?,
            subs_dist: read(".subs_dist")?,
        };
        let wrong = |error: crate::selinux::Error| OsError::Config { path: path.clone(), message: error.to_string() };
        Ok(SelinuxPolicy { contexts: FileContexts::parse(&texts).map_err(wrong)?, name })
    }

    /// The label of an absolute path; none where the policy has none or wants none. libostree asks for /proc as for /mnt
    /// (`ostree-sepolicy.c`).
    pub fn label(&self, path: &str, kind: FileKind) -> Option<&str> {
        let path = if path == "/proc" { "/mnt" } else { path };
        match self.contexts.lookup(path, kind) {
            Label::Context(label) => Some(label),
            Label::NoLabel | Label::NoMatch => None,
        }
    }
}

/// What is not there of that by which libostree rebuilds the policy of every new deployment with an etc/selinux/config: two
/// programs, and the policy's modules, which it looks for where there is no /var (`ostree-sysroot-deploy.c`,
/// `sysroot_finalize_selinux_policy`).
pub fn missing_for_upgrades(files: &Files<'_>) -> Result<Vec<&'static str>, ReadError> {
    let mut missing = Vec::new();
    for etc in ["etc/selinux", "usr/etc/selinux"] {
        if !files.is_file(&format!("{etc}/config"))? {
            continue;
        }
        for program in ["bwrap", "semodule"] {
            if !has_program(files, program)? {
                missing.push(program);
            }
        }
        let modules = files.list(etc)?.into_iter().map(|policy| files.find(&format!("{etc}/{policy}/active/modules")));
        if modules.collect::<Result<Vec<_>, _>>()?.iter().all(Option::is_none) {
            missing.push("the policy's modules in /etc/selinux/NAME/active");
        }
    }
    Ok(missing)
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
