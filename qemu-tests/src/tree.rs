//! A file tree as it lies in an archive: names, inodes, and where the bytes are.
//!
//! Reads the archive of mmdebstrap and directories of the recipe; applies layers as the OCI image specification says
//! ("Layer Filesystem Changeset"). Writing is `layer`; what a bootable container looks like is `ostree_layout`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

/// The time of everything that is made here, in seconds since 1970; later times are set back to it. 2026-01-01.
pub const EPOCH: u64 = 1_767_225_600;

/// Where a file's bytes are.
#[derive(Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    InArchive { archive: Arc<File>, offset: u64, size: u64 },
}

#[derive(Clone)]
pub enum Node {
    Directory,
    Symlink(String),
    File(Content),
}

/// What several names may share.
#[derive(Clone)]
pub struct Inode {
    /// Permissions with setuid, setgid and sticky; not the type.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    pub node: Node,
}

/// Paths without a leading slash; the root itself has no entry. Names of one `Arc` are hard links.
#[derive(Clone, Default)]
pub struct Tree {
    pub names: BTreeMap<String, Arc<Inode>>,
}

impl Content {
    pub fn size(&self) -> u64 {
        match self {
            // Lossless: usize has at most 64 bits.
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::InArchive { size, .. } => *size,
        }
    }

    pub fn reader(&self) -> Box<dyn Read + '_> {
        match self {
            Content::Bytes(bytes) => Box::new(bytes.as_slice()),
            Content::InArchive { archive, offset, size } => {
                Box::new(Section { archive: archive.clone(), offset: *offset, end: offset + size })
            }
        }
    }
}

/// A stretch of a file, read without moving the file's own position.
struct Section {
    archive: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.archive.read_at(&mut buffer[..left], self.offset)?;
        self.offset += u64::try_from(read).map_err(io::Error::other)?;
        Ok(read)
    }
}

impl Inode {
    /// Root's own, of the fixed time.
    pub fn new(mode: u32, node: Node) -> Inode {
        Inode { mode, uid: 0, gid: 0, mtime: EPOCH, xattrs: BTreeMap::new(), node }
    }

    pub fn directory(mode: u32) -> Inode {
        Inode::new(mode, Node::Directory)
    }

    pub fn symlink(target: &str) -> Inode {
        Inode::new(0o777, Node::Symlink(target.to_owned()))
    }

    pub fn file(mode: u32, bytes: &[u8]) -> Inode {
        Inode::new(mode, Node::File(Content::Bytes(bytes.to_vec())))
    }
}

impl Tree {
    pub fn insert(&mut self, path: &str, inode: Inode) {
        self.names.insert(path.to_owned(), Arc::new(inode));
    }

    /// Drops a path and all below it.
    pub fn remove(&mut self, path: &str) {
        self.names.remove(path);
        self.remove_below(path);
    }

    /// Drops all below a path.
    pub fn remove_below(&mut self, path: &str) {
        for name in self.below(path) {
            self.names.remove(&name);
        }
    }

