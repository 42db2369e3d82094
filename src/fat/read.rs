//! Reads names and files of a foreign FAT12, FAT16 or FAT32 volume, for a look into a finished disk.
//!
//! No byte is trusted: directories are entered once each, and everything that is collected has a limit.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use super::boot_sector::{EXTENDED_BOOT_SIGNATURE, NO_NAME};
use super::listing::{Kind, Listed, entries, volume_label};
use super::name::fold;
use super::volume::{Place, Volume};
use super::{Cluster, Error};

/// Most files and directories that [`list`] returns or enters.
const MOST_ENTRIES: usize = 65_536;
/// Most bytes of all paths together.
const MOST_PATH_BYTES: usize = 16 << 20;

/// What a volume is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The label: of the root directory, else of the boot sector, else none.
    pub label: Option<String>,
    /// `BS_VolID`, if the boot sector has one.
    pub volume_id: Option<u32>,
}

/// Label and serial number of the volume that starts at byte 0 of `disk`.
pub fn label_and_id<R: Read + Seek>(disk: R) -> Result<Identity, Error> {
    let mut volume = Volume::open(disk)?;
    let named = volume.extended.boot_sig == EXTENDED_BOOT_SIGNATURE;
    let root = volume.directory(volume.root)?;
    let field = volume.extended.vol_lab;
    let of_boot_sector = (named && field != NO_NAME).then(|| text(&field));
    let label = volume_label(&root).map(|label| text(&label)).or(of_boot_sector);
    Ok(Identity {
        label: label.filter(|label| !label.is_empty()),
        volume_id: named.then(|| volume.extended.vol_id.get()),
    })
}

/// Paths and sizes of all files (directories are not listed), in the order of the path.
pub fn list<R: Read + Seek>(disk: R) -> Result<Vec<(String, u64)>, Error> {
    let mut volume = Volume::open(disk)?;
    let mut walk = Walk::new(volume.root);
    while let Some((prefix, place)) = walk.directories.pop() {
        for listed in entries(&volume.directory(place)?) {
            walk.meet(&prefix, listed)?;
        }
    }
    walk.files.sort();
    Ok(walk.files)
}

/// The content of a file, `None` if there is none at `path`; more than `limit` bytes are an error.
///
/// Names are compared without regard to case; the short name is as good as the long one.
pub fn read_file<R: Read + Seek>(disk: R, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let mut volume = Volume::open(disk)?;
    let mut place = volume.root;
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        let found = find(&volume.directory(place)?, name);
        match (found.map(|found| (found.kind, found.first)), names.peek()) {
            (Some((Kind::Directory, first)), Some(_)) => place = Place::Chain(first),
            (Some((Kind::File { size }, first)), None) => {
                let size = u64::from(size);
                return content(&mut volume, path, first, size, limit).map(Some);
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn content<R: Read + Seek>(
    volume: &mut Volume<R>,
    path: &str,
    first: Cluster,
    size: u64,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    if size > limit {
        let path = path.into();
        return Err(Error::OverLimit { path, size, limit });
    }
    volume.file(first, size)
}

fn find(directory: &[u8], name: &str) -> Option<Listed> {
    let wanted = fold(name);
    entries(directory).find(|entry| fold(&entry.name) == wanted || fold(&entry.short) == wanted)
}

fn text(padded: &[u8; 11]) -> String {
    String::from_utf8_lossy(padded).trim_end_matches([' ', '\0']).to_string()
}

/// The state of [`list`].
struct Walk {
    directories: Vec<(String, Place)>,
    entered: BTreeSet<Place>,
    files: Vec<(String, u64)>,
    path_bytes: usize,
}

impl Walk {
    fn new(root: Place) -> Self {
        Self {
            directories: vec![(String::new(), root)],
            entered: BTreeSet::from([root]),
            files: Vec::new(),
            path_bytes: 0,
        }
    }

    fn meet(&mut self, prefix: &str, listed: Listed) -> Result<(), Error> {
        let path = format!("{prefix}{}", listed.name);
        self.path_bytes += path.len();
        if self.files.len() + self.entered.len() >= MOST_ENTRIES || self.path_bytes > MOST_PATH_BYTES {
            return Err(Error::Damaged("it has more names than can be listed"));
        }
        match listed.kind {
            Kind::File { size } => self.files.push((path, u64::from(size))),
            Kind::Directory => self.enter(path, Place::Chain(listed.first))?,
        }
        Ok(())
    }

    fn enter(&mut self, path: String, place: Place) -> Result<(), Error> {
        if !self.entered.insert(place) {
            return Err(Error::Damaged("a directory is in two places"));
        }
        self.directories.push((path + "/", place));
        Ok(())
    }
}
