//! The kernel as a judge of images: mounts that go away with the test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use qemu_tests::oracle;

/// A mounted filesystem, unmounted when dropped.
pub struct Mount {
    at: tempfile::TempDir,
}

impl Mount {
    /// `mount` with these arguments, on a new directory.
    pub fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Mount {
        oracle::needs_root("mounting an image");
        let mount = Mount { at: tempfile::tempdir().unwrap() };
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).chain([mount.path().into()]);
        oracle::agrees(&oracle::tool("mount", "mount"), args);
        mount
    }

    /// An EROFS image in the file `image`.
    pub fn erofs(image: &Path) -> Mount {
        Mount::new([OsStr::new("-t"), "erofs".as_ref(), "-o".as_ref(), "ro,loop".as_ref(), image.as_ref()])
    }

    /// What composefs mounts: names from `erofs`, bytes from `objects`.
    pub fn overlay(erofs: &Mount, objects: &Path) -> Mount {
        let (erofs, objects) = (erofs.path().display().to_string(), objects.display());
        let options = format!("ro,redirect_dir=on,metacopy=on,lowerdir={erofs}::{objects}");
        Mount::new(["-t", "overlay", "-o", &options, "overlay"])
    }

    pub fn path(&self) -> PathBuf {
        self.at.path().to_owned()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        oracle::run(&oracle::tool("umount", "mount"), [self.path()]);
    }
}

/// The xattrs of everything below `root` as `getfattr` prints them, by path: lines `name=0xhex`, sorted.
pub fn getfattr(root: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let args = ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "--absolute-names", "--"].map(OsStr::new);
    let said = oracle::agrees(&oracle::tool("getfattr", "attr"), args.into_iter().chain([root.as_ref()]));
    let files = said.split("# file: ").skip(1).map(|file| {
        let mut lines = file.lines().filter(|line| !line.is_empty());
        let path = PathBuf::from(lines.next().unwrap_or_default());
        let mut xattrs: Vec<_> = lines.map(str::to_owned).collect();
        xattrs.sort();
        (path, xattrs)
    });
    files.collect()
}
