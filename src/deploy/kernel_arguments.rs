//! The kernel command line of the first boot entry, in bootc's order.

use super::DeployError;
use crate::os::{Architecture, InstallConfig};

/// How the kernel finds the root and boot filesystems. `None`: the image wants no such argument.
#[derive(Clone, Debug, Default)]
pub struct RootMount {
    pub root: Option<String>,
    pub boot: Option<String>,
}

/// An ordered list of arguments without exact duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelArguments(Vec<String>);

impl KernelArguments {
    /// `root= rw boot=`, the install configuration's, kargs.d's, then the user's; before the user's the consoles,
    /// unless somebody names one.
    pub fn assemble(
        mount: &RootMount,
        install: &InstallConfig,
        kargs_d: &[String],
        user: &[String],
        consoles: Option<Architecture>,
    ) -> Result<KernelArguments, DeployError> {
        let mut all = KernelArguments::default();
        all.0.extend(mount.root.as_ref().map(|root| format!("root={root}")));
        all.0.push("rw".to_owned());
        all.0.extend(mount.boot.as_ref().map(|boot| format!("boot={boot}")));
        all.append(install.kargs.iter().chain(kargs_d).flat_map(|text| text.split_ascii_whitespace()));
        for delete in &install.karg_deletes {
            all.delete(delete);
        }
        let user: Vec<&str> = user.iter().flat_map(|text| text.split_ascii_whitespace()).collect();
        let names_console = all.iter().chain(user.iter().copied()).any(|argument| argument.starts_with("console="));
        if let Some(architecture) = consoles.filter(|_| !names_console) {
            all.append(["console=tty0", &format!("console={}", architecture.serial_console())].into_iter());
        }
        user.iter().try_for_each(|argument| check_argument(argument))?;
        all.append(user.into_iter());
        all.0.iter().try_for_each(|argument| check_readable(argument))?;
        Ok(all)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn append<'a>(&mut self, arguments: impl Iterator<Item = &'a str>) {
        for argument in arguments {
            if !self.0.iter().any(|have| have == argument) {
                self.0.push(argument.to_owned());
            }
        }
    }

    /// `key=value` removes that pair, `key` alone every value of the key.
    fn delete(&mut self, what: &str) {
        self.0.retain(|argument| argument != what && (what.contains('=') || argument.split('=').next() != Some(what)));
    }
}

/// Whether a user's argument can be added: not one that the disk itself decides, nor one that the boot menu would mangle.
pub fn check_argument(argument: &str) -> Result<(), DeployError> {
    argument.split_ascii_whitespace().try_for_each(|word| match word.split('=').next() {
        Some("root") => refuse(word, "the disk's own root filesystem is named already".to_owned()),
        _ => check_readable(word),
    })
}

/// An argument that the boot menu's reader would not hand to the kernel as it stands is refused.
fn check_readable(argument: &str) -> Result<(), DeployError> {
    if argument.starts_with("ostree=") {
        return refuse(
            argument,
            "the boot entry's own `ostree=` leads to the deployment, and there can be only one".to_owned(),
        );
    }
    match super::boot_entry::unreadable(argument) {
        Some(reason) => refuse(argument, reason),
        None => Ok(()),
    }
}

fn refuse(argument: &str, reason: String) -> Result<(), DeployError> {
    Err(DeployError::KernelArgument { argument: argument.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(install: &[&str], deletes: &[&str], user: &[&str]) -> Result<String, DeployError> {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let install = InstallConfig { kargs: owned(install), karg_deletes: owned(deletes), ..InstallConfig::default() };
        let mount = RootMount { root: Some("UUID=r".into()), boot: Some("UUID=b".into()) };
        let all =
            KernelArguments::assemble(&mount, &install, &["quiet".into()], &owned(user), Some(Architecture::X86_64))?;
        Ok(all.iter().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_order_is_bootcs() {
        let line = assemble(&["a=1"], &[], &["b=2 c"]).unwrap();
        assert_eq!(line, "root=UUID=r rw boot=UUID=b a=1 quiet console=tty0 console=ttyS0 b=2 c");
    }

    #[test]
    fn a_console_of_the_image_or_the_user_replaces_the_defaults() {
        assert!(!assemble(&["console=ttyS1"], &[], &[]).unwrap().contains("tty0"));
        assert!(assemble(&[], &[], &["console=hvc0"]).unwrap().ends_with("quiet console=hvc0"));
    }

    #[test]
    fn deletes_take_a_pair_or_every_value_of_a_key() {
        let line = assemble(&["a=1", "a=2", "b=1", "b=2", "a"], &["a=1", "b"], &[]).unwrap();
        assert!(line.contains(" a=2 a quiet"), "{line}");
    }

    #[test]
    fn exact_duplicates_are_not_repeated() {
        assert_eq!(assemble(&["quiet", "quiet"], &[], &["quiet"]).unwrap().matches("quiet").count(), 1);
    }

    #[test]
    fn arguments_that_the_boot_menu_would_mangle_are_refused() {
        for argument in ["root=/dev/sda1", "a=\"b", "a;b", "a=$x", "a&b", "ostree=/ostree/boot.1/x/y/0", "a{b}"] {
            assert!(assemble(&[], &[], &[argument]).is_err(), "{argument}");
        }
    }
}
