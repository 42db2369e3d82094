//! Attribute blocks of all inodes; inodes with the same attributes share one.

use std::collections::HashMap;

use super::checksum::Seed;
use super::error::Error;
use super::output::Output;

/// `EXT4_XATTR_REFCOUNT_MAX`.
const MOST_USERS: u32 = 1024;

struct XattrBlock {
    place: u32,
    users: u32,
    body: Vec<u8>,
}

/// Blocks in order of their place. The map is only asked, never listed, so that its order does not show.
#[derive(Default)]
pub struct XattrBlocks {
    blocks: Vec<XattrBlock>,
    by_body: HashMap<Vec<u8>, usize>,
}

impl XattrBlocks {
    /// The place of a block with this body; a new one where no block has it or too many use that.
    pub fn place(&mut self, body: Vec<u8>, allocate: impl FnOnce() -> Result<u32, Error>) -> Result<u32, Error> {
        if let Some(&known) = self.by_body.get(&body) {
            let block = &mut self.blocks[known];
            if block.users < MOST_USERS {
                block.users += 1;
                return Ok(block.place);
            }
        }
        let place = allocate()?;
        self.by_body.insert(body.clone(), self.blocks.len());
        self.blocks.push(XattrBlock { place, users: 1, body });
        Ok(place)
    }

    pub fn write(self, seed: Seed, output: &mut Output) {
        for mut block in self.blocks {
            block.body[4..8].copy_from_slice(&block.users.to_le_bytes()); // h_refcount
            let checksum = seed.then(&u64::from(block.place).to_le_bytes()).checksum(&block.body);
            block.body[16..20].copy_from_slice(&checksum.to_le_bytes()); // h_checksum
            output.metadata(block.place, &block.body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_1025_gets_a_block_of_its_own() {
        let mut blocks = XattrBlocks::default();
        let mut next = 10..;
        let places: Vec<u32> =
            (0..2000).map(|_| blocks.place(vec![1; 4096], || Ok(next.next().unwrap())).unwrap()).collect();
        assert_eq!((places[1023], places[1024], places[1999]), (10, 11, 11));
    }
}
