//! Opening what is below a directory, and nothing else: no symbolic link is followed, no `..` taken.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open, openat};

/// Enough to search a directory.
const SEARCH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Opening a fifo does not wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A directory whose files are wanted.
#[derive(Debug)]
pub struct Inside {
    root: OwnedFd,
    path: PathBuf,
    /// The directory of the file opened last: files come sorted by directories.
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl Inside {
    /// Of a path that the user or the system's configuration names, which may be a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = open(path, SEARCH, Mode::empty())?;
        Ok(Self { root, path: path.to_owned(), last: None })
    }

    /// A directory below.
    pub fn directory(&self, relative: &str) -> io::Result<Self> {
        let root = walk(&self.root, relative.as_bytes())?;
        Ok(Self { root, path: self.path(relative.as_bytes()), last: None })
    }

    /// A regular file below.
    pub fn file(&mut self, relative: &[u8]) -> io::Result<File> {
        let at = relative.iter().rposition(|byte| *byte == b'/');
        let (directory, name) = at.map_or((&b""[..], relative), |at| (&relative[..at], &relative[at + 1..]));
        if matches!(name, b"" | b"." | b"..") {
            return Err(io::Error::other("its name is that of a directory"));
        }
        let parent = match &self.last {
            Some((path, parent)) if path == directory => parent,
            _ => &self.last.insert((directory.to_owned(), walk(&self.root, directory)?)).1,
        };
        let file = File::from(openat(parent, name, READ | OFlags::NOFOLLOW, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
    }

    /// For messages.
    pub fn path(&self, relative: &[u8]) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(relative.strip_prefix(b"/").unwrap_or(relative)))
    }
}

fn walk(root: &OwnedFd, relative: &[u8]) -> io::Result<OwnedFd> {
    let mut here = root.try_clone()?;
    for name in relative.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
        if name == b".." {
            return Err(io::Error::other("its name leads out of the directory"));
        }
        here = openat(&here, name, SEARCH | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_below_are_opened_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("store/a/b")).unwrap();
        fs::write(path("secret"), "secret").unwrap();
        fs::write(path("store/a/b/file"), "content").unwrap();
        symlink("../../secret", path("store/a/link")).unwrap();
        symlink("/", path("store/a/root")).unwrap();
        symlink("b", path("store/a/c")).unwrap();
        nix::unistd::mkfifo(&path("store/a/fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let mut inside = Inside::open(&path("store")).unwrap();
        for good in ["a/b/file", "./a//b/./file", "/a/b/file"] {
            let mut text = String::new();
            inside.file(good.as_bytes()).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "content", "{good}");
        }
        let text = |name: &[u8], inside: &mut Inside| inside.file(name).unwrap_err().to_string();
        for bad in
            ["../secret", "a/../../secret", "a/link", "a/root/etc/passwd", "a/c/file", "a/b", "a/fifo", "a/..", ""]
        {
            assert!(inside.file(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(text(b"a/../../secret", &mut inside).contains("leads out"));
        assert!(text(b"a/fifo", &mut inside).contains("not a regular file"));
        assert!(text(b"a/b\0", &mut inside).contains("Invalid argument"));
        assert!(inside.directory("a/c").is_err());
        inside.directory("a/b").unwrap().file(b"file").unwrap();
    }
}
