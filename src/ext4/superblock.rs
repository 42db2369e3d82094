//! The superblock. ext4 docs, "Super Block".

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::checksum::crc32c;
use super::geometry::{BLOCKS_PER_GROUP, Geometry, INODE_BYTES};
use super::journal::JOURNAL_INODE;
use super::tree::Options;

const MAGIC: u16 = 0xef53;
const LOG_BLOCK_SIZE: u32 = 2; // 1024 << 2
const DYNAMIC_REV: u32 = 1;
const VALID_FS: u16 = 1;
const ERRORS_CONTINUE: u16 = 1;
const HALF_MD4: u8 = 1;
const SIGNED_HASH: u32 = 1;
const CRC32C: u8 = 1;
const JOURNAL_BACKUP_BLOCKS: u8 = 1;
const USER_XATTR_AND_ACL: u32 = 0x000c;
/// The first inode that is not special; `lost+found` takes it.
pub const FIRST_INODE: u32 = 11;

const COMPAT_HAS_JOURNAL: u32 = 0x4;
const COMPAT_EXT_ATTR: u32 = 0x8;
const COMPAT_RESIZE_INODE: u32 = 0x10;
const COMPAT_DIR_INDEX: u32 = 0x20;
/// filetype, extents, 64bit, flex_bg. All that GRUB 2.02 reads, and no more.
const INCOMPAT: u32 = 0x2 | 0x40 | 0x80 | 0x200;
/// sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum.
const RO_COMPAT: u32 = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400;
const RO_COMPAT_VERITY: u32 = 0x8000;

#[derive(Clone, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct SuperBlock {
    pub s_inodes_count: U32,
    pub s_blocks_count_lo: U32,
    pub s_r_blocks_count_lo: U32,
    pub s_free_blocks_count_lo: U32,
    pub s_free_inodes_count: U32,
    pub s_first_data_block: U32,
    pub s_log_block_size: U32,
    pub s_log_cluster_size: U32,
    pub s_blocks_per_group: U32,
    pub s_clusters_per_group: U32,
    pub s_inodes_per_group: U32,
    pub s_mtime: U32,
    pub s_wtime: U32,
    pub s_mnt_count: U16,
    pub s_max_mnt_count: U16,
    pub s_magic: U16,
    pub s_state: U16,
    pub s_errors: U16,
    pub s_minor_rev_level: U16,
    pub s_lastcheck: U32,
    pub s_checkinterval: U32,
    pub s_creator_os: U32,
    pub s_rev_level: U32,
    pub s_def_resuid: U16,
    pub s_def_resgid: U16,
    pub s_first_ino: U32,
    pub s_inode_size: U16,
    pub s_block_group_nr: U16,
    pub s_feature_compat: U32,
    pub s_feature_incompat: U32,
    pub s_feature_ro_compat: U32,
    pub s_uuid: [u8; 16],
    pub s_volume_name: [u8; 16],
    pub s_last_mounted: [u8; 64],
    pub s_algorithm_usage_bitmap: U32,
    pub s_prealloc_blocks: u8,
    pub s_prealloc_dir_blocks: u8,
    pub s_reserved_gdt_blocks: U16,
    pub s_journal_uuid: [u8; 16],
    pub s_journal_inum: U32,
    pub s_journal_dev: U32,
    pub s_last_orphan: U32,
    pub s_hash_seed: [u8; 16],
    pub s_def_hash_version: u8,
    pub s_jnl_backup_type: u8,
    pub s_desc_size: U16,
    pub s_default_mount_opts: U32,
    pub s_first_meta_bg: U32,
    pub s_mkfs_time: U32,
    pub s_jnl_blocks: [U32; 17],
    pub s_blocks_count_hi: U32,
    pub s_r_blocks_count_hi: U32,
    pub s_free_blocks_count_hi: U32,
    pub s_min_extra_isize: U16,
    pub s_want_extra_isize: U16,
    pub s_flags: U32,
    pub s_raid_stride: U16,
    pub s_mmp_interval: U16,
    pub s_mmp_block: U64,
    pub s_raid_stripe_width: U32,
    pub s_log_groups_per_flex: u8,
    pub s_checksum_type: u8,
    pub s_reserved_pad: U16,
    pub s_kbytes_written: U64,
    /// Snapshots and the error log, 0x180 to 0x1ff.
    pub s_snapshot_and_errors: [u8; 0x80],
    pub s_mount_opts: [u8; 64],
    pub s_usr_quota_inum: U32,
    pub s_grp_quota_inum: U32,
    pub s_overhead_blocks: U32,
    pub s_backup_bgs: [U32; 2],
    pub s_encrypt_algos: [u8; 4],
    pub s_encrypt_pw_salt: [u8; 16],
    pub s_lpf_ino: U32,
    pub s_prj_quota_inum: U32,
    pub s_checksum_seed: U32,
    pub s_wtime_hi: u8,
    pub s_mtime_hi: u8,
    pub s_mkfs_time_hi: u8,
    pub s_lastcheck_hi: u8,
    pub s_reserved: [u8; 0x184],
    pub s_checksum: U32,
}

