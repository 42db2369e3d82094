//! Entries of the L1 and L2 tables (QEMU `docs/interop/qcow2.rst`, "Cluster mapping"), from and to their 64 bits.

use super::SECTOR;

/// Bit 63 of an L1 or L2 entry: the refcount of what it points at is exactly one.
const COPIED: u64 = 1 << 63;
/// Bit 62 of an L2 entry: the rest is a compressed cluster descriptor.
const COMPRESSED: u64 = 1 << 62;
/// Bit 0 of a standard L2 entry: the cluster reads as zeros. Since version 3.
const READS_AS_ZEROS: u64 = 1;
/// Bits 9 to 55 of an L1 or standard L2 entry: the host offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Entry for a cluster, or an L2 table, that alone owns the host cluster at `offset`.
pub fn standard(offset: u64) -> u64 {
    COPIED | offset
}

/// Host offset in an L1 entry; 0 where there is no L2 table.
pub fn l2_table_offset(l1_entry: u64) -> u64 {
    l1_entry & OFFSET
}

/// Bytes of compressed data in the file, from any byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Host offset of the first byte.
    pub offset: u64,
    /// Bytes; a parsed entry tells only the end of the last sector touched, so up to 511 foreign bytes may follow the data.
    pub length: u64,
}

impl Piece {
    /// Compressed cluster descriptor: `x` bits of offset, then the sectors touched after the first.
    pub fn entry(self, cluster_bits: u32) -> u64 {
        let last = self.offset + self.length - 1;
        let additional_sectors = last / SECTOR - self.offset / SECTOR;
        COMPRESSED | additional_sectors << offset_bits(cluster_bits) | self.offset
    }

    fn parse(entry: u64, cluster_bits: u32) -> Self {
        let x = offset_bits(cluster_bits);
        let offset = entry & ((1 << x) - 1);
        let additional_sectors = (entry & (COMPRESSED - 1)) >> x;
        Self { offset, length: (additional_sectors + 1) * SECTOR - offset % SECTOR }
    }
}

/// The `x` of the specification: where the sector count begins in a compressed cluster descriptor.
fn offset_bits(cluster_bits: u32) -> u32 {
    62 - (cluster_bits - 8)
}

/// What an L2 entry says of its guest cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    Zero,
    Standard { offset: u64 },
    Compressed(Piece),
}

impl Mapping {
    /// Reads an L2 entry of an image without backing file, where an unallocated cluster is zeros.
    pub fn parse(entry: u64, cluster_bits: u32) -> Self {
        if entry & COMPRESSED != 0 {
            return Self::Compressed(Piece::parse(entry, cluster_bits));
        }
        match entry & OFFSET {
            _ if entry & READS_AS_ZEROS != 0 => Self::Zero,
            0 => Self::Zero,
            offset => Self::Standard { offset },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_the_sectors_it_touches_after_the_first() {
        for (offset, length, additional) in
            [(512, 512, 0), (512, 513, 1), (1023, 1, 0), (1023, 2, 1), (65_535, 65_535, 128)]
        {
            let entry = Piece { offset, length }.entry(16);
            assert_eq!(entry >> 54 & 0xff, additional, "{length} bytes at {offset}");
            assert_eq!(entry & ((1 << 54) - 1), offset);
        }
    }

    #[test]
    fn a_parsed_piece_ends_with_its_last_sector() {
        for cluster_bits in [9, 16, 21] {
            let parsed = Mapping::parse(Piece { offset: 1000, length: 100 }.entry(cluster_bits), cluster_bits);
            assert_eq!(parsed, Mapping::Compressed(Piece { offset: 1000, length: 536 }));
        }
    }

    #[test]
    fn an_allocated_cluster_that_reads_as_zeros_is_zeros() {
        assert_eq!(Mapping::parse(standard(65_536) | READS_AS_ZEROS, 16), Mapping::Zero);
        assert_eq!(Mapping::parse(standard(65_536), 16), Mapping::Standard { offset: 65_536 });
    }
}
