//! Writes a volume once, from its first sector to its last used cluster.

use zerocopy::IntoBytes;

use super::boot_sector::{BACKUP_BOOT_SECTOR, BootSector, FS_INFO_SECTOR, FsInfo, MEDIA};
use super::directory::Directories;
use super::extents::Extents;
use super::geometry::{FATS, Geometry, SECTOR};
use super::layout::{Layout, Run};
use super::time::Stamp;
use super::tree::Tree;
use super::{Error, Extent, File, Options, name};

/// Entry of the last cluster of a chain.
const END_OF_CHAIN: u32 = 0x0fff_ffff;

/// A FAT32 volume with `files`, as strictly increasing extents; everything between them is zero.
///
/// Errors when the size is no FAT32 size, when the files do not fit, or when a path or the label cannot be on FAT.
pub fn image(options: &Options, files: &[File]) -> Result<Vec<Extent>, Error> {
    let geometry = Geometry::choose(options.size)?;
    let label = name::label(&options.label)?;
    let tree = Tree::of(files)?;
    let directories = Directories {
        tree: &tree,
        stamp: Stamp::new(options.time),
        label: (!options.label.is_empty()).then_some(label),
    };
    let layout = Layout::plan(&directories, &geometry)?;

    let mut extents = Extents::new();
    put_reserved(&mut extents, &BootSector::new(options, &geometry, label), &FsInfo::new(&geometry, layout.used()));
    put_fats(&mut extents, &geometry, &layout);
    put_clusters(&mut extents, &geometry, &layout, &directories);
    Ok(extents.finish(options.size))
}

/// Boot sector and FSInfo, each twice.
fn put_reserved(extents: &mut Extents, boot: &BootSector, info: &FsInfo) {
    for copy in [0, BACKUP_BOOT_SECTOR] {
        let sector = |number: u16| u64::from(number) * u64::from(SECTOR);
        extents.put(sector(copy), boot.as_bytes());
        extents.put(sector(copy + FS_INFO_SECTOR), info.as_bytes());
    }
}

fn put_fats(extents: &mut Extents, geometry: &Geometry, layout: &Layout) {
    let fat = fat(layout);
    for copy in 0..FATS {
        extents.put(geometry.fat_at(copy), &fat);
    }
}

/// The FAT up to the last used cluster. Entry 0 repeats the media byte, entry 1 says "unmounted cleanly, no errors".
fn fat(layout: &Layout) -> Vec<u8> {
    let reserved = [0x0fff_ff00 | u32::from(MEDIA), END_OF_CHAIN];
    let entries = reserved.into_iter().chain(layout.runs().flat_map(chain));
    entries.flat_map(u32::to_le_bytes).collect()
}

/// The entries of one chain: each names the next cluster.
fn chain(run: &Run) -> impl Iterator<Item = u32> + use<> {
    let (first, clusters) = (run.first.0, run.clusters);
    (1..=clusters).map(move |nth| if nth < clusters { first + nth } else { END_OF_CHAIN })
}

fn put_clusters(extents: &mut Extents, geometry: &Geometry, layout: &Layout, directories: &Directories) {
    for (number, run) in layout.directories.iter().enumerate() {
        let bytes = directories.bytes(number, layout);
        extents.put(geometry.cluster_at(run.first), &bytes);
    }
    let files = &directories.tree.files;
    for (file, run) in files.iter().zip(&layout.files).filter(|(_, run)| run.clusters > 0) {
        extents.put(geometry.cluster_at(run.first), &file.bytes);
    }
}
