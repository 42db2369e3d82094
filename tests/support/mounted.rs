//! The kernel as a judge: filesystems mounted over loop devices, taken down at the end of the test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use qemu_tests::oracle;

/// A mounted image file. Its directory goes with it.
pub struct Mounted {
    device: String,
    _directory: TempDir,
    place: PathBuf,
}

/// Mounts an image file of a whole filesystem read-only.
pub fn read_only(image: &Path) -> Mounted {
    mount(image, None, "ro")
}

/// Mounts an image file at `place`, or at a new directory; `how` is `ro` or `rw`.
pub fn mount(image: &Path, place: Option<&Path>, how: &str) -> Mounted {
    let directory = tempfile::tempdir().unwrap();
    let place = place.unwrap_or(directory.path()).to_owned();
    oracle::needs_root("mounting");
    let mut args = vec!["--find", "--show"];
    if how == "ro" {
        args.push("--read-only");
    }
    let image = image.to_str().unwrap();
    args.push(image);
    let device = oracle::agrees(&oracle::tool("losetup", "mount"), args).trim().to_owned();
    let mounted = Mounted { device, _directory: directory, place };
    let args = ["-o", how, mounted.device.as_str(), mounted.place.to_str().unwrap()];
    oracle::agrees(&oracle::tool("mount", "mount"), args);
    mounted
}

impl Mounted {
    pub fn path(&self) -> &Path {
        &self.place
    }

    pub fn join(&self, path: &str) -> PathBuf {
        self.place.join(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Nothing to do about one that stays, and a panic here would hide the test's own.
        let _ = oracle::run(&oracle::tool("umount", "mount"), [&self.place]);
        let _ = oracle::run(&oracle::tool("losetup", "mount"), ["--detach", &self.device]);
    }
}

/// A composefs root: `image` with the files' bytes out of `objects`.
pub struct Overlay(TempDir);

pub fn overlay(image: &Path, objects: &Path) -> Overlay {
    let directory = tempfile::tempdir().unwrap();
    let options = format!("ro,metacopy=on,redirect_dir=on,lowerdir={}::{}", image.display(), objects.display());
    let args = ["-t", "overlay", "-o", &options, "overlay", directory.path().to_str().unwrap()];
    oracle::agrees(&oracle::tool("mount", "mount"), args);
    Overlay(directory)
}

impl Overlay {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = oracle::run(&oracle::tool("umount", "mount"), [self.0.path()]);
    }
}

/// A filesystem in memory.
pub struct InMemory(TempDir);

/// A tmpfs of a size such as `4m`.
pub fn in_memory(size: &str) -> InMemory {
    oracle::needs_root("mounting a tmpfs");
    let directory = tempfile::tempdir().unwrap();
    let options = format!("size={size}");
    oracle::agrees(
        &oracle::tool("mount", "mount"),
        ["-t", "tmpfs", "-o", &options, "tmpfs", directory.path().to_str().unwrap()],
    );
    InMemory(directory)
}

impl InMemory {
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        let _ = oracle::run(&oracle::tool("umount", "mount"), [self.0.path()]);
    }
}
