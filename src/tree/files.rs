//! Reading files of a [`Tree`] by path, wherever their bytes are.

use super::{Data, InodeId, Kind, PathError, Tree};
use crate::spool::{Spool, SpoolError};

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("`{path}` is {len} bytes, and at most {limit} were expected")]
    TooLarge { path: String, len: u64, limit: u64 },
    #[error("`{path}` could not be read back from the spool: {source}")]
    Spool { path: String, source: SpoolError },
    #[error("a file for /boot could not be read back from the spool: {source}")]
    BootFile { source: std::io::Error },
}

/// A tree seen from one directory that plays `/`, with the spool its bytes are in.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    pub tree: &'a Tree,
    pub root: InodeId,
    pub spool: &'a Spool,
}

impl Files<'_> {
    /// The inode at `path`, links followed.
    pub fn find(&self, path: &str) -> Result<Option<InodeId>, ReadError> {
        Ok(self.tree.resolve(self.root, path)?)
    }

    /// True when `path` leads to a regular file.
    pub fn is_file(&self, path: &str) -> Result<bool, ReadError> {
        Ok(self.find(path)?.is_some_and(|id| matches!(self.tree.inode(id).kind, Kind::Regular(_))))
    }

    /// Whether something has the name `path`, be it a link that leads nowhere.
    pub fn has(&self, path: &str) -> Result<bool, ReadError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(self.find(parent)?.is_some_and(|directory| self.tree.child(directory, name.as_bytes()).is_some()))
    }

    /// The whole file at `path`; `None` when there is no regular file there.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(id) = self.find(path)? else { return Ok(None) };
        let Kind::Regular(data) = &self.tree.inode(id).kind else { return Ok(None) };
        if data.len() > limit {
            return Err(ReadError::TooLarge { path: path.to_owned(), len: data.len(), limit });
        }
        let spooled = self.bytes(data);
        Ok(Some(spooled.map_err(|source| ReadError::Spool { path: path.to_owned(), source })?))
    }

    /// As [`Files::read`], for text; bytes that are no UTF-8 come out as replacement characters.
    pub fn read_text(&self, path: &str, limit: u64) -> Result<Option<String>, ReadError> {
        Ok(self.read(path, limit)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The names in the directory at `path` in byte order, only those that are UTF-8; empty when there is none.
    pub fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        let Some(id) = self.find(path)? else { return Ok(Vec::new()) };
        let names = self.tree.entries(id).filter_map(|(name, _)| std::str::from_utf8(name).ok());
        Ok(names.map(str::to_owned).collect())
    }

    pub fn bytes(&self, data: &Data) -> Result<Vec<u8>, SpoolError> {
        match data {
            Data::Bytes(bytes) => Ok(bytes.to_vec()),
            Data::Spooled(content) => self.spool.read(*content),
        }
    }
}
