//! The options for container images, compared with the source they go with.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::args::{ContainerArgs, ServerArgs};
use super::{server, wrong};
use crate::config::Secret;
use crate::container_trust::Policy;
use crate::image_ref::{ImageRef, Location, SourceRef};
use crate::output::OutputType;
use crate::request::{CacheChoice, Request, TrustRequest};
use crate::source::registry;

/// How a registry is talked to; `source` says whether that makes sense.
pub fn access(servers: &ServerArgs, container: &ContainerArgs, source: &SourceRef) -> anyhow::Result<registry::Access> {
    check(servers, container, source)?;
    Ok(registry::Access {
        http: server::options(servers)?,
        authfile: container.authfile.clone(),
        tls_verify: container.tls_verify,
    })
}

/// The text of an `auth.json`, which nobody but the machine is told.
pub fn pull_secret(path: &Path, source: &SourceRef) -> anyhow::Result<Secret> {
    let option = format!("--pull-secret {}", path.display());
    if let SourceRef::Ostree(_) = source {
        return Err(wrong(anyhow!("--pull-secret goes with a container image, not with {source}")));
    }
    let text = fs::read_to_string(path).with_context(|| format!("{option} cannot be read")).map_err(wrong)?;
    let entries = serde_json::from_str(&text).ok().and_then(|json: Value| Some(json.get("auths")?.as_object()?.len()));
    match entries {
        Some(1..) => Ok(Secret::new(text)),
        _ => Err(wrong(anyhow!("{option} is no auth.json with entries below `auths`"))),
    }
}

/// One raw disk of the source, which is fetched and judged as the options say.
pub fn request(
    source: SourceRef,
    output: &Path,
    servers: &ServerArgs,
    container: &ContainerArgs,
) -> anyhow::Result<Request> {
    Ok(Request {
        registry: access(servers, container, &source)?,
        trust: trust(container, false, &source)?,
        cache: cache(container, &source)?,
        max_layer_size: container.max_layer_size,
        ..Request::plain(source, OutputType::Raw, output)
    })
}

/// Refuses options that do nothing for the source.
fn check(servers: &ServerArgs, container: &ContainerArgs, source: &SourceRef) -> anyhow::Result<()> {
    let (in_registry, on_server) = match source {
        SourceRef::Container(ImageRef::Registry(_)) => (true, true),
        SourceRef::Container(_) => (false, false),
        SourceRef::Ostree(reference) => (false, !matches!(reference.location, Location::Directory(_))),
    };
    if let Some(name) = first_of_registries(container).filter(|_| !in_registry) {
        return Err(wrong(anyhow!("{name} goes with an image in a registry (docker://…), not with {source}")));
    }
    match server::first_given(servers) {
        Some(name) if !on_server => Err(wrong(anyhow!(
            "{name} goes with a source on a server (docker://… or ostree:https://…), not with {source}"
        ))),
        _ => Ok(()),
    }
}

/// What is asked of the image.
pub fn trust(args: &ContainerArgs, enforce: bool, source: &SourceRef) -> anyhow::Result<TrustRequest> {
    let given = [
        ("--policy", args.policy.is_some()),
        ("--cosign-key", !args.cosign_key.is_empty()),
        ("--enforce-container-sigpolicy", enforce),
    ];
    if let SourceRef::Ostree(_) = source {
        return match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(wrong(anyhow!("{name} goes with a container image, not with {source}"))),
            None => Ok(TrustRequest::default()),
        };
    }
    let policy = match &args.cosign_key[..] {
        [] => Policy::find(args.policy.as_deref()).map_err(wrong)?,
        keys => Some(Policy::of_cosign_keys(keys).map_err(wrong)?),
    };
    Ok(TrustRequest { policy, enforce, now: super::ostree::now()? })
}

/// Which cache is used for the source.
pub fn cache(args: &ContainerArgs, source: &SourceRef) -> anyhow::Result<CacheChoice> {
    match (&args.cache, source) {
        (Some(_), SourceRef::Ostree(_)) => {
            Err(wrong(anyhow!("--cache goes with a container image: of {source} no layers are kept")))
        }
        (Some(place), _) => Ok(CacheChoice::At(place.clone())),
        (None, _) => Ok(if args.no_cache { CacheChoice::None } else { CacheChoice::Default }),
    }
}

/// The first of the options for registries that was given.
fn first_of_registries(args: &ContainerArgs) -> Option<&'static str> {
    let given = [("--authfile", args.authfile.is_some()), ("--tls-verify", args.tls_verify.is_some())];
    given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
}

/// The first of all options for container images that was given.
pub fn first_given(args: &ContainerArgs) -> Option<&'static str> {
    let given = [
        ("--policy", args.policy.is_some()),
        ("--cosign-key", !args.cosign_key.is_empty()),
        ("--cache", args.cache.is_some()),
        ("--no-cache", args.no_cache),
    ];
    first_of_registries(args).or_else(|| given.into_iter().find(|(_, given)| *given).map(|(name, _)| name))
}
