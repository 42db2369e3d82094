//! Where finished test systems are kept: outside of the source tree, one directory per recipe.
//!
//! A directory under its final name is complete: it was built beside it and renamed. Two processes that want the same
//! one meet at a file lock.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// `$BOOTWRIGHT_CACHE`, `$XDG_CACHE_HOME/bootwright` or `~/.cache/bootwright`.
pub fn directory() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_user = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set("BOOTWRIGHT_CACHE")
        .or_else(|| Some(of_user()?.join("bootwright")))
        .context("no place for the cache: set BOOTWRIGHT_CACHE")
}

/// The directory `<shelf>/<hash>`; `build` fills it if it is not there.
pub fn get_or_build(shelf: &Path, hash: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let finished = shelf.join(hash);
    if finished.is_dir() {
        return Ok(finished);
    }
    fs::create_dir_all(shelf).with_context(|| format!("making {}", shelf.display()))?;
    let lock = File::create(shelf.join(format!("{hash}.lock")))?;
    lock.lock().with_context(|| format!("locking {}", finished.display()))?;
    if finished.is_dir() {
        return Ok(finished);
    }
    // Under the lock nobody else writes here: what is left is of a killed build.
    let building = shelf.join(format!("{hash}.building"));
    if building.exists() {
        fs::remove_dir_all(&building)?;
    }
    fs::create_dir(&building)?;
    build(&building)?;
    fs::rename(&building, &finished)?;
    Ok(finished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_failed_build_is_built_again_and_a_finished_one_never() {
        let shelf = tempfile::tempdir().unwrap();
        let builds = Cell::new(0);
        let build = |succeeds: bool| {
            get_or_build(shelf.path(), "recipe", |building| {
                builds.set(builds.get() + 1);
                fs::write(building.join(builds.get().to_string()), "")?;
                anyhow::ensure!(succeeds, "no network");
                Ok(())
            })
        };
        build(false).unwrap_err();
        let finished = build(true).unwrap();
        build(true).unwrap();
        assert_eq!(builds.get(), 2);
        assert!(finished.join("2").exists() && !finished.join("1").exists());
    }
}
