//! crc32c as ext4 uses it: started with a given value, never inverted. ext4 docs, "Checksums".

/// CRC-32C over `bytes`, continued from `start`, without the inversion that the crate (as iSCSI) does on both ends.
pub fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!start, bytes)
}

/// A checksum that already went over what every structure of one owner begins with.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u32);

impl Seed {
    /// Of the filesystem: without `metadata_csum_seed` it is the checksum of `s_uuid`.
    pub fn of_filesystem(uuid: &[u8; 16]) -> Seed {
        Seed(crc32c(!0, uuid))
    }

    /// Of an inode and the blocks that belong to it. `i_generation` is 0 in all we write.
    pub fn of_inode(self, number: u32) -> Seed {
        self.then(&number.to_le_bytes()).then(&0u32.to_le_bytes())
    }

    pub fn then(self, bytes: &[u8]) -> Seed {
        Seed(crc32c(self.0, bytes))
    }

    pub fn checksum(self, bytes: &[u8]) -> u32 {
        self.then(bytes).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_has_its_published_check_value_when_inverted() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
    }
}
