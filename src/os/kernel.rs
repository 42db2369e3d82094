//! The kernel of an image: usr/lib/modules/VERSION/vmlinuz and what stands beside it.

use std::io::{BufRead, BufReader};

use sha2::{Digest as _, Sha256};

use super::OsError;
use crate::tree::{Data, Files, InodeId, Kind, ReadError, Tree};

/// Reads have this size, below that of a mapped buffer, see [`crate::page_buffer`].
const PIECE: usize = 64 << 10;

/// The files that a boot entry names. All are inodes of the tree that was inspected.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The name of the module directory, as `uname -r` prints it.
    pub version: String,
    pub vmlinuz: InodeId,
    pub initramfs: InodeId,
    pub device_tree: Option<DeviceTree>,
    /// `.vmlinuz.hmac`, for FIPS.
    pub hmac: Option<InodeId>,
}

#[derive(Clone, Copy, Debug)]
pub enum DeviceTree {
    File(InodeId),
    /// The directory `dtb/`.
    Directory(InodeId),
}

/// Where bootc's composefs backend looks for a unified kernel image.
fn unified_kernel_image(files: &Files<'_>) -> Result<Option<String>, ReadError> {
    let modules = files.list("usr/lib/modules")?.into_iter().map(|version| format!("usr/lib/modules/{version}"));
    let places = modules.chain(["boot/EFI/Linux".to_owned(), "usr/lib/efi/EFI/Linux".to_owned()]);
    for place in places {
        let name = files.list(&place)?.into_iter().find(|name| name.ends_with(".efi"));
        if let Some(name) = name {
            return Ok(Some(format!("{place}/{name}")));
        }
    }
    Ok(None)
}

impl Kernel {
    /// The one kernel of the image; none and several are errors (libostree would take whichever it reads first).
    pub fn find(files: &Files<'_>) -> Result<Kernel, OsError> {
        let mut versions = Vec::new();
        for version in files.list("usr/lib/modules")? {
            if files.is_file(&format!("usr/lib/modules/{version}/vmlinuz"))? {
                versions.push(version);
            }
        }
        match <[String; 1]>::try_from(versions) {
            Ok([version]) => Kernel::at(files, version),
            Err(none) if none.is_empty() => Err(match unified_kernel_image(files)? {
                Some(path) => OsError::UnifiedKernelOnly { path },
                None => OsError::NoKernel,
            }),
            Err(several) => Err(OsError::SeveralKernels(several)),
        }
    }

    fn at(files: &Files<'_>, version: String) -> Result<Kernel, OsError> {
        let beside = |name: &str| files.find(&format!("usr/lib/modules/{version}/{name}"));
        let regular = |name: &str| {
            Ok::<_, ReadError>(beside(name)?.filter(|&id| matches!(files.tree.inode(id).kind, Kind::Regular(_))))
        };
        let vmlinuz = regular("vmlinuz")?.ok_or(OsError::NoKernel)?;
        let initramfs = match regular("initramfs.img")? {
            Some(id) => Some(id),
            None => regular("initramfs")?,
        };
        let device_tree = match regular("devicetree")? {
            Some(id) => Some(DeviceTree::File(id)),
            None => beside("dtb")?.filter(|&id| files.tree.is_directory(id)).map(DeviceTree::Directory),
        };
        let hmac = regular(".vmlinuz.hmac")?;
        let initramfs = initramfs.ok_or_else(|| OsError::NoInitramfs { kernel: version.clone() })?;
        Ok(Kernel { version, vmlinuz, initramfs, device_tree, hmac })
    }

    /// libostree's `bootcsum`: sha256 over kernel, initramfs and device trees in this order, directories descended in name order.
    pub fn boot_checksum(&self, files: &Files<'_>) -> Result<String, ReadError> {
        let mut hash = Sha256::new();
        hash_file(files, self.vmlinuz, &mut hash)?;
        hash_file(files, self.initramfs, &mut hash)?;
        if let Some(DeviceTree::File(id) | DeviceTree::Directory(id)) = self.device_tree {
            hash_tree(files, id, &mut hash)?;
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// How much room one set of boot files takes on /boot, in bytes.
    pub fn boot_bytes(&self, tree: &Tree) -> u64 {
        let dtb = match self.device_tree {
            Some(DeviceTree::File(id) | DeviceTree::Directory(id)) => tree_bytes(tree, id),
            None => 0,
        };
        tree_bytes(tree, self.vmlinuz) + tree_bytes(tree, self.initramfs) + dtb
    }
}

fn hash_tree(files: &Files<'_>, id: InodeId, hash: &mut Sha256) -> Result<(), ReadError> {
    if files.tree.is_directory(id) {
        return files.tree.entries(id).try_for_each(|(_, child)| hash_tree(files, child, hash));
    }
    hash_file(files, id, hash)
}

fn hash_file(files: &Files<'_>, id: InodeId, hash: &mut Sha256) -> Result<(), ReadError> {
    let Kind::Regular(data) = &files.tree.inode(id).kind else { return Ok(()) };
    match data {
        Data::Bytes(bytes) => hash.update(bytes),
        Data::Spooled(content) => {
            let mut reader = BufReader::with_capacity(PIECE, files.spool.reader(*content));
            loop {
                let piece = reader.fill_buf().map_err(|source| ReadError::BootFile { source })?;
                if piece.is_empty() {
                    break;
                }
                hash.update(piece);
                let len = piece.len();
                reader.consume(len);
            }
        }
    }
    Ok(())
}

fn tree_bytes(tree: &Tree, id: InodeId) -> u64 {
    match &tree.inode(id).kind {
        Kind::Regular(data @ (Data::Bytes(_) | Data::Spooled(_))) => data.len(),
        _ => tree.entries(id).map(|(_, child)| tree_bytes(tree, child)).sum(),
    }
}
