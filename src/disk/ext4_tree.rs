//! A [`Tree`] in the words of the ext4 leaf.

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
    let (numbers, order) = number(tree);
    let inodes = order.into_iter().map(|id| translate(tree.inode(id), &numbers, placement, time)).collect();
    ext4::Tree { inodes }
}

/// Numbers the reachable inodes, the root first and the rest as a walk meets them. The numbers by [`InodeId::index`], and
/// the inodes in the order of their numbers.
fn number(tree: &Tree) -> (Vec<Option<usize>>, Vec<InodeId>) {
    let mut numbers = vec![None; tree.inodes().len()];
    numbers[Tree::ROOT.index()] = Some(0);
    let (mut order, mut left) = (vec![Tree::ROOT], vec![Tree::ROOT]);
    while let Some(directory) = left.pop() {
        for (_, child) in tree.entries(directory) {
            let number = &mut numbers[child.index()];
            if number.is_none() {
                *number = Some(order.len());
                order.push(child);
                left.push(child);
            }
        }
    }
    (numbers, order)
}

fn translate(inode: &Inode, numbers: &[Option<usize>], placement: &Placement, time: Seconds) -> ext4::Inode {
    // OK to expect: what an inode that was reached names was reached too.
    let number = |id: &InodeId| numbers[id.index()].expect("the number of a child");
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
                ext4::Kind::Directory(entries.iter().map(|(name, id)| (name.to_vec(), number(id))).collect())
            }
            Kind::Regular(Data::Bytes(bytes)) => ext4::Kind::Regular(ext4::Data::bytes(bytes.clone())),
            Kind::Regular(Data::Spooled(content)) => {
                ext4::Kind::Regular(ext4::Data::source(placement.ordered(*content), content.len))
            }
            Kind::Symlink(target) => ext4::Kind::Symlink(target.to_vec()),
        },
    }
}
