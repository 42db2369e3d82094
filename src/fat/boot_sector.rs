//! The reserved area: boot sector and FSInfo, declared once for the writer and the reader.
//!
//! Spec: "Boot Sector and BPB", "FAT32 FSInfo Sector Structure and Backup Boot Sector".

use std::mem::offset_of;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::geometry::{FATS, Geometry, SECTOR};
use super::{Cluster, Options};

/// Sectors before the first FAT; 32 is what the spec calls typical and keeps the data area aligned.
pub const RESERVED_SECTORS: u16 = 32;
/// Where FSInfo lies, and by how much both are repeated further on.
pub const FS_INFO_SECTOR: u16 = 1;
pub const BACKUP_BOOT_SECTOR: u16 = 6;
/// `BS_BootSig`: the three fields after it are there.
pub const EXTENDED_BOOT_SIGNATURE: u8 = 0x29;
/// `Signature_word` at byte 510.
pub const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// `BS_VolLab` of a volume without label.
pub const NO_NAME: [u8; 11] = *b"NO NAME    ";
/// A fixed disk; the low byte of FAT entry 0 repeats it.
pub const MEDIA: u8 = 0xf8;

/// Bytes 0 to 35, common to FAT12, FAT16 and FAT32.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct BiosParameterBlock {
    pub jmp_boot: [u8; 3],
    pub oem_name: [u8; 8],
    pub byts_per_sec: U16,
    pub sec_per_clus: u8,
    pub rsvd_sec_cnt: U16,
    pub num_fats: u8,
    pub root_ent_cnt: U16,
    pub tot_sec16: U16,
    pub media: u8,
    pub fat_sz16: U16,
    pub sec_per_trk: U16,
    pub num_heads: U16,
    pub hidd_sec: U32,
    pub tot_sec32: U32,
}
const _: () = assert!(size_of::<BiosParameterBlock>() == 36);

/// Bytes 36 to 63 of FAT32.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Fat32Block {
    pub fat_sz32: U32,
    pub ext_flags: U16,
    pub fs_ver: U16,
    pub root_clus: U32,
    pub fs_info: U16,
    pub bk_boot_sec: U16,
    pub reserved: [u8; 12],
}
const _: () = assert!(size_of::<Fat32Block>() == 28);

/// Bytes 64 to 89 of FAT32, 36 to 61 of FAT12 and FAT16.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct ExtendedBlock {
    pub drv_num: u8,
    pub reserved1: u8,
    pub boot_sig: u8,
    pub vol_id: U32,
    pub vol_lab: [u8; 11],
    pub fil_sys_type: [u8; 8],
}
const _: () = assert!(size_of::<ExtendedBlock>() == 26);

/// The whole boot sector of FAT32.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct BootSector {
    pub bpb: BiosParameterBlock,
    pub fat32: Fat32Block,
    pub extended: ExtendedBlock,
    pub boot_code: [u8; 420],
    pub signature: [u8; 2],
}
const _: () = assert!(size_of::<BootSector>() == 512 && offset_of!(BootSector, boot_code) == 90);

/// The FSInfo sector: hints about free clusters.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub struct FsInfo {
    lead_sig: U32,
    reserved1: [u8; 480],
    struc_sig: U32,
    free_count: U32,
    nxt_free: U32,
    reserved2: [u8; 12],
    trail_sig: U32,
}
const _: () = assert!(size_of::<FsInfo>() == 512 && offset_of!(FsInfo, struc_sig) == 484);

impl BootSector {
    /// The boot sector of a volume; `label` is padded, [`NO_NAME`] without one.
    pub fn new(options: &Options, geometry: &Geometry, label: [u8; 11]) -> Self {
        Self {
            bpb: bios_parameter_block(options, geometry),
            fat32: Fat32Block {
                fat_sz32: geometry.fat_sectors.into(),
                ext_flags: U16::ZERO, // both FATs are kept alike
                fs_ver: U16::ZERO,
                root_clus: Cluster::FIRST.0.into(),
                fs_info: FS_INFO_SECTOR.into(),
                bk_boot_sec: BACKUP_BOOT_SECTOR.into(),
                reserved: [0; 12],
            },
            extended: ExtendedBlock {
                drv_num: 0x80,
                reserved1: 0,
                boot_sig: EXTENDED_BOOT_SIGNATURE,
                vol_id: options.volume_id.into(),
                vol_lab: label,
                fil_sys_type: *b"FAT32   ",
            },
            boot_code: boot_code(),
            signature: SIGNATURE,
        }
    }
}

fn bios_parameter_block(options: &Options, geometry: &Geometry) -> BiosParameterBlock {
    BiosParameterBlock {
        jmp_boot: [0xeb, 0x58, 0x90], // to boot_code at 90
        // The name the spec advises: drivers should not look at it, but some do.
        oem_name: *b"MSWIN4.1",
        byts_per_sec: (SECTOR as u16).into(), // lossless: 512
        sec_per_clus: geometry.sectors_per_cluster,
        rsvd_sec_cnt: RESERVED_SECTORS.into(),
        num_fats: FATS as u8, // lossless: 2
        root_ent_cnt: U16::ZERO,
        tot_sec16: U16::ZERO,
        media: MEDIA,
        fat_sz16: U16::ZERO,
        // Cylinders of 1 MiB. Nothing boots by CHS any more, but mtools refuses a volume that is not whole tracks.
        sec_per_trk: 32.into(),
        num_heads: 64.into(),
        hidd_sec: options.hidden_sectors.into(),
        tot_sec32: geometry.total_sectors.into(),
    }
}

/// `int 18h`, which tells a BIOS to try the next device, then `hlt` for ever: this volume is for UEFI.
fn boot_code() -> [u8; 420] {
    let mut code = [0; 420];
    code[..5].copy_from_slice(&[0xcd, 0x18, 0xf4, 0xeb, 0xfd]);
    code
}

impl FsInfo {
    /// Hints for a volume whose clusters are used from the first on: `used` of them, the others free.
    pub fn new(geometry: &Geometry, used: u32) -> Self {
        let free = geometry.clusters - used;
        let next = if free == 0 { u32::MAX } else { Cluster::FIRST.0 + used };
        Self {
            lead_sig: 0x4161_5252.into(),
            reserved1: [0; 480],
            struc_sig: 0x6141_7272.into(),
            free_count: free.into(),
            nxt_free: next.into(),
            reserved2: [0; 12],
            trail_sig: 0xaa55_0000.into(),
        }
    }
}
