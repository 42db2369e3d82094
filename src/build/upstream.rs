//! Where a machine made from an ostree commit gets its next one: which ref, of which remote, and who brings the remote.

use super::BuildError;
use super::origin::Upstream;
use crate::deploy::{self, Refspec, Remote, RemoteKeys, ShippedRemote, Target};
use crate::image_ref::{Location, SourceRef};
use crate::request::Request;
use crate::source::ostree::{Policy, PulledCommit};
use crate::tree::Files;

/// libostree's own examples call the first remote so.
const DEFAULT_NAME: &str = "origin";

pub fn of_commit(request: &Request, commit: &PulledCommit, files: &Files<'_>) -> Result<Upstream, BuildError> {
    let shipped = deploy::shipped_remotes(files)?;
    let wishes = &request.ostree;
    let url = wishes.remote_url.clone().or_else(|| public_url(request)).or_else(|| own_remote(commit)?.1.clone());
    let name = remote_name(request, commit, &shipped, url.as_deref());
    let Some(name_of_ref) = ref_name(commit) else { return Ok(pinned(commit)) };
    let refspec = |remote| Target::Ref(Refspec { remote, name: name_of_ref });

    if let Some(remote) = shipped.iter().find(|remote| remote.name == name) {
        return match (&wishes.remote_url, &remote.url) {
            (Some(asked), Some(url)) if asked != url => {
                Err(BuildError::RemoteIsShipped { name, url: url.clone(), asked: asked.clone() })
            }
            _ => Ok(Upstream { target: refspec(Some(name)), remote: None, warning: None }),
        };
    }
    match url {
        Some(url) => {
            let remote = remote(request, name.clone(), url);
            Ok(Upstream { target: refspec(Some(name)), remote: Some(remote), warning: client_certificate(request) })
        }
        None if wishes.remote_name.is_some() => Err(BuildError::RemoteWithoutUrl { name }),
        None => {
            let warning = "the machine has no server to upgrade from: say where it is with --remote-url".to_owned();
            Ok(Upstream { target: refspec(None), remote: None, warning: Some(warning) })
        }
    }
}

fn public_url(request: &Request) -> Option<String> {
    match &request.image {
        SourceRef::Ostree(reference) => reference.location.public_url(),
        SourceRef::Container(_) => None,
    }
}

fn own_remote(commit: &PulledCommit) -> Option<&(String, Option<String>)> {
    commit.found.remote.as_ref()
}

/// The user's word, then the repository's, then that of the commit's own remote with the same URL.
fn remote_name(request: &Request, commit: &PulledCommit, shipped: &[ShippedRemote], url: Option<&str>) -> String {
    let asked = request.ostree.remote_name.clone().or_else(|| Some(own_remote(commit)?.0.clone()));
    let same_server = || shipped.iter().find(|remote| url.is_some() && remote.url.as_deref() == url);
    asked.or_else(|| Some(same_server()?.name.clone())).unwrap_or_else(|| DEFAULT_NAME.to_owned())
}

/// The ref that was named; of a commit that was named by its id the one it is bound to.
fn ref_name(commit: &PulledCommit) -> Option<String> {
    let bound = || match commit.commit.strings("ostree.ref-binding")?[..] {
        [name] => Some(name.to_owned()),
        _ => None,
    };
    commit.found.name.clone().or_else(bound)
}

/// A commit's id in place of a ref never moves on.
fn pinned(commit: &PulledCommit) -> Upstream {
    let name = commit.checksum.to_string();
    let warning =
        "the machine would never find an upgrade: the source names a commit, and the commit no single ref".to_owned();
    Upstream { target: Target::Ref(Refspec { remote: None, name }), remote: None, warning: Some(warning) }
}

fn remote(request: &Request, name: String, url: String) -> Remote {
    let wishes = &request.ostree;
    Remote {
        name,
        url,
        content_url: wishes.access.content.as_ref().and_then(Location::public_url),
        collection_id: wishes.policy.collection.clone(),
        keys: remote_keys(&wishes.policy),
        authority: wishes.access.http.authority.clone(),
    }
}

/// The machine takes what the build took.
fn remote_keys(policy: &Policy) -> RemoteKeys {
    if policy.unverified {
        return RemoteKeys::default();
    }
    let keys = &policy.keys;
    RemoteKeys { gpg: keys.gpg_keyring(), ed25519: keys.ed25519_base64(), spki: keys.spki_base64() }
}

/// The build's own certificate is a secret of the build.
fn client_certificate(request: &Request) -> Option<String> {
    request.ostree.access.http.client_certificate.as_ref().map(|_| {
        "the server asked for a client certificate: the machine needs its own, as tls-client-cert-path and \
         tls-client-key-path of its remote"
            .to_owned()
    })
}