    /// Gives a path and all below it another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        for old in self.below(from).into_iter().chain([from.to_owned()]) {
            if let Some(inode) = self.names.remove(&old) {
                self.names.insert(format!("{to}{}", &old[from.len()..]), inode);
            }
        }
    }

    /// The paths below a directory.
    pub fn below(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}/");
        let after = self.names.range(prefix.clone()..).map(|(name, _)| name);
        after.take_while(|name| name.starts_with(&prefix)).cloned().collect()
    }

    /// The directories above a path, nearest last.
    pub fn parents(path: &str) -> impl Iterator<Item = &str> {
        path.match_indices('/').map(|(slash, _)| &path[..slash])
    }

    /// Lays a layer over this tree: whiteouts remove, opaque directories hide, the rest replaces.
    pub fn apply(&mut self, layer: &Tree) {
        for name in layer.names.keys() {
            let (directory, base) = name.split_at(name.rfind('/').map_or(0, |slash| slash + 1));
            match base.strip_prefix(".wh.") {
                Some(".wh..opq") => self.remove_below(directory.trim_end_matches('/')),
                Some(removed) => self.remove(&format!("{directory}{removed}")),
                None => {}
            }
        }
        let kept = layer.names.iter().filter(|(name, _)| !name.rsplit('/').next().unwrap_or(name).starts_with(".wh."));
        self.names.extend(kept.map(|(name, inode)| (name.clone(), inode.clone())));
    }

    /// A directory of the recipe: all root's, 0755 or 0644 by the executable bit.
    pub fn from_directory(directory: &Path) -> Result<Tree> {
        let mut tree = Tree::default();
        tree.add_directory(directory, "")?;
        Ok(tree)
    }

    fn add_directory(&mut self, directory: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                self.insert(&path, Inode::directory(0o755));
                self.add_directory(&entry.path(), &format!("{path}/"))?;
            } else {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                self.insert(&path, Inode::file(if executable { 0o755 } else { 0o644 }, &fs::read(entry.path())?));
            }
        }
        Ok(())
    }

    /// A whole root filesystem as tar; what is below `dev` is left out.
    pub fn from_tar(path: &Path) -> Result<Tree> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let content = Arc::new(file.try_clone()?);
        let mut tree = Tree::default();
        for entry in tar::Archive::new(file).entries_with_seek()? {
            tree.add_entry(&mut entry?, &content).with_context(|| format!("reading {}", path.display()))?;
        }
        Ok(tree)
    }

    fn add_entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, archive: &Arc<File>) -> Result<()> {
        let path = clean(&entry.path_bytes())?;
        if path.is_empty() || path.starts_with("dev/") {
            return Ok(());
        }
        let target = entry.link_name_bytes().map(|name| name.into_owned());
        let text = |target: Option<Vec<u8>>| Ok::<_, anyhow::Error>(String::from_utf8(target.unwrap_or_default())?);
        let node = match entry.header().entry_type() {
            tar::EntryType::Directory => Node::Directory,
            tar::EntryType::Symlink => Node::Symlink(text(target)?),
            tar::EntryType::Regular => Node::File(Content::InArchive {
                archive: archive.clone(),
                offset: entry.raw_file_position(),
                size: entry.size(),
            }),
            tar::EntryType::Link => return self.link(&path, &clean(&target.unwrap_or_default())?),
            other => bail!("{path} is of type {other:?}, which no layer may hold"),
        };
        let inode = Inode { node, ..metadata(entry)? };
        self.names.insert(path, Arc::new(inode));
        Ok(())
    }

    /// Gives the inode of `target` a second name.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let inode = self.names.get(target).with_context(|| format!("{path} links to {target}, which is not there"))?;
        self.names.insert(path.to_owned(), inode.clone());
        Ok(())
    }
}

/// `./usr/bin/` as `usr/bin`, the root itself as nothing.
fn clean(path: &[u8]) -> Result<String> {
    let path = std::str::from_utf8(path).with_context(|| format!("{} is not UTF-8", path.escape_ascii()))?;
    let path = path.strip_prefix('.').filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path);
    Ok(path.trim_matches('/').to_owned())
}

/// All but the node; times later than [`EPOCH`] become it.
fn metadata<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Inode> {
    let header = entry.header();
    let mut inode = Inode::directory(header.mode()? & 0o7777);
    (inode.uid, inode.gid) = (header.uid()?, header.gid()?);
    inode.mtime = header.mtime()?.min(EPOCH);
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        if let Some(name) = extension.key()?.strip_prefix("SCHILY.xattr.") {
            inode.xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
        }
    }
    Ok(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        paths.iter().for_each(|path| tree.insert(path, Inode::file(0o644, b"")));
        tree
    }

    #[test]
    fn whiteouts_remove_and_opaque_directories_hide_only_what_is_below() {
        let mut lower = tree(&["gone", "dir/gone/deep", "dir/gone-not", "opaque/old", "opaque/sub/old", "opaque-not"]);
        lower.apply(&tree(&[".wh.gone", "dir/.wh.gone", "opaque/.wh..wh..opq", "opaque/new"]));
        assert_eq!(lower.names.keys().collect::<Vec<_>>(), ["dir/gone-not", "opaque-not", "opaque/new"]);
    }

    #[test]
    fn a_leading_dot_of_the_archive_is_not_part_of_a_hidden_name() {
        for (path, expected) in
            [("./", ""), (".", ""), ("./.hidden", ".hidden"), (".hidden/a/", ".hidden/a"), ("/a", "a")]
        {
            assert_eq!(clean(path.as_bytes()).unwrap(), expected);
        }
    }
}
