//! The boot filesystem: kernel, initramfs and device trees under libostree's names, and the boot entry.

use super::BootEntry;
use super::boot_entry::BOOT_VERSION;
use crate::os::{DeviceTree, Kernel};
use crate::tree::{InodeId, Kind, Seconds, Stat, Tree};

/// Makes the tree of a boot filesystem of its own. `root` is where the image's files are.
pub fn boot_tree(root: &Tree, kernel: &Kernel, directory: &str, entry: &BootEntry, time: Seconds) -> Tree {
    let stat = Stat::root(0o755, time);
    let mut boot = Tree::new(stat.clone());
    // Lets paths that begin with /boot resolve here as well as on a root filesystem with /boot inside.
    boot.add_symlink(Tree::ROOT, "boot", Stat::root(0o777, time), ".");
    boot.add_directory(Tree::ROOT, "efi", Stat::root(0o700, time));
    let loader = format!("loader.{BOOT_VERSION}");
    boot.add_symlink(Tree::ROOT, "loader", Stat::root(0o777, time), &loader);
    let entries = boot.ensure_directories(Tree::ROOT, &format!("{loader}/entries"), &stat);
    boot.add_file(entries, "ostree-1.conf", Stat::root(0o644, time), entry.text());
    let files = boot.ensure_directories(Tree::ROOT, &format!("ostree/{directory}"), &stat);
    place_kernel(root, kernel, &mut boot, files, time);
    boot
}

fn place_kernel(root: &Tree, kernel: &Kernel, boot: &mut Tree, files: InodeId, time: Seconds) {
    let version = &kernel.version;
    let mut place = |name: String, from: InodeId| {
        let copy = copy_from(root, from, boot, time);
        boot.link(files, name.as_bytes(), copy);
    };
    place(format!("vmlinuz-{version}"), kernel.vmlinuz);
    place(format!("initramfs-{version}.img"), kernel.initramfs);
    match kernel.device_tree {
        Some(DeviceTree::File(id)) => place(format!("devicetree-{version}"), id),
        Some(DeviceTree::Directory(id)) => place("dtb".to_owned(), id),
        None => {}
    }
    if let Some(hmac) = kernel.hmac {
        place(format!(".vmlinuz-{version}.hmac"), hmac);
    }
}

/// A copy on another filesystem: owner and mode stay, xattrs go.
fn copy_from(from: &Tree, id: InodeId, to: &mut Tree, time: Seconds) -> InodeId {
    let inode = from.inode(id);
    let stat = Stat { modified: time, xattrs: Default::default(), ..inode.stat.clone() };
    let kind = match &inode.kind {
        Kind::Directory(entries) => Kind::Directory(
            entries.iter().map(|(name, &child)| (name.clone(), copy_from(from, child, to, time))).collect(),
        ),
        other => other.clone(),
    };
    to.orphan(stat, kind)
}
