//! Gives every directory and file its clusters: contiguous, directories first, in the tree's order.

use super::directory::Directories;
use super::entry::SLOT;
use super::geometry::Geometry;
use super::tree::Tree;
use super::{Cluster, Error};

/// The spec's limit for a directory, in slots.
const MOST_SLOTS: usize = 65_536;

/// Where everything lies, by the tree's numbers.
pub struct Layout {
    pub directories: Vec<Run>,
    pub files: Vec<Run>,
}

/// A contiguous chain.
#[derive(Clone, Copy, Default)]
pub struct Run {
    /// Cluster 0 when there are no bytes.
    pub first: Cluster,
    pub clusters: u32,
    /// Bytes in use; the rest of the last cluster is zero.
    pub bytes: u32,
}

impl Layout {
    /// The places of all directories and files, or why they do not fit.
    pub fn plan(directories: &Directories, geometry: &Geometry) -> Result<Self, Error> {
        let mut layout = Self::measure(directories, geometry)?;
        layout.check_space(geometry)?;
        layout.place();
        Ok(layout)
    }

    /// All chains in the order in which they lie on the volume.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.directories.iter().chain(&self.files)
    }

    /// Clusters in use, all at the start of the data area.
    pub fn used(&self) -> u32 {
        self.runs().map(|run| run.clusters).sum() // no overflow after `check_space`
    }

    fn measure(directories: &Directories, geometry: &Geometry) -> Result<Self, Error> {
        let tree = directories.tree;
        let mut layout = Self {
            directories: vec![Run::default(); tree.directories.len()],
            files: vec![Run::default(); tree.files.len()],
        };
        for number in 0..tree.directories.len() {
            let bytes = directory_size(directories, number, &layout)?;
            layout.directories[number] = Run::unplaced(bytes, geometry);
        }
        for number in 0..tree.files.len() {
            layout.files[number] = Run::unplaced(file_size(tree, number)?, geometry);
        }
        // The root has a cluster even when it is empty.
        layout.directories[0].clusters = layout.directories[0].clusters.max(1);
        Ok(layout)
    }

    fn check_space(&self, geometry: &Geometry) -> Result<(), Error> {
        let clusters: u64 = self.runs().map(|run| u64::from(run.clusters)).sum();
        if clusters <= u64::from(geometry.clusters) {
            return Ok(());
        }
        let cluster = geometry.cluster_bytes();
        Err(Error::FilesDoNotFit {
            need: clusters * u64::from(cluster),
            have: u64::from(geometry.clusters) * u64::from(cluster),
            cluster,
        })
    }

    fn place(&mut self) {
        let mut next = Cluster::FIRST.0;
        for run in self.directories.iter_mut().chain(&mut self.files) {
            if run.clusters > 0 {
                run.first = Cluster(next);
                next += run.clusters;
            }
        }
    }
}

impl Run {
    fn unplaced(bytes: u32, geometry: &Geometry) -> Self {
        Self { first: Cluster(0), clusters: bytes.div_ceil(geometry.cluster_bytes()), bytes }
    }
}

fn directory_size(directories: &Directories, number: usize, layout: &Layout) -> Result<u32, Error> {
    let bytes = directories.bytes(number, layout).len();
    let slots = bytes / SLOT;
    let path = directories.tree.directories[number].path;
    match u32::try_from(bytes) {
        Ok(bytes) if slots <= MOST_SLOTS => Ok(bytes),
        _ => Err(Error::DirectoryTooLarge { path: path.into(), slots }),
    }
}

fn file_size(tree: &Tree, number: usize) -> Result<u32, Error> {
    let file = tree.files[number];
    let size = file.bytes.len();
    u32::try_from(size).map_err(|_| Error::FileTooLarge { path: file.path.clone(), size: size as u64 })
}
