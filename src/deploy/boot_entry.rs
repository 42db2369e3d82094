//! The boot entry: one file after the Boot Loader Specification (type 1), with the fields and names that libostree writes.

use super::{DeployError, KernelArguments};
use crate::os::{DeviceTree, Kernel};

/// A fresh sysroot flips both counters of an empty one once: boot version 1, sub-version 1.
pub const BOOT_VERSION: u32 = 1;

/// The boot entry of the only deployment.
#[derive(Clone, Debug)]
pub struct BootEntry {
    pub title: String,
    /// Kernel arguments without `ostree=`.
    pub arguments: String,
    /// All of `options`, `ostree=` last.
    pub options: String,
    /// Paths as the boot loader resolves them on the boot filesystem.
    pub linux: String,
    pub initrd: String,
    pub device_tree: Option<String>,
    pub fdt_directory: Option<String>,
}

impl BootEntry {
    /// `name` is what the menu shows. `directory` is the name below /ostree of the boot filesystem, `link` the path that `ostree=` names.
    pub fn new(
        name: &str,
        arguments: &KernelArguments,
        kernel: &Kernel,
        directory: &str,
        link: &str,
    ) -> Result<BootEntry, DeployError> {
        if kernel.version.contains(char::is_whitespace) || unreadable(&kernel.version).is_some() {
            return Err(DeployError::KernelVersion { version: kernel.version.clone() });
        }
        let title = format!("{name} (ostree:0)");
        if let Some(reason) = unreadable(&title) {
            return Err(DeployError::Title { title: name.to_owned(), reason });
        }
        // `sysroot.bootprefix=true`: paths begin with /boot, which the link `boot -> .` makes true on a boot filesystem of its own.
        let path = |file: String| format!("/boot/ostree/{directory}/{file}");
        let version = &kernel.version;
        let arguments = arguments.iter().collect::<Vec<_>>().join(" ");
        Ok(BootEntry {
            title,
            options: format!("{arguments} ostree={link}"),
            arguments,
            linux: path(format!("vmlinuz-{version}")),
            initrd: path(format!("initramfs-{version}.img")),
            device_tree: matches!(kernel.device_tree, Some(DeviceTree::File(_)))
                .then(|| path(format!("devicetree-{version}"))),
            fdt_directory: matches!(kernel.device_tree, Some(DeviceTree::Directory(_))).then(|| path("dtb".to_owned())),
        })
    }

    /// The file's text. `options` stands before `linux`: GRUB without blscfg reads the file as a script in this order.
    pub fn text(&self) -> String {
        let mut text = format!("title {}\nversion 1\noptions {}\n", self.title, self.options);
        let mut line = |key: &str, value: &str| text.push_str(&format!("{key} {value}\n"));
        if let Some(device_tree) = &self.device_tree {
            line("devicetree", device_tree);
        }
        line("linux", &self.linux);
        line("initrd", &self.initrd);
        if let Some(directory) = &self.fdt_directory {
            line("fdtdir", directory);
        }
        text
    }
}

/// Why GRUB's script reader would not pass `text` on unchanged; `None` when it does.
///
/// Measured with GRUB 2.06, 2.12 and 2.14: quotes vanish and must be balanced, `$` expands, `;` ends a command, and
/// `& | { } < >` are syntax errors that make the entry disappear. A backslash would have to be doubled, `#` begins a comment at
/// the start of a word, and what is not ASCII depends on the menu's font: refused to be safe.
pub fn unreadable(text: &str) -> Option<String> {
    let bad = text.chars().find(|&c| "\"'$;&|{}<>\\#`".contains(c) || c.is_control() || !c.is_ascii())?;
    Some(match bad {
        c if c.is_control() => format!("the boot menu cannot carry the control character {:?}", c),
        c => format!("the boot menu cannot carry the character `{c}`"),
    })
}
