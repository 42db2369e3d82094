//! Where an inode may start, so that its tail does not cross from one block into the next.

use super::on_disk::{BLOCK, SLOT};

/// How many zeros go before the inode, and whether its tail goes behind it or to a block of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Placement {
    pub padding: usize,
    pub tail_is_inline: bool,
}

/// For all but symlinks: only the tail has to be within a block, `head` (inode and xattrs) may cross.
pub fn place(position: usize, head: usize, tail: usize) -> Placement {
    let room = |padding| BLOCK - (position + head + padding) % BLOCK;
    if tail <= room(0) {
        return Placement { padding: 0, tail_is_inline: true };
    }
    let padding = room(0).next_multiple_of(SLOT);
    if tail <= room(padding) {
        return Placement { padding, tail_is_inline: true };
    }
    // No need to start a new block then, but libcomposefs does.
    Placement { padding: to_next_block(position), tail_is_inline: false }
}

/// For symlinks: everything is within one block, and a target that cannot be goes to a block of its own.
pub fn place_symlink(position: usize, head: usize, target: usize) -> Placement {
    let end = position + head + target - 1;
    let crosses = position / BLOCK != end / BLOCK;
    Placement { padding: if crosses { to_next_block(position) } else { 0 }, tail_is_inline: head + target < BLOCK }
}

fn to_next_block(position: usize) -> usize {
    position.next_multiple_of(BLOCK) - position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_moves_by_whole_slots_until_its_tail_starts_a_block() {
        assert_eq!(place(4032, 32, 32), Placement { padding: 0, tail_is_inline: true });
        assert_eq!(place(4032, 32, 33), Placement { padding: 32, tail_is_inline: true });
    }

    #[test]
    fn tail_of_half_a_block_behind_unaligned_xattrs_goes_to_a_block_of_its_own_only_if_no_slot_fits() {
        assert_eq!(place(4000, 32 + 20, 2048), Placement { padding: 64, tail_is_inline: true });
        assert_eq!(place(4000, 32 + 20, 4090), Placement { padding: 96, tail_is_inline: false });
    }

    #[test]
    fn symlink_starts_a_block_rather_than_cross_into_it() {
        assert_eq!(place_symlink(4032, 32, 33), Placement { padding: 64, tail_is_inline: true });
        assert_eq!(place_symlink(4096, 32, 4063), Placement { padding: 0, tail_is_inline: true });
        assert_eq!(place_symlink(4096, 32, 4064), Placement { padding: 0, tail_is_inline: false });
    }
}
