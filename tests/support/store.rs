//! skopeo, podman and buildah in a scratch directory, with container stores of their own.

use std::path::{Path, PathBuf};

use qemu_tests::oracle;

/// A scratch directory that goes with its stores.
pub struct Place {
    pub directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `TRANSPORT:PATH` of something here.
    pub fn at(&self, transport: &str, name: &str) -> String {
        format!("{transport}:{}", self.path(name).display())
    }

    /// A store, made when something is put into it.
    pub fn store(&self, name: &str) -> Store {
        oracle::needs_root("the overlay driver of containers/storage");
        Store { root: self.path(name), run: self.path(&format!("{name}-run")) }
    }
}

/// A store of the overlay driver.
pub struct Store {
    pub root: PathBuf,
    run: PathBuf,
}

impl Store {
    /// `containers-storage:` of an image in it.
    pub fn image(&self, image: &str) -> String {
        self.image_with("overlay", "", image)
    }

    /// The same with another driver, and with options.
    pub fn image_with(&self, driver: &str, options: &str, image: &str) -> String {
        let options = if options.is_empty() { String::new() } else { format!(":{options}") };
        format!("containers-storage:[{driver}@{}+{}{options}]{image}", self.root.display(), self.run.display())
    }

    /// Runs podman or buildah on the store.
    pub fn run(&self, tool: &str, args: &[&str]) -> String {
        let (root, run) = (self.root.display().to_string(), self.run.display().to_string());
        let place = ["--root", &root, "--runroot", &run, "--storage-driver", "overlay"];
        oracle::agrees(
            &unshare(),
            in_own_mounts(tool).iter().map(String::as_str).chain(place).chain(args.iter().copied()),
        )
    }

    /// The only file with this ending.
    pub fn file(&self, ending: &str) -> PathBuf {
        only_file(&self.root, ending)
    }
}

/// The only file below a directory whose path ends so.
pub fn only_file(directory: &Path, ending: &str) -> PathBuf {
    let all = super::program::files_below(directory);
    let found: Vec<_> = all.iter().filter(|path| path.ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "{ending}: {found:?}");
    directory.join(found[0])
}

pub fn copy(from: &str, to: &str) {
    copy_with(&[], from, to);
}

pub fn copy_with(options: &[&str], from: &str, to: &str) {
    let command = in_own_mounts("skopeo");
    let args = ["copy", "--insecure-policy", "-q"].iter().chain(options).copied().chain([from, to]);
    oracle::agrees(&unshare(), command.iter().map(String::as_str).chain(args));
}

/// The manifest as skopeo gives it.
pub fn raw_manifest(image: &str) -> Vec<u8> {
    let command = in_own_mounts("skopeo");
    let args = command.iter().map(String::as_str).chain(["inspect", "--raw", image]);
    let output = oracle::run(&unshare(), args);
    assert!(output.status.success(), "{}", oracle::said(&output));
    output.stdout
}

/// The overlay driver mounts its directory over itself and leaves it so: each tool gets mounts of its own, which go with it.
fn in_own_mounts(tool: &str) -> [String; 2] {
    ["--mount".to_owned(), oracle::tool(tool, tool).display().to_string()]
}

fn unshare() -> PathBuf {
    oracle::needs_root("mounts of one's own");
    oracle::tool("unshare", "util-linux")
}

/// Packs a directory's files, in this order.
pub fn pack(directory: &Path, files: &[&str], archive: &Path) {
    let args = ["-cf".as_ref(), archive.as_os_str(), "-C".as_ref(), directory.as_os_str()].into_iter();
    oracle::agrees(&oracle::tool("tar", "tar"), args.chain(files.iter().map(|file| file.as_ref())));
}
