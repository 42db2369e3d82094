//! The options for refs of ostree repositories, read and compared with the source they go with.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};

use super::args::{BuildArgs, OstreeArgs};
use super::{server, wrong};
use crate::http;
use crate::image_ref::{Location, SourceRef};
use crate::ostree::refs;
use crate::request::OstreeRequest;
use crate::source::ostree::{Access, Policy};
use crate::trust::Keys;

/// What `bootwright build` was asked for.
pub fn request(args: &BuildArgs, source: &SourceRef) -> anyhow::Result<OstreeRequest> {
    if matches!(source, SourceRef::Container(_)) {
        let names = [("--remote-name", args.remote_name.is_some()), ("--remote-url", args.remote_url.is_some())];
        return match names.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(only_for_refs(name, source)),
            None => none(&args.ostree, source),
        };
    }
    if args.target_imgref.is_some() {
        return Err(wrong(anyhow!(
            "--target-imgref names a container image, and {source} is none: --remote-url says where upgrades come from"
        )));
    }
    let http = server::options(&args.server).map_err(wrong)?;
    let mut request = read(&args.ostree, http).map_err(wrong)?;
    if let Some(name) = args.remote_name.as_deref().filter(|name| !refs::is_remote(name)) {
        return Err(wrong(anyhow!(
            "--remote-name `{name}` is no name of a remote: a word of letters, digits, `_`, `-` and `.` is"
        )));
    }
    request.remote_name = args.remote_name.clone();
    request.remote_url = args.remote_url.as_deref().map(public_url).transpose().map_err(wrong)?;
    Ok(request)
}

/// For a container image, of which nothing of all this can be asked.
pub fn none(args: &OstreeArgs, source: &SourceRef) -> anyhow::Result<OstreeRequest> {
    match first_given(args) {
        Some(name) => Err(only_for_refs(name, source)),
        None => Ok(OstreeRequest::default()),
    }
}

fn only_for_refs(name: &str, source: &SourceRef) -> anyhow::Error {
    wrong(anyhow!("{name} goes with the ref of an ostree repository (ostree:…), not with {source}"))
}

/// What every look at a repository needs.
pub fn read(args: &OstreeArgs, http: http::Options) -> anyhow::Result<OstreeRequest> {
    let now = now()?;
    if let Some(id) = args.collection_id.as_deref().filter(|id| !refs::is_collection(id)) {
        bail!("--collection-id `{id}` is no collection: a reverse domain name such as org.example.Os is");
    }
    let policy = Policy {
        keys: Keys::read(&args.gpg_key, &args.sign_key)?,
        unverified: args.no_verify,
        not_before: args.timestamp_check.as_deref().map(seconds).transpose()?,
        collection: args.collection_id.clone(),
        now,
    };
    let content = args.content_url.as_deref().map(|url| self::url(url).context("--content-url")).transpose()?;
    Ok(OstreeRequest { policy, access: Access { http, content, now }, remote_name: None, remote_url: None })
}

/// Seconds since 1970.
pub fn now() -> anyhow::Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(i64::try_from(now)?)
}

/// The first of the options that was given.
pub fn first_given(args: &OstreeArgs) -> Option<&'static str> {
    given(args).into_iter().find(|(_, given)| *given).map(|(name, _)| name)
}

fn given(args: &OstreeArgs) -> [(&'static str, bool); 6] {
    [
        ("--gpg-key", !args.gpg_key.is_empty()),
        ("--sign-key", !args.sign_key.is_empty()),
        ("--no-verify", args.no_verify),
        ("--timestamp-check", args.timestamp_check.is_some()),
        ("--collection-id", args.collection_id.is_some()),
        ("--content-url", args.content_url.is_some()),
    ]
}

fn seconds(text: &str) -> anyhow::Result<i64> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let time: Result<jiff::Timestamp, _> = text.parse();
    Ok(time
        .map_err(|_| {
            anyhow!("--timestamp-check `{text}` is no time: write 2026-01-31T00:00:00Z or seconds since 1970")
        })?
        .as_second())
}

fn url(text: &str) -> anyhow::Result<Location> {
    match Location::parse(text) {
        Some(location @ (Location::Server(_) | Location::MirrorList(_))) => Ok(location),
        _ => bail!("an http or https URL is expected"),
    }
}

/// The machine is told no password. A machine may also upgrade from a directory of its own.
fn public_url(text: &str) -> anyhow::Result<String> {
    if text.starts_with("file:///") {
        return Ok(text.to_owned());
    }
    let location = url(text).context("--remote-url")?;
    location.public_url().ok_or_else(|| anyhow!("--remote-url needs a URL"))
}
