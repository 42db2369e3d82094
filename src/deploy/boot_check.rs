//! Checking a /boot without a journal after a power cut.
//!
//! systemd checks filesystems with `fsck -a`, which leaves everything to a person that a journal would have settled, and the
//! machine ends in emergency mode. What libostree needs is on the disk before it swaps its entries, so every answer is good.

use crate::os::Os;
use crate::tree::{InodeId, Seconds, Stat, Tree};

/// Whether /boot may go without a journal: something on the machine checks it, found by the UUID.
pub fn can_be_placed(os: &Os) -> bool {
    os.e2fsck.is_some() && os.install.boot_mount_spec.is_none()
}

/// Tells systemd how to check /boot, in the deployment's /etc.
pub fn place(tree: &mut Tree, etc: InodeId, e2fsck: &str, boot_uuid: &str, time: Seconds) {
    let unit = format!("systemd-fsck@{}.service.d", device_unit(boot_uuid));
    let directory = tree.ensure_directories(etc, &format!("systemd/system/{unit}"), &Stat::root(0o755, time));
    let text = format!(
        "# /boot has no journal, since boot loaders do not replay one. After a power cut e2fsck has questions.\n\
         [Service]\nExecStart=\nExecStart=/{e2fsck} -y %f\n# Errors were corrected.\nSuccessExitStatus=1\n"
    );
    tree.add_file(directory, "50-repair.conf", Stat::root(0o644, time), text);
}

/// The filesystem's device in the words of systemd-escape(1), as systemd-fstab-generator(8) makes it of `UUID=`.
fn device_unit(uuid: &str) -> String {
    format!("dev-disk-by\\x2duuid-{}", uuid.replace('-', "\\x2d"))
}
