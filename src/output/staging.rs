//! Files that appear only when all of them are whole.
//!
//! Each is written under a temporary name in its final directory; `commit` renames them all. A build that fails removes what it
//! wrote, and one that was killed leaves only temporary names, which the next build removes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::OutputError;

/// What a temporary name begins with; the rest is the final name.
const PREFIX: &str = ".bootwright-partial-";

/// The file of checksums, which must not outlive the disks it speaks of.
pub const SUMS: &str = "SHA256SUMS";

/// Directories below the output directory in which outputs are made.
const DIRECTORIES: [&str; 3] = ["", "qcow2", "image"];

pub struct Staging {
    directory: PathBuf,
    /// Locked as long as this build lasts: a second one would write the same temporary files.
    _lock: File,
    files: Vec<Staged>,
    made_directories: Vec<PathBuf>,
    committed: bool,
}

struct Staged {
    temporary: PathBuf,
    path: PathBuf,
}

impl Staging {
    /// Makes the output directory where it is missing.
    pub fn new(directory: &Path) -> Result<Staging, OutputError> {
        let mut made_directories = Vec::new();
        let locked = make_directories(directory, &mut made_directories).and_then(|()| lock(directory));
        let _lock = locked.inspect_err(|_| remove_directories(&made_directories))?;
        remove_leftovers(directory);
        Ok(Staging { directory: directory.to_owned(), _lock, files: Vec::new(), made_directories, committed: false })
    }

    /// Opens a file that will be called `name` (relative to the output directory) once everything is done.
    pub fn create(&mut self, name: &str) -> Result<(File, PathBuf), OutputError> {
        let path = self.directory.join(name);
        if path.is_dir() {
            return Err(OutputError::IsDirectory { path });
        }
        let parent = path.parent().unwrap_or(&self.directory).to_owned();
        make_directories(&parent, &mut self.made_directories)?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = parent.join(format!("{PREFIX}{file_name}"));
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).to_owned();
        let file = options.open(&temporary).map_err(OutputError::io("creating", &temporary))?;
        self.files.push(Staged { temporary, path: path.clone() });
        Ok((file, path))
    }

    /// Renames every file to its final name; existing ones are replaced.
    pub fn commit(mut self) -> Result<Vec<PathBuf>, OutputError> {
        for file in &self.files {
            fs::rename(&file.temporary, &file.path)
                .map_err(OutputError::io("renaming a finished file to", &file.path))?;
        }
        self.committed = true;
        let sums = self.directory.join(SUMS);
        if !self.files.iter().any(|file| file.path == sums) {
            let _ = fs::remove_file(sums); // those of an earlier build would be wrong; usually there are none
        }
        Ok(self.files.iter().map(|file| file.path.clone()).collect())
    }
}

/// Makes a directory and its parents; `made` learns which ones were missing.
fn make_directories(path: &Path, made: &mut Vec<PathBuf>) -> Result<(), OutputError> {
    let missing: Vec<_> = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for directory in missing.into_iter().rev() {
        match fs::create_dir(directory) {
            Ok(()) => made.push(directory.to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(OutputError::io("creating the directory", directory)(error)),
        }
    }
    Ok(())
}

fn remove_directories(made: &[PathBuf]) {
    for directory in made.iter().rev() {
        let _ = fs::remove_dir(directory); // only goes when it is empty
    }
}

fn lock(directory: &Path) -> Result<File, OutputError> {
    let file = File::open(directory).map_err(OutputError::io("opening the directory", directory))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OutputError::Busy { path: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(OutputError::io("locking the directory", directory)(error)),
    }
}

impl Drop for Staging {
    /// What was not committed goes, and with it the directories that were made for it.
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        for file in &self.files {
            let _ = fs::remove_file(&file.temporary); // nothing more can be done about a file that cannot be removed
        }
        remove_directories(&self.made_directories);
    }
}

/// Removes temporary files that a killed build left in an output directory.
fn remove_leftovers(directory: &Path) {
    for below in DIRECTORIES {
        let entries = fs::read_dir(directory.join(below)).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
            let _ = fs::remove_file(entry.path()); // a leftover that stays does no harm
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_its_final_name_before_commit_and_nothing_is_left_without_it() {
        let temporary = tempfile::tempdir().unwrap();
        let out = temporary.path().join("a/b");
        let mut staging = Staging::new(&out).unwrap();
        let (_, path) = staging.create("qcow2/disk.qcow2").unwrap();
        assert!(!path.exists());
        drop(staging);
        assert!(!temporary.path().join("a").exists());
        let mut staging = Staging::new(&out).unwrap();
        let (_, path) = staging.create("qcow2/disk.qcow2").unwrap();
        staging.commit().unwrap();
        assert!(path.exists());
        assert_eq!(fs::read_dir(out.join("qcow2")).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_build_left_is_removed_by_the_next() {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join("image")).unwrap();
        fs::write(out.path().join(format!("image/{PREFIX}disk.raw")), "half").unwrap();
        Staging::new(out.path()).unwrap();
        assert_eq!(fs::read_dir(out.path().join("image")).unwrap().count(), 0);
    }

    #[test]
    fn two_builds_do_not_write_to_one_directory_at_once() {
        let out = tempfile::tempdir().unwrap();
        let first = Staging::new(out.path()).unwrap();
        assert!(matches!(Staging::new(out.path()), Err(OutputError::Busy { .. })));
        drop(first);
        assert!(Staging::new(out.path()).is_ok());
    }
}
