//! The next version for `bootwright test --upgrade`: a repository as it is, or an image installed on a second disk.

use anyhow::Context;
use tempfile::TempDir;

use super::args::{ContainerArgs, ServerArgs};
use super::{container, server, wrong};
use crate::build::{self, BuildError};
use crate::image_ref::{ImageRefError, Location, OstreeRef, SourceRef};
use crate::os::Architecture;
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

/// How the image of the next version is fetched, and for which machine.
pub struct Wishes<'a> {
    pub server: &'a ServerArgs,
    pub container: &'a ContainerArgs,
    pub architecture: Option<Architecture>,
}

/// Finds the commit of a repository, or installs an image on a disk of its own.
pub fn prepare(source: &str, wishes: &Wishes<'_>) -> anyhow::Result<Next> {
    let source: SourceRef = source.parse().map_err(|error: ImageRefError| wrong(error))?;
    match &source {
        SourceRef::Ostree(reference) => {
            wishes.refuse_beside(&format!("an image to upgrade to, not with {source}"))?;
            repository(reference)
        }
        SourceRef::Container(_) => disk(source, wishes),
    }
}

impl Wishes<'_> {
    /// Refuses options that do nothing without an image.
    pub fn refuse_beside(&self, what: &str) -> anyhow::Result<()> {
        match server::first_given(self.server).or_else(|| container::first_given(self.container)) {
            Some(name) => Err(wrong(anyhow::anyhow!("{name} goes with {what}"))),
            None => Ok(()),
        }
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

fn disk(image: SourceRef, wishes: &Wishes<'_>) -> anyhow::Result<Next> {
    let directory = tempfile::Builder::new().prefix("bootwright-next-").tempdir()?;
    let request = container::request(image, directory.path(), wishes.server, wishes.container)?;
    let report = build::build(&Request { architecture: wishes.architecture, ..request }, &Silent)?;
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
