//! POSIX ACLs: from the form that `getxattr` returns to the shorter one on disk.
//!
//! Spec: `include/uapi/linux/posix_acl_xattr.h` (version 2) and `fs/ext4/acl.h` (version 1) of the kernel.

const WIRE_VERSION: [u8; 4] = 2u32.to_le_bytes();
const DISK_VERSION: [u8; 4] = 1u32.to_le_bytes();

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The value as ext4 stores it; nothing when it is not a version 2 ACL.
pub fn to_disk(wire: &[u8]) -> Option<Vec<u8>> {
    let entries = wire.strip_prefix(&WIRE_VERSION)?;
    let mut disk = DISK_VERSION.to_vec();
    if !entries.len().is_multiple_of(8) {
        return None;
    }
    for entry in entries.chunks_exact(8) {
        // Tag and permissions, 16 bits each; an id only where the tag does not say who it is.
        match u16::from_le_bytes([entry[0], entry[1]]) {
            USER_OBJ | GROUP_OBJ | MASK | OTHER => disk.extend_from_slice(&entry[..4]),
            USER | GROUP => disk.extend_from_slice(entry),
            _ => return None,
        }
    }
    Some(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_only_with_named_users_and_groups() {
        let wire = [
            2, 0, 0, 0, //
            1, 0, 6, 0, 255, 255, 255, 255, //
            2, 0, 4, 0, 232, 3, 0, 0, //
            0x20, 0, 4, 0, 255, 255, 255, 255,
        ];
        let disk = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 232, 3, 0, 0, 0x20, 0, 4, 0];
        assert_eq!(to_disk(&wire), Some(disk.to_vec()));
    }

    #[test]
    fn other_versions_tags_and_lengths_are_refused() {
        for wire in [&[][..], &[1, 0, 0, 0], &[2, 0, 0, 0, 1], &[2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(to_disk(wire), None);
        }
    }
}