const _: () = assert!(size_of::<SuperBlock>() == 1024);
const _: () = assert!(std::mem::offset_of!(SuperBlock, s_jnl_blocks) == 0x10c);
const _: () = assert!(std::mem::offset_of!(SuperBlock, s_overhead_blocks) == 0x248);
const _: () = assert!(std::mem::offset_of!(SuperBlock, s_checksum) == 0x3fc);

/// What is known only when everything else is placed.
pub struct Totals {
    pub free_blocks: u32,
    pub free_inodes: u32,
    /// `i_block` of the journal and the two halves of its size, zero without one.
    pub journal: [U32; 17],
}

impl SuperBlock {
    /// The copy of group 0; [`SuperBlock::of_group`] makes the backups.
    pub fn new(options: &Options, geometry: &Geometry, totals: &Totals) -> SuperBlock {
        let (time, time_hi) = forty_bits(options.time);
        let mut s_volume_name = [0; 16];
        s_volume_name[..options.label.len()].copy_from_slice(options.label.as_bytes());
        let has_journal = geometry.journal_blocks > 0;
        SuperBlock {
            s_inodes_count: (geometry.groups * geometry.inodes_per_group).into(),
            s_blocks_count_lo: geometry.blocks.into(),
            s_free_blocks_count_lo: totals.free_blocks.into(),
            s_free_inodes_count: totals.free_inodes.into(),
            s_log_block_size: LOG_BLOCK_SIZE.into(),
            s_log_cluster_size: LOG_BLOCK_SIZE.into(),
            s_blocks_per_group: BLOCKS_PER_GROUP.into(),
            s_clusters_per_group: BLOCKS_PER_GROUP.into(),
            s_inodes_per_group: geometry.inodes_per_group.into(),
            s_wtime: time,
            s_max_mnt_count: u16::MAX.into(), // never
            s_magic: MAGIC.into(),
            s_state: VALID_FS.into(),
            s_errors: ERRORS_CONTINUE.into(),
            s_lastcheck: time,
            s_rev_level: DYNAMIC_REV.into(),
            s_first_ino: FIRST_INODE.into(),
            s_inode_size: (INODE_BYTES as u16).into(), // 256
            s_feature_compat: compat(geometry).into(),
            s_feature_incompat: INCOMPAT.into(),
            s_feature_ro_compat: (RO_COMPAT | if options.verity { RO_COMPAT_VERITY } else { 0 }).into(),
            s_uuid: options.uuid,
            s_volume_name,
            s_reserved_gdt_blocks: (geometry.reserved_descriptor_blocks as u16).into(), // at most 1024
            s_journal_inum: if has_journal { JOURNAL_INODE } else { 0 }.into(),
            s_hash_seed: options.hash_seed,
            s_def_hash_version: HALF_MD4,
            s_jnl_backup_type: if has_journal { JOURNAL_BACKUP_BLOCKS } else { 0 },
            s_desc_size: 64.into(),
            s_default_mount_opts: USER_XATTR_AND_ACL.into(),
            s_mkfs_time: time,
            s_jnl_blocks: totals.journal,
            s_min_extra_isize: 32.into(),
            s_want_extra_isize: 32.into(),
            // mke2fs stores the signedness of `char` of the machine it runs on; one value makes one image.
            s_flags: SIGNED_HASH.into(),
            s_log_groups_per_flex: 4,
            s_checksum_type: CRC32C,
            s_overhead_blocks: geometry.overhead().into(),
            s_wtime_hi: time_hi,
            s_mkfs_time_hi: time_hi,
            s_lastcheck_hi: time_hi,
            ..SuperBlock::new_zeroed()
        }
    }

    /// This superblock as the copy in `group`, with its checksum, which starts from ~0 and not from the UUID.
    pub fn of_group(&self, group: u32) -> SuperBlock {
        let mut copy = self.clone();
        // Groups beyond 16 bits exist from 8 TiB on; the kernel and e2fsprogs cut the number as well.
        copy.s_block_group_nr = (group as u16).into();
        copy.s_checksum = crc32c(!0, &copy.as_bytes()[..0x3fc]).into();
        copy
    }
}

fn compat(geometry: &Geometry) -> u32 {
    let journal = if geometry.journal_blocks > 0 { COMPAT_HAS_JOURNAL } else { 0 };
    let resize = if geometry.reserved_descriptor_blocks > 0 { COMPAT_RESIZE_INODE } else { 0 };
    COMPAT_EXT_ATTR | COMPAT_DIR_INDEX | journal | resize
}

/// Superblock times are 40 bits without sign.
fn forty_bits(seconds: i64) -> (U32, u8) {
    let [a, b, c, d, e, ..] = seconds.clamp(0, (1 << 40) - 1).to_le_bytes();
    (U32::from_bytes([a, b, c, d]), e)
}
