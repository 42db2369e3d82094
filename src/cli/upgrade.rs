//! The next version for `bootwright test --upgrade`: a repository as it is, or an image installed on a second disk.

use anyhow::Context;
use tempfile::TempDir;

use super::wrong;
use crate::build::{self, BuildError};
use crate::image_ref::{ImageRefError, Location, OstreeRef, SourceRef};
use crate::ostree::keyfile::KeyFile;
use crate::output::OutputType;
use crate::plan::Content;
use crate::progress::Silent;
use crate::request::Request;
use crate::smoke::{DiskFormat, Upgrade};
use crate::source::ostree;

/// An upgrade, and the directory of its disk, which goes with it.
pub struct Next {
    pub upgrade: Upgrade,
    _directory: Option<TempDir>,
}

/// Finds the commit of a repository, or installs an image on a disk of its own.
pub fn prepare(source: &str) -> anyhow::Result<Next> {
    let source: SourceRef = source.parse().map_err(|error: ImageRefError| wrong(error))?;
    match source {
        SourceRef::Ostree(reference) => repository(&reference),
        image => disk(image),
    }
}

fn repository(reference: &OstreeRef) -> anyhow::Result<Next> {
    let Location::Directory(directory) = &reference.location else {
        return Err(wrong(anyhow::anyhow!("--upgrade serves a repository itself: give its directory, ostree:DIR#REF")));
    };
    let config = std::fs::read_to_string(directory.join("config"))
        .with_context(|| format!("{} is no ostree repository", directory.display()))
        .map_err(wrong)?;
    let config = KeyFile::parse(&config).with_context(|| format!("{}/config", directory.display())).map_err(wrong)?;
    let mode = config.get("core", "mode").unwrap_or("bare");
    if !mode.starts_with("archive") {
        return Err(wrong(anyhow::anyhow!(
            "{} has the mode `{mode}`, and clients upgrade from `archive` alone: ostree pull-local into one that was made \
             with `ostree init --mode=archive`",
            directory.display()
        )));
    }
    let refused = |error: ostree::Error| wrong(BuildError::from(error));
    let rev = reference.rev.parse().map_err(refused)?;
    let found = ostree::open(&reference.location, &Default::default()).and_then(|opened| opened.find(&rev));
    let commit = found.map_err(refused)?.commit;
    let upgrade =
        Upgrade::Repository { directory: directory.clone(), branch: reference.rev.clone(), commit: commit.to_string() };
    Ok(Next { upgrade, _directory: None })
}

fn disk(image: SourceRef) -> anyhow::Result<Next> {
    let directory = tempfile::Builder::new().prefix("bootwright-next-").tempdir()?;
    let request = Request::plain(image, OutputType::Raw, directory.path());
    let report = build::build(&request, &Silent)?;
    let root = report.disk.partitions.iter().find_map(|partition| match &partition.content {
        Content::Root(filesystem) => Some(filesystem.uuid.to_string()),
        _ => None,
    });
    let upgrade = Upgrade::Disk {
        path: directory.path().join(OutputType::Raw.path()),
        format: DiskFormat::Raw,
        root_uuid: root.context("the next version's disk has no root filesystem")?,
        stateroot: report.deployment.stateroot.clone(),
        commit: report.deployment.commit.clone(),
    };
    Ok(Next { upgrade, _directory: Some(directory) })
}
