//! Growing to a larger disk at first boot, with what systemd brings.
//!
//! GPT's grow attribute alone does nothing on ostree: systemd-growfs-root waits for `-.mount`, which never starts there. So
//! systemd-repart is told to grow the root partition, and a unit of ours then grows the filesystem through a path on it.

use crate::tree::{InodeId, Seconds, Stat, Tree};

const REPART: &str = "\
# The root partition grows to the end of the disk (repart.d(5)).
[Partition]
Type=root
";

const UNIT: &str = "\
[Unit]
Description=Grow the root filesystem to the size of its partition
Documentation=man:systemd-growfs@.service(8)
After=systemd-repart.service
RequiresMountsFor=/var

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/systemd/systemd-growfs /var

[Install]
WantedBy=multi-user.target
";

const UNIT_NAME: &str = "bootwright-growfs.service";

/// Puts the enabled unit into the deployment's /etc, and the partition's definition unless the image brings its own.
pub fn place(tree: &mut Tree, etc: InodeId, define_root: bool, time: Seconds) {
    let (directory, file) = (Stat::root(0o755, time), Stat::root(0o644, time));
    if define_root {
        let repart = tree.ensure_directories(etc, "repart.d", &directory);
        tree.add_file(repart, "50-root.conf", file.clone(), REPART);
    }
    let units = tree.ensure_directories(etc, "systemd/system", &directory);
    tree.add_file(units, UNIT_NAME, file, UNIT);
    let wants = tree.ensure_directories(units, "multi-user.target.wants", &directory);
    tree.add_symlink(wants, UNIT_NAME, Stat::root(0o777, time), &format!("/etc/systemd/system/{UNIT_NAME}"));
}
