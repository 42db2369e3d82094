//! One build, from the request to finished files. Each verb opens one room.

mod base;
mod choose;
mod origin;
mod trust;
mod upstream;

use std::collections::BTreeMap;
use std::path::Path;

pub use choose::{Offer, bootloader, layout, root_filesystem, stateroot};
use origin::{Deployable, Upstream};
pub use origin::{FoundImage, architecture, find_image, import, load_image};
pub use trust::admit;

use crate::bootloader::{Addition, Boot, Loader, LoaderFiles, Places};
use crate::customize;
use crate::deploy::{self, CommitTree, Imported, Remote, Sysroot, Target};
use crate::disk::{self, Filesystems, Placement};
use crate::ext4;
use crate::image::Contents;
use crate::layout::{Layout, PartitionType};
use crate::os::{Architecture, Os, RootFilesystem};
use crate::output::{self, Staging};
use crate::plan::{DiskPlan, Identity, Sizes};
use crate::progress::{Event, Progress, Task};
use crate::report::{Output, Report};
use crate::request::Request;
use crate::seed::Seed;
use crate::source::Loaded;
use crate::spool::Spool;
use crate::tree::{Files, Stat, Tree};
use crate::units::Bytes;

/// Any room's error; the CLI finds the hint by its type.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    #[error(transparent)]
    Ostree(Box<crate::source::ostree::Error>),
    #[error(transparent)]
    Os(#[from] crate::os::OsError),
    #[error(transparent)]
    Deploy(#[from] crate::deploy::DeployError),
    #[error(transparent)]
    Customize(#[from] crate::customize::Error),
    #[error(transparent)]
    Layout(#[from] crate::layout::LayoutError),
    #[error(transparent)]
    Bootloader(#[from] crate::bootloader::BootloaderError),
    #[error(transparent)]
    Plan(#[from] crate::plan::PlanError),
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskError),
    #[error(transparent)]
    Output(#[from] crate::output::OutputError),
    #[error("the image is for `{0}`, which is not an architecture known here")]
    Architecture(String),
    #[error("the commit's programs are for {found}, but {wanted} is wanted")]
    WrongArchitecture { wanted: Architecture, found: Architecture },
    #[error("what processor the commit is for cannot be told from its programs")]
    NoArchitecture,
    #[error("the commit brings its own remote `{name}` with the URL {url}, and {asked} is asked for")]
    RemoteIsShipped { name: String, url: String, asked: String },
    #[error("the remote `{name}` has no URL: neither the source nor the commit says one")]
    RemoteWithoutUrl { name: String },
    #[error("{asked} is asked for as the root filesystem, and only ext4 is written yet")]
    RootFilesystem { asked: RootFilesystem },
    #[error("signatures are to be enforced on the machine, and {why}")]
    NothingToEnforce { why: String },
    #[error("the image asks for the boot loader `{0}`, which is not known")]
    ImageBootloader(String),
}

impl From<crate::source::ostree::Error> for BuildError {
    fn from(error: crate::source::ostree::Error) -> Self {
        Self::Ostree(Box::new(error))
    }
}

/// Everything decided, nothing written: what `--dry-run` shows and what `build` then lays down.
pub struct Prepared {
    pub plan: DiskPlan,
    pub report: Report,
    spool: Spool,
    filesystems: Filesystems,
    seed: Seed,
    time: i64,
}

/// Builds all outputs. On any error nothing is left behind.
pub fn build(request: &Request, progress: &dyn Progress) -> Result<Report, BuildError> {
    let mut staging = Staging::new(&request.output)?;
    let prepared = prepare(request, &request.output, progress)?;
    let disk = disk::compose(&prepared.plan, &prepared.filesystems, &prepared.seed, prepared.time)?;
    let options = output::Options {
        types: &request.types,
        compression: request.compression,
        checksums: request.checksums,
        threads: request.threads,
    };
    let written = output::write(&disk, &prepared.spool, &mut staging, &options, progress)?;
    let mut report = prepared.report;
    report.outputs = written
        .into_iter()
        .map(|file| Output {
            kind: file.kind,
            path: file.kind.path().to_owned(),
            bytes: file.bytes,
            sha256: file.sha256,
        })
        .collect();
    report.write(&mut staging)?;
    staging.commit()?;
    Ok(report)
}

/// Reads the source and decides everything. The spool lies in `scratch`.
pub fn prepare(request: &Request, scratch: &Path, progress: &dyn Progress) -> Result<Prepared, BuildError> {
    let mut loaded = origin::load(request, scratch, progress)?;
    progress.report(&Event::Begin { task: Task::Deploy, label: "lay out the deployment", total: None });
    let time = request.source_date_epoch.or_else(|| origin::created(&loaded)).unwrap_or(0);
    let Deployable { imported, checkout, policy } = origin::deployable(&mut loaded, request.threads, time)?;
    let contents = loaded.contents();
    let files = Files { tree: &checkout.tree, root: checkout.deployment, spool: &contents.spool };
    let os = Os::inspect(&files, origin::architecture(request, &loaded, &files)?)?;
    let layout = choose::layout(request, &os)?;
    let offer =
        Offer { os: &os, image: &files, provided: request.bootloader_files.as_ref(), places: Places::from(&layout) };
    let loader = choose::bootloader(request.bootloader, &offer)?;
    choose::root_filesystem(request, &os)?;
    let Upstream { target, remote, warning: upstream_warning } = origin::upstream(request, &loaded, &os, &files)?;
    let stateroot = choose::stateroot(request, &os);
    let seed =
        request.seed.unwrap_or_else(|| choose::seed(request, &loaded, &layout, &target, remote.as_ref(), &stateroot));
    let boot_journal = choose::boot_journal(&loader, &os);
    let choices = Choices {
        seed,
        boot_journal,
        selinux: policy.is_some(),
        layout: &layout,
        libostree_backend: loader.libostree_backend(),
        target: &target,
        remote: remote.as_ref(),
        stateroot: &stateroot,
        time,
    };
    let mut sysroot = lay_out(request, &loaded, &os, &imported, checkout, &choices)?;
    let customized = customize::apply(
        &mut sysroot.root,
        &customize::Place { deployment: sysroot.places.deployment, etc: sysroot.places.etc, var: sysroot.places.var },
        &contents.spool,
        &request.customizations,
        &seed,
        time,
    )?;
    if let Some(secret) = &request.pull_secret {
        let (path, text) = ("ostree/auth.json".to_owned(), secret.reveal().to_owned());
        place(&mut sysroot, Addition::EtcFile { path, permissions: 0o600, text }, time);
    }
    let loader = install_bootloader(&loader, contents, &os, &mut sysroot, &seed, time)?;

    if let Some(policy) = &policy {
        deploy::label_sysroot(&mut sysroot, policy, time)?;
    }
    let kernel_bytes = os.kernel.boot_bytes(&sysroot.root);
    let placement = Placement::new(&contents.objects);
    let legacy_boot = loader.syslinux.is_some();
    let filesystems = Filesystems {
        root: disk::filesystem_tree(&sysroot.root, &placement, time),
        boot: disk::filesystem_tree(&sysroot.boot, &placement, time),
        esp: loader.esp,
        bios: loader.bios,
        syslinux: loader.syslinux,
        placement,
    };
    let sizes =
        Sizes { kernel_on_esp: loader.kernel_on_esp, boot_journal, ..sizes(request, &filesystems, kernel_bytes)? };
    let plan = DiskPlan::new(&layout, os.architecture, &seed, &sizes, legacy_boot)?;
    let mut report = Report::new(&loaded, &os, &sysroot, &imported, &plan, &target, loader.summary, &seed);
    let own = imported.warnings.iter().chain(&sysroot.warnings).cloned();
    report.warnings.extend(own.chain(customized).chain(upstream_warning));
    report.warnings.extend(plan.upgrade_warning());
    progress.report(&Event::End { task: Task::Deploy });
    report.warnings.iter().for_each(|warning| progress.report(&Event::Warning(warning)));
    Ok(Prepared { plan, report, spool: loaded.into_spool(), filesystems, seed, time })
}

struct Choices<'a> {
    seed: Seed,
    boot_journal: bool,
    selinux: bool,
    layout: &'a Layout,
    libostree_backend: &'static str,
    target: &'a Target,
    remote: Option<&'a Remote>,
    stateroot: &'a str,
    time: i64,
}

fn lay_out(
    request: &Request,
    loaded: &Loaded,
    os: &Os,
    imported: &Imported,
    checkout: CommitTree,
    choices: &Choices<'_>,
) -> Result<Sysroot, BuildError> {
    let identity = Identity::from_seed(&choices.seed);
    let append = request.customizations.kernel_append.iter();
    let kargs: Vec<String> = append.chain(&request.kargs).cloned().collect();
    let options = deploy::Options {
        stateroot: choices.stateroot,
        target: choices.target,
        remote: choices.remote,
        image: loaded.image(),
        root_uuid: identity.root.to_string(),
        boot_uuid: identity.boot.to_string(),
        selinux: choices.selinux,
        boot_journal: choices.boot_journal,
        esp_id: choices.layout.has(PartitionType::Esp).then(|| identity.esp_id()),
        libostree_backend: choices.libostree_backend,
        grows_on: choices.layout.grows().then_some(choices.layout.partition_table),
        kargs: &kargs,
        consoles: request.default_kernel_args.then_some(os.architecture),
        time: choices.time,
    };
    Ok(deploy::sysroot(loaded.contents(), os, imported, checkout, &options)?)
}

fn install_bootloader(
    loader: &Loader<'_>,
    contents: &Contents,
    os: &Os,
    sysroot: &mut Sysroot,
    seed: &Seed,
    time: i64,
) -> Result<LoaderFiles, BuildError> {
    let kernel_files = match loader.needs_kernel_on_esp() {
        true => sysroot.kernel_files(&contents.spool)?,
        false => BTreeMap::new(),
    };
    let boot = Boot {
        boot_uuid: Identity::from_seed(seed).boot.to_string(),
        kernel: &os.kernel.version,
        stateroot: &sysroot.stateroot,
        boot_checksum: &sysroot.boot_checksum,
        commit: sysroot.commit.to_string(),
        entry: &sysroot.entry,
        arguments: sysroot.entry.arguments.clone(),
        kernel_files,
    };
    let image = Files { tree: &sysroot.root, root: sysroot.places.deployment, spool: &contents.spool };
    let mut files = loader.files(&image, &boot)?;
    // As bootupd leaves them: nobody but root reads the boot menu's configuration.
    let (directory_stat, file_stat) = (Stat::root(0o700, time), Stat::root(0o600, time));
    for (path, bytes) in std::mem::take(&mut files.boot) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let parent = sysroot.boot.ensure_directories(Tree::ROOT, directory, &directory_stat);
        sysroot.boot.add_file(parent, name, file_stat.clone(), bytes);
    }
    for (path, target) in std::mem::take(&mut files.boot_links) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let parent = sysroot.boot.ensure_directories(Tree::ROOT, directory, &directory_stat);
        sysroot.boot.add_symlink(parent, name, Stat::root(0o777, time), &target);
    }
    for addition in std::mem::take(&mut files.additions) {
        place(sysroot, addition, time);
    }
    Ok(files)
}

fn place(sysroot: &mut Sysroot, addition: Addition, time: i64) {
    let (below, path) = match &addition {
        Addition::EtcFile { path, .. } | Addition::EtcLink { path, .. } => (sysroot.places.etc, path.clone()),
        Addition::SysrootLink { path, .. } => (Tree::ROOT, path.clone()),
    };
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let parent = sysroot.root.ensure_directories(below, directory, &Stat::root(0o755, time));
    match addition {
        Addition::EtcFile { permissions, text, .. } => {
            sysroot.root.add_file(parent, name, Stat::root(permissions, time), text);
        }
        Addition::EtcLink { target, .. } | Addition::SysrootLink { target, .. } => {
            sysroot.root.add_symlink(parent, name, Stat::root(0o777, time), &target);
        }
    }
}

fn sizes(request: &Request, filesystems: &Filesystems, kernel: u64) -> Result<Sizes, BuildError> {
    let measure = |what, tree| ext4::measure(tree).map_err(|source| disk::DiskError::Ext4 { what, source });
    let minimum = |mount_point: &str| {
        let asked = request.customizations.filesystems.iter().filter(|filesystem| filesystem.mountpoint == mount_point);
        asked.map(|filesystem| filesystem.minsize).max().unwrap_or(Bytes(0))
    };
    Ok(Sizes {
        root: measure("root", &filesystems.root)?,
        boot: measure("/boot", &filesystems.boot)?,
        kernel,
        kernel_on_esp: 0,
        boot_journal: true,
        root_min: minimum("/"),
        boot_min: minimum("/boot"),
        disk: request.disk_size,
    })
}
