//! Expensive things that several tests read and none changes, made once: under a lock, in Cargo's directory for test files. Test
//! runners that start a process for each test share them too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::mini_image::digest;

/// The directory `name`, filled by `make` when it is not there.
pub fn get(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let shelf = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(shelf).unwrap();
    let finished = shelf.join(name);
    let lock = File::create(shelf.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !finished.is_dir() {
        let making = shelf.join(format!("{name}.making"));
        if making.exists() {
            fs::remove_dir_all(&making).unwrap();
        }
        fs::create_dir(&making).unwrap();
        make(&making);
        fs::rename(&making, &finished).unwrap();
    }
    finished
}

/// As [`get`], for what the program under test makes of `input`: made anew when either changed, and the old one removed.
pub fn get_for_program(name: &str, input: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let program = fs::metadata(env!("CARGO_BIN_EXE_bootwright")).unwrap();
    let built = program.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let input = &digest(input.as_bytes())[7..23];
    let current = format!("{name}-{built:x}-{:x}-{input}", program.len());
    let shelf = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(shelf).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        if other.starts_with(&format!("{name}-")) && !other.starts_with(&current) {
            let _ =
                if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
    get(&current, make)
}
