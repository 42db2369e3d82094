//! `bootwright build`.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;

use super::args::{BuildArgs, CompressionMethod, Format};
use super::{Outcome, container, hint, ostree, print, progress, wrong};
use crate::bootloader::Provided;
use crate::build::{self, BuildError, Prepared};
use crate::config::Config;
use crate::deploy::{DeployError, check_argument, check_stateroot};
use crate::image_ref::ImageRefError;
use crate::layout::Layout;
use crate::os::RootFilesystem;
use crate::output::OutputType;
use crate::qcow2::Compression;
use crate::report::Report;
use crate::request::Request;
use crate::units::Bytes;

pub fn run(args: &BuildArgs) -> anyhow::Result<Outcome> {
    let request = request(args)?;
    let progress = progress::of(args.progress);
    if args.dry_run {
        let prepared = build::prepare(&request, &scratch(&request.output)?, &*progress);
        progress.finish();
        let prepared = prepared?;
        show_plan(&prepared, args.format)?;
    } else {
        let report = build::build(&request, &*progress);
        progress.finish();
        let report = report?;
        if !progress.is_silent() {
            summary(&report, &request.output);
        }
    }
    Ok(Outcome::Done)
}

/// Everything that can be wrong with the words alone is found here, before anything is read or made.
fn request(args: &BuildArgs) -> anyhow::Result<Request> {
    let config = match &args.config {
        Some(path) => Config::load(path).map_err(wrong)?,
        None => Config::default(),
    };
    check(args, &config)?;
    let image = args.image.parse().map_err(|error: ImageRefError| wrong(error))?;
    let mut types = args.types.clone();
    types.sort();
    types.dedup();
    let threads = match args.threads {
        Some(threads) => threads.get(),
        None => thread::available_parallelism().map_or(1, usize::from),
    };
    Ok(Request {
        registry: container::access(&args.server, &args.container, &image)?,
        pull_secret: args.pull_secret.as_deref().map(|path| container::pull_secret(path, &image)).transpose()?,
        trust: container::trust(&args.container, args.enforce_container_sigpolicy, &image)?,
        cache: container::cache(&args.container, &image)?,
        max_layer_size: args.container.max_layer_size,
        ostree: ostree::request(args, &image)?,
        image,
        types,
        output: args.output.clone(),
        root_filesystem: args.rootfs,
        layout: args
            .layout
            .as_deref()
            .map(Layout::named)
            .transpose()
            .map_err(|error| wrong(BuildError::from(error)))?,
        bootloader: args.bootloader,
        bootloader_files: args
            .bootloader_dir
            .as_deref()
            .map(Provided::open)
            .transpose()
            .map_err(|error| wrong(BuildError::from(error)))?,
        target: args
            .target_imgref
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: DeployError| wrong(BuildError::from(error)))?,
        architecture: args.target_arch,
        stateroot: args.stateroot.clone(),
        kargs: args.kargs.clone(),
        disk_size: args.disk_size,
        compression: match args.compression {
            CompressionMethod::None => Compression::None,
            CompressionMethod::Zlib => Compression::Zlib,
            CompressionMethod::Zstd => Compression::Zstd,
        },
        default_kernel_args: !args.no_default_kernel_args,
        seed: args.seed,
        customizations: config.customizations,
        source_date_epoch: source_date_epoch()?,
        checksums: !args.no_checksums,
        threads,
    })
}

/// What can be told from the words alone, though other rooms decide it.
fn check(args: &BuildArgs, config: &Config) -> anyhow::Result<()> {
    let refused = |error: DeployError| wrong(BuildError::from(error));
    let mut arguments = args.kargs.iter().chain(&config.customizations.kernel_append);
    arguments.try_for_each(|argument| check_argument(argument)).map_err(refused)?;
    args.stateroot.iter().try_for_each(|name| check_stateroot(name)).map_err(refused)?;
    match args.rootfs {
        None | Some(RootFilesystem::Ext4) => Ok(()),
        Some(asked) => Err(wrong(BuildError::RootFilesystem { asked })),
    }
}

/// A plan is made in the directory that the outputs would go to, or the nearest one above it that is there: /tmp may be memory.
fn scratch(output: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(output)?;
    Ok(absolute.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned())
}

fn source_date_epoch() -> anyhow::Result<Option<i64>> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text
        .to_string_lossy()
        .parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH is `{}`, not a number of seconds", text.display()));
    number.map(Some).map_err(wrong)
}

fn show_plan(prepared: &Prepared, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => print(&prepared.report.json()),
        Format::Text => print(&plan_text(&prepared.report)),
    }
}

fn plan_text(report: &Report) -> String {
    let mut text = format!(
        "{} {}, kernel {}\ncommit {}\nboot loader: {} ({})\narguments: {}\n\n{:>3}  {:<12} {:>10} {:>10}  {}\n",
        report.system.name,
        hint::printable(report.version().unwrap_or_default()),
        hint::printable(&report.system.kernel),
        report.deployment.commit,
        report.bootloader.loader,
        report.bootloader.firmware,
        report.deployment.kernel_arguments,
        "#",
        "label",
        "start",
        "size",
        "type"
    );
    for partition in &report.disk.partitions {
        text.push_str(&format!(
            "{:>3}  {:<12} {:>10} {:>10}  {}\n",
            partition.number,
            partition.label,
            Bytes(partition.at()).to_string(),
            Bytes(partition.bytes()).to_string(),
            partition.type_guid
        ));
    }
    text + &format!("\ndisk of {}, layout {}, seed {}\n", Bytes(report.disk.bytes), report.disk.layout, report.seed)
}

fn summary(report: &Report, output: &Path) {
    eprintln!("{} {}: {}", report.system.name, hint::printable(&report.system.kernel), report.bootloader.firmware);
    for file in &report.outputs {
        let virtual_size = match file.kind {
            OutputType::Qcow2 => format!(", a disk of {}", Bytes(report.disk.bytes)),
            OutputType::Raw => String::new(),
        };
        eprintln!("{}  {}{virtual_size}", output.join(&file.path).display(), Bytes(file.bytes));
    }
}
