//! What a ref of an ostree repository is, and what a build would make of it, without building: `bootwright inspect SOURCE`.
//!
//! Of a server only directories and the few files that say something are fetched. Printing is `cli`'s.

use std::path::Path;

use serde::Serialize;

use crate::bootloader::Places;
use crate::build::{BuildError, Offer, bootloader, commit_architecture, import};
use crate::deploy::{CommitTree, Grower};
use crate::image_ref::{Location, OstreeRef};
use crate::layout::{Layout, PartitionTable};
use crate::os::{self, EfiRole, Os};
use crate::progress::Progress;
use crate::report::CommitFacts;
use crate::request::{BootloaderChoice, OstreeRequest};
use crate::source::Loaded;
use crate::source::ostree::{self, PulledCommit, Wanted};
use crate::tree::Files;

/// Everything that is known of a source.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    pub source: String,
    pub commit: CommitFacts,
    /// Bytes of all files unpacked; none where the repository does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes to fetch from a server, where the commit says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemSurvey>,
    /// Why no disk can be made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    pub warnings: Vec<String>,
}

/// The operating system in it, and what a build would choose.
#[derive(Clone, Debug, Serialize)]
pub struct SystemSurvey {
    pub name: String,
    pub kernel: String,
    pub architecture: String,
    pub update_client: Option<&'static str>,
    pub grows_at_first_boot: bool,
    pub composefs: bool,
    pub stateroot: String,
    pub bootloader_files: Vec<BootFile>,
    /// Which loader and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootloader: Option<String>,
}

/// An EFI program.
#[derive(Clone, Debug, Serialize)]
pub struct BootFile {
    pub path: String,
    pub role: &'static str,
    pub signed: bool,
}

/// Looks at the commit; what is fetched goes to an unnamed file in `scratch`.
pub fn survey(
    reference: &OstreeRef,
    wishes: &OstreeRequest,
    scratch: &Path,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Survey, BuildError> {
    let rev = reference.rev.parse()?;
    let repository = ostree::open(&reference.location, &wishes.access)?;
    let near = matches!(reference.location, Location::Directory(_));
    // Without a key, looking is allowed: what is not verified is shown as such.
    let unverified = wishes.policy.unverified || wishes.policy.keys.is_empty();
    let policy = ostree::Policy { unverified, ..wishes.policy.clone() };
    let wanted = if near { Wanted::All } else { Wanted::Only(os::reads) };
    let pulled = ostree::load(&*repository, &rev, &policy, wanted, scratch, threads, progress)?;
    let sizes = pulled.commit.sizes();
    let read = near.then(|| pulled.contents.objects.iter().map(|(_, object)| object.len()).sum());
    let commit = CommitFacts::of(&pulled);
    let warnings = pulled.warnings();
    let (system, obstacle) = match system(pulled) {
        Ok((system, obstacle)) => (Some(system), obstacle),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Survey {
        source: format!("ostree:{reference}"),
        size: sizes.map(|sizes| sizes.unpacked).or(read),
        download: sizes.filter(|_| !near).map(|sizes| sizes.archived),
        commit,
        system,
        obstacle,
        warnings,
    })
}

/// The system, and what stands in the way of its boot loader.
fn system(pulled: PulledCommit) -> Result<(SystemSurvey, Option<String>), BuildError> {
    let commit = pulled.commit.clone();
    let loaded = Loaded::Commit(Box::new(pulled));
    let contents = loaded.contents();
    let imported = import(&loaded, 0)?;
    let checkout = CommitTree::checkout(contents, &imported.root, 0)?;
    let files = Files { tree: &checkout.tree, root: checkout.deployment, spool: &contents.spool };
    let architecture = commit_architecture(None, &commit, &files)?;
    let os = Os::inspect(&files, architecture)?;
    let places = Layout::default_for(architecture).map(|layout| Places::from(&layout)).map_err(BuildError::from);
    let loader = places.and_then(|places| {
        bootloader(BootloaderChoice::Auto, &Offer { os: &os, image: &files, provided: None, places })
    });
    let (bootloader, obstacle) = match loader {
        Ok(loader) => (Some(loader.reason()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let system = SystemSurvey {
        name: os.release.pretty_name.clone(),
        kernel: os.kernel.version.clone(),
        architecture: architecture.to_string(),
        update_client: os.update_client,
        grows_at_first_boot: Grower::choose(&os.grow_tools, PartitionTable::Gpt).is_ok(),
        composefs: os.wants_composefs(),
        stateroot: os.install.stateroot.clone().unwrap_or_else(|| "default".to_owned()),
        bootloader_files: os.efi_binaries.iter().map(boot_file).collect(),
        bootloader,
    };
    Ok((system, obstacle))
}

fn boot_file(binary: &os::EfiBinary) -> BootFile {
    let role = match binary.role {
        EfiRole::Shim => "shim",
        EfiRole::MokManager => "MokManager",
        EfiRole::Grub { .. } => "GRUB",
        EfiRole::SystemdBoot => "systemd-boot",
    };
    BootFile { path: binary.path.clone(), role, signed: binary.signed }
}
