//! The machine's directories as it will see them: `/etc` and `/var` in their places, links followed within.

use super::{Error, Place};
use crate::spool::Spool;
use crate::tree::{Data, InodeId, Kind, Seconds, Stat, Tree};

/// As many links as Linux follows in one path (`path_resolution(7)`).
const MAX_LINKS: u32 = 40;
/// Account files of tens of thousands of users are smaller.
const LIMIT: u64 = 16 << 20;

pub struct Editor<'a> {
    pub tree: &'a mut Tree,
    pub place: Place,
    pub spool: &'a Spool,
    pub time: Seconds,
}

/// One step of a resolved path; `inode` is `None` for what is not there.
pub struct Step {
    pub name: Vec<u8>,
    pub inode: Option<InodeId>,
}

impl Editor<'_> {
    /// The path without links, as the machine resolves it. It may end in names that do not exist.
    pub fn walk(&self, path: &str) -> Result<Vec<Step>, Error> {
        let mut links = 0;
        let mut way: Vec<Step> = Vec::new();
        let mut left = components(path.as_bytes());
        while let Some(name) = left.pop() {
            if name == b".." {
                way.pop();
                continue;
            }
            let inode = self.step(&way, &name);
            let Some(target) = inode.and_then(|inode| self.link_target(inode)) else {
                way.push(Step { name, inode });
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::TooManyLinks { path: path.to_owned(), limit: MAX_LINKS });
            }
            if target.starts_with(b"/") {
                way.clear();
            }
            left.extend(components(target));
        }
        Ok(way)
    }

    fn step(&self, way: &[Step], name: &[u8]) -> Option<InodeId> {
        match (way.last(), name) {
            (None, b"etc") => Some(self.place.etc),
            (None, b"var") => Some(self.place.var),
            (None, _) => self.tree.child(self.place.deployment, name),
            (Some(step), _) => step.inode.and_then(|inode| self.tree.child(inode, name)),
        }
    }

    fn link_target(&self, inode: InodeId) -> Option<&[u8]> {
        match &self.tree.inode(inode).kind {
            Kind::Symlink(target) => Some(target),
            _ => None,
        }
    }

    /// The inode at `path`, links followed; `None` when nothing is there.
    pub fn find(&self, path: &str) -> Result<Option<InodeId>, Error> {
        Ok(self.walk(path)?.last().map_or(Some(self.place.deployment), |step| step.inode))
    }

    /// The regular file at `path`, links followed; nothing when there is none.
    pub fn contents(&self, path: &str) -> Result<Vec<u8>, Error> {
        let regular = self.find(path)?.filter(|&inode| matches!(self.tree.inode(inode).kind, Kind::Regular(_)));
        Ok(regular.map(|inode| self.bytes(inode, path)).transpose()?.unwrap_or_default())
    }

    /// As [`Editor::contents`], for text; bytes that are no UTF-8 come out as replacement characters.
    pub fn text(&self, path: &str) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.contents(path)?).into_owned())
    }

    /// The file `name` of a directory for editing; `None` when it is not there. A link is not followed: it may lead into the
    /// image's own files, which are not to be changed.
    pub fn read(&self, directory: InodeId, name: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.tree.child(directory, name.as_bytes()).map(|inode| self.bytes(inode, path)).transpose()
    }

    fn bytes(&self, inode: InodeId, path: &str) -> Result<Vec<u8>, Error> {
        let path = || path.to_owned();
        match &self.tree.inode(inode).kind {
            Kind::Regular(data) if data.len() > LIMIT => {
                Err(Error::TooLarge { path: path(), len: data.len(), limit: LIMIT })
            }
            Kind::Regular(Data::Bytes(bytes)) => Ok(bytes.to_vec()),
            Kind::Regular(Data::Spooled(content)) => {
                self.spool.read(*content).map_err(|source| Error::Spool { path: path(), source })
            }
            _ => Err(Error::NotAFile { path: path() }),
        }
    }

    /// Gives a regular file new content and keeps its owner, mode and attributes; anything else is replaced by a file with `new`.
    pub fn write(&mut self, directory: InodeId, name: &str, new: Stat, bytes: Vec<u8>) {
        let old = self.tree.child(directory, name.as_bytes()).map(|inode| self.tree.inode(inode));
        let stat = old.filter(|inode| matches!(inode.kind, Kind::Regular(_))).map(|inode| inode.stat.clone());
        let stat = Stat { modified: self.time, ..stat.unwrap_or(new) };
        self.tree.add_file(directory, name, stat, bytes);
    }

    /// Owner root, this mode, our time.
    pub fn root_stat(&self, permissions: u16) -> Stat {
        Stat::root(permissions, self.time)
    }
}

/// The components of a path, last first, so that the next one to walk is at the end.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}
