//! fs-verity digests: sha256, blocks of 4096 bytes, no salt (kernel, `Documentation/filesystems/fsverity.rst`).

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

const BLOCK: usize = 4096;
/// How much is read at once, a multiple of the block.
const READ: u64 = 1 << 20;

/// The structure whose sha256 is the digest. fsverity.rst, "fs-verity descriptor".
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct FsverityDescriptor {
    version: u8,
    hash_algorithm: u8,
    log_blocksize: u8,
    salt_size: u8,
    reserved_0x04: U32,
    data_size: U64,
    root_hash: [u8; 64],
    salt: [u8; 32],
    reserved: [u8; 144],
}
const _: () = assert!(size_of::<FsverityDescriptor>() == 256);

/// The digest that `fsverity digest` prints and the kernel measures for a file with these bytes.
///
/// Reads to the end, keeping one block for each level of the tree. Fails only when `data` does.
pub fn fs_verity_digest(mut data: impl Read) -> io::Result<[u8; 32]> {
    let mut tree = MerkleTree::default();
    let mut data_size = 0;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let read = data.by_ref().take(READ).read_to_end(&mut buffer)?;
        buffer.chunks(BLOCK).for_each(|block| tree.push(0, hash(block)));
        data_size += u64::try_from(read).expect("a usize fits 64 bits");
        if read == 0 {
            return Ok(descriptor_digest(data_size, tree.root_hash()));
        }
    }
}

fn descriptor_digest(data_size: u64, root_hash: [u8; 32]) -> [u8; 32] {
    let mut descriptor = FsverityDescriptor {
        version: 1,
        hash_algorithm: 1, // FS_VERITY_HASH_ALG_SHA256
        log_blocksize: 12,
        salt_size: 0,
        reserved_0x04: U32::ZERO,
        data_size: data_size.into(),
        root_hash: [0; 64],
        salt: [0; 32],
        reserved: [0; 144],
    };
    descriptor.root_hash[..32].copy_from_slice(&root_hash);
    Sha256::digest(descriptor.as_bytes()).into()
}

fn hash(block: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(block);
    hash.update(&[0; BLOCK][block.len()..]);
    hash.finalize().into()
}

/// The last, unfinished block of each level, hashes of data blocks first.
#[derive(Default)]
struct MerkleTree {
    levels: Vec<Vec<u8>>,
}

impl MerkleTree {
    /// A full block is hashed into the level above only when the next hash comes: it may be the last of its level.
    fn push(&mut self, level: usize, hash_below: [u8; 32]) {
        if level == self.levels.len() {
            self.levels.push(Vec::with_capacity(BLOCK));
        }
        if self.levels[level].len() == BLOCK {
            self.push(level + 1, hash(&self.levels[level]));
            self.levels[level].clear();
        }
        self.levels[level].extend(hash_below);
    }

    /// The one hash at the top, or zeros when there was no data.
    fn root_hash(mut self) -> [u8; 32] {
        let mut level = 0;
        while level < self.levels.len() {
            if level + 1 == self.levels.len()
                && let Ok(only) = self.levels[level].as_slice().try_into()
            {
                return only;
            }
            self.push(level + 1, hash(&self.levels[level]));
            level += 1;
        }
        [0; 32]
    }
}

#[cfg(test)]
mod tests {
    use super::fs_verity_digest;

    /// Digests printed by `fsverity digest` for files of n bytes `a`.
    #[test]
    fn digests_are_those_of_fsverity_utils() {
        for (size, expected) in [
            (0, "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95"),
            (1, "bce75948b9e7510293f8f2720412af9697c1479281323f3f220623fb8e94b557"),
            (4096, "a2a808ddaced77f0b6b3068f47b14b5a1fb3fc43674993ab11b8e7e6f2d089e2"),
            (4097, "18b155c0b6e054f3f7d22488ed15340e74dc161ce2d123e13eb685c3ce565f70"),
            (1_000_000, "50049eeefec9385017816e55c0783638f225a3938338cbd673ce9ee8bc977100"),
        ] {
            let digest = fs_verity_digest(vec![b'a'; size].as_slice()).unwrap();
            assert_eq!(digest.map(|byte| format!("{byte:02x}")).concat(), expected, "{size} bytes");
        }
    }
}
