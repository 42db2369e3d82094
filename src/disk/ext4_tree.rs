//! A [`Tree`] in the words of the ext4 leaf.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Placement;
use crate::ext4;
use crate::seed::Seed;
use crate::tree::{Data, Inode, InodeId, Kind, Seconds, Tree};

/// What mkfs would be told. `verity` is on for the root alone: bootc's has it, and a later image may need it.
pub fn filesystem_options(
    seed: &Seed,
    name: &str,
    uuid: Uuid,
    label: &str,
    time: Seconds,
    verity: bool,
) -> ext4::Options {
    let hash_seed = *seed.uuid(&format!("hash/{name}")).as_bytes();
    ext4::Options { uuid: *uuid.as_bytes(), hash_seed, label: label.to_owned(), time, verity }
}

/// Translates the inodes that are reachable, in tree order; `time` is when they were made and last changed.
pub fn filesystem_tree(tree: &Tree, placement: &Placement, time: Seconds) -> ext4::Tree {
    let numbers = number(tree);
    let mut inodes: Vec<(usize, ext4::Inode)> =
        numbers.iter().map(|(id, &number)| (number, translate(tree.inode(*id), &numbers, placement, time))).collect();
    inodes.sort_unstable_by_key(|(number, _)| *number);
    ext4::Tree { inodes: inodes.into_iter().map(|(_, inode)| inode).collect() }
}

/// Numbers the reachable inodes, the root first and the rest as a walk meets them.
fn number(tree: &Tree) -> BTreeMap<InodeId, usize> {
    let mut numbers = BTreeMap::from([(Tree::ROOT, 0)]);
    let mut left = vec![Tree::ROOT];
    while let Some(directory) = left.pop() {
        for (_, child) in tree.entries(directory) {
            let next = numbers.len();
            numbers.entry(child).or_insert_with(|| {
                left.push(child);
                next
            });
        }
    }
    numbers
}

fn translate(inode: &Inode, numbers: &BTreeMap<InodeId, usize>, placement: &Placement, time: Seconds) -> ext4::Inode {
    let stamp = |seconds| ext4::Timestamp { seconds, nanoseconds: 0 };
    ext4::Inode {
        permissions: inode.stat.permissions,
        uid: inode.stat.uid,
        gid: inode.stat.gid,
        accessed: stamp(time),
        changed: stamp(time),
        modified: stamp(inode.stat.modified),
        created: stamp(time),
        immutable: inode.immutable,
        xattrs: inode.stat.xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        kind: match &inode.kind {
            Kind::Directory(entries) => {
                ext4::Kind::Directory(entries.iter().map(|(name, id)| (name.to_vec(), numbers[id])).collect())
            }
            Kind::Regular(Data::Bytes(bytes)) => ext4::Kind::Regular(ext4::Data::bytes(bytes.clone())),
            Kind::Regular(Data::Spooled(content)) => {
                ext4::Kind::Regular(ext4::Data::source(placement.ordered(*content), content.len))
            }
            Kind::Symlink(target) => ext4::Kind::Symlink(target.to_vec()),
        },
    }
}
