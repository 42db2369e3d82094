//! Runs mmdebstrap (mmdebstrap(1)) for a root filesystem with an initramfs, as one tar.
//!
//! The suite is named and no mirror: mmdebstrap's own default is used. Root's builds are `--mode=root`, all others
//! `--mode=unshare`.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layer;
use crate::recipe::{Architecture, Recipe, Suite};
use crate::tree::EPOCH;

/// Writes the tar `root`; scratch files go beside it.
pub fn run(recipe: &Recipe, root: &Path) -> Result<()> {
    check_emulator(recipe)?;
    let files = root.with_extension("files");
    layer::write(&recipe.base()?, File::create(&files)?)?;
    finish(mmdebstrap(recipe, &files, root)?, &root.with_extension("log"))?;
    Ok(fs::remove_file(&files)?)
}

/// Writes the files of one package as the tar `root`. Nothing of it is run, so that its architecture may be any.
pub fn unpack(package: &str, suite: Suite, architecture: Architecture, root: &Path) -> Result<()> {
    let mut command = start("extract", suite, architecture)?;
    command.arg(format!("--include={package}")).arg(suite.name()).arg(root);
    finish(command, &root.with_extension("log"))
}

/// Waits for mmdebstrap, whose words go to `log`.
fn finish(mut command: Command, log: &Path) -> Result<()> {
    let status = command.stdout(File::create(log)?).stderr(File::options().append(true).open(log)?).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("mmdebstrap ended with {status}; {} says last:\n{}", log.display(), last_lines(log)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("mmdebstrap is missing: sudo apt-get install mmdebstrap uidmap debian-archive-keyring")
        }
        Err(error) => Err(error).context("starting mmdebstrap"),
    }
}

/// Scripts of packages for another architecture need an emulator that the kernel starts by itself.
fn check_emulator(recipe: &Recipe) -> Result<()> {
    let name = match recipe.architecture {
        architecture if architecture.is_native() => return Ok(()),
        Architecture::Amd64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    };
    let registered = Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{name}"));
    if registered.exists() {
        return Ok(());
    }
    bail!(
        "programs for {name} do not run here: sudo apt-get install qemu-user-static binfmt-support && \
         sudo update-binfmts --enable qemu-{name}"
    )
}

/// What every call has in common; suite and output come last.
fn start(variant: &str, suite: Suite, architecture: Architecture) -> Result<Command> {
    // A process's own entry in /proc belongs to its effective user.
    let is_root = fs::metadata("/proc/self")?.uid() == 0;
    let mut command = Command::new("mmdebstrap");
    command
        .arg(if is_root { "--mode=root" } else { "--mode=unshare" })
        .arg(format!("--variant={variant}"))
        .args(["--format=tar", "--aptopt=Apt::Install-Recommends \"false\""])
        .arg(format!("--architectures={}", architecture.name()))
        // A mirror of sid may be older than its Release file allows.
        .args((suite == Suite::Sid).then_some("--aptopt=Acquire::Check-Valid-Until \"false\""))
        .env("SOURCE_DATE_EPOCH", EPOCH.to_string())
        .env("LC_ALL", "C.UTF-8");
    Ok(command)
}

fn mmdebstrap(recipe: &Recipe, files: &Path, root: &Path) -> Result<Command> {
    let mut command = start("minbase", recipe.suite, recipe.architecture)?;
    command
        .arg(format!("--include={}", recipe.packages()?.join(",")))
        .args(recipe.dpkg_options()?.iter().map(|option| format!("--dpkgopt={option}")))
        .arg(format!("--customize-hook=tar-in {} /", shell_word(files)?))
        .args(recipe.customize_scripts()?.iter().map(|script| format!("--customize-hook={script}")))
        .arg(recipe.suite.name())
        .arg(root)
        // The kernel's package would build an initramfs that nobody wants.
        .env("INITRD", "No");
    Ok(command)
}

/// A path as one word for mmdebstrap's hooks, which take shell quoting.
fn shell_word(path: &Path) -> Result<String> {
    let path = path.to_str().context("the cache's path is not UTF-8")?;
    Ok(format!("'{}'", path.replace('\'', r"'\''")))
}

fn last_lines(log: &Path) -> Result<String> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
}
