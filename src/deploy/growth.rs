//! Growing to a larger disk at first boot, with what the image brings.
//!
//! GPT's grow attribute alone does nothing on ostree: systemd-growfs-root waits for `-.mount`, which never starts there. So
//! systemd-repart is told to grow the root partition, and a unit of ours then grows the filesystem through a path on it. A
//! DOS label, which systemd-repart does not know, and an image without it get a script that does both with sfdisk.

use crate::layout::PartitionTable;
use crate::os::{GrowTools, Os};
use crate::tree::{InodeId, Seconds, Stat, Tree};

const REPART: &str = "\
# The root partition grows to the end of the disk (repart.d(5)).
[Partition]
Type=root
";

const SCRIPT: &str = include_str!("grow-root.sh");

const UNIT_NAME: &str = "bootwright-growfs.service";

/// How a disk's root partition and filesystem will grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grower {
    /// systemd-repart and systemd-growfs.
    Systemd,
    /// sfdisk, then systemd-growfs or resize2fs.
    Script,
}

impl Grower {
    /// What the image can do on a disk with this table; else what it lacks.
    pub fn choose(tools: &GrowTools, table: PartitionTable) -> Result<Grower, String> {
        if table == PartitionTable::Gpt && tools.repart && tools.growfs {
            return Ok(Grower::Systemd);
        }
        if tools.sfdisk && tools.partx && (tools.growfs || tools.resize2fs) {
            return Ok(Grower::Script);
        }
        Err(match table {
            PartitionTable::Gpt => "systemd-repart and systemd-growfs nor sfdisk, partx and resize2fs",
            PartitionTable::Dos => "sfdisk nor partx with systemd-growfs or resize2fs, which a DOS label needs",
        }
        .to_owned())
    }

    fn unit(self) -> String {
        let (after, command, page) = match self {
            Grower::Systemd => {
                ("After=systemd-repart.service\n", "/usr/lib/systemd/systemd-growfs /var", "systemd-growfs@.service(8)")
            }
            // SELinux policies let few start a file that is labelled as configuration.
            Grower::Script => ("", "/bin/sh /etc/bootwright/grow-root", "sfdisk(8)"),
        };
        format!(
            "[Unit]\nDescription=Grow the root filesystem to the size of its {}\nDocumentation=man:{page}\n{after}\
             RequiresMountsFor=/var\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={command}\n\n\
             [Install]\nWantedBy=multi-user.target\n",
            if self == Grower::Systemd { "partition" } else { "disk" }
        )
    }
}

/// Puts the enabled unit into the deployment's /etc, with the partition's definition (unless the image brings its own) or the
/// script.
pub fn place(tree: &mut Tree, etc: InodeId, grower: Grower, os: &Os, time: Seconds) {
    let (directory, file) = (Stat::root(0o755, time), Stat::root(0o644, time));
    match grower {
        Grower::Systemd if os.has_root_definition => {}
        Grower::Systemd => {
            let repart = tree.ensure_directories(etc, "repart.d", &directory);
            tree.add_file(repart, "50-root.conf", file.clone(), REPART);
        }
        Grower::Script => {
            let ours = tree.ensure_directories(etc, "bootwright", &directory);
            tree.add_file(ours, "grow-root", Stat::root(0o755, time), SCRIPT);
        }
    }
    let units = tree.ensure_directories(etc, "systemd/system", &directory);
    tree.add_file(units, UNIT_NAME, file, grower.unit());
    let wants = tree.ensure_directories(units, "multi-user.target.wants", &directory);
    tree.add_symlink(wants, UNIT_NAME, Stat::root(0o777, time), &format!("/etc/systemd/system/{UNIT_NAME}"));
}
