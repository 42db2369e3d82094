//! Images in a registry (OCI distribution-spec), from the first of its mirrors that has them.

mod blob;
mod challenge;
mod error;
mod session;
mod signatures;

use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::documents::{self, Documents, Found};
use super::{Limits, Platform, Resolved, Source, json};
use crate::container_trust::{Identity, InRegistry, Keeping, Policy, Signatures};
use crate::containers_conf::{Place, Registries, certificates, credentials};
use crate::digest::Digest;
use crate::http::{self, HttpError};
use crate::image_ref::RegistryRef;
use blob::Blob;
pub use error::{RegistryError, Result};
use session::Session;

/// Layers that are fetched at once. Most registries serve a connection slower than a line could carry.
const LAYERS_AT_ONCE: usize = 6;

/// Attempts to find an image in a mirror: there is another place.
const OF_MIRRORS: u32 = 2;

/// Of a manifest whose size nobody announced, in bytes; the registries' own limit.
const LONGEST_MANIFEST: u64 = 4 << 20;

/// Everything that a manifest may be, or lead to.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How registries are talked to.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub http: http::Options,
    /// The only file with credentials that is read; else those of the machine's places are.
    pub authfile: Option<PathBuf>,
    /// Whether certificates are checked: `true` of everybody, `false` not of the registry that is named. What is not said is left to
    /// registries.conf. Without, http is taken as well.
    pub tls_verify: Option<bool>,
}

/// A reference, and the places it may be fetched from.
pub struct Registry {
    reference: RegistryRef,
    places: Vec<Place>,
    access: Access,
    /// Whoever answered first, and its first answer.
    opened: OnceLock<(Arc<Session>, First)>,
}

/// The document that the reference names.
struct First {
    descriptor: Descriptor,
    bytes: Vec<u8>,
}

/// What a manifest says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
}

impl Registry {
    /// Reads the machine's configuration; nothing is asked yet.
    pub fn new(reference: RegistryRef, access: Access) -> Result<Self> {
        let places = Registries::load()?.places(&reference.reference.name(), reference.digest.is_some())?;
        Ok(Self { reference, places, access, opened: OnceLock::new() })
    }

    /// Asks one place after the other. What the registry itself says is told, a mirror's failure is not.
    fn opened(&self) -> Result<&(Arc<Session>, First)> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let mut last = None;
        for place in &self.places {
            match self.open(place) {
                Ok(opened) => return Ok(self.opened.get_or_init(|| opened)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| RegistryError::NoImage { name: self.reference.to_string() }))
    }

    /// By TLS; by http only where certificates are not checked, and only when nothing there speaks TLS.
    fn open(&self, place: &Place) -> Result<(Arc<Session>, First)> {
        let unverified = match self.access.tls_verify {
            Some(true) => false,
            Some(false) => place.insecure || !place.is_mirror,
            None => place.insecure,
        };
        let mut session = self.session(place, "https", unverified)?;
        if unverified && session.greet().is_err_and(|error| speaks_no_tls(&session, &error)) {
            session = self.session(place, "http", unverified)?;
        }
        let patient = session.retry;
        if place.is_mirror {
            session.retry.attempts = OF_MIRRORS;
        }
        let first = self.first(&session)?;
        session.retry = patient;
        Ok((Arc::new(session), first))
    }

    fn session(&self, place: &Place, scheme: &str, unverified: bool) -> Result<Session> {
        let mut options = self.access.http.clone();
        let of_host = certificates(&place.host)?;
        if let Some(pem) = of_host.authority {
            options.authority = Some([options.authority.unwrap_or_default(), pem].join(&b'\n'));
        }
        options.client_certificate = options.client_certificate.or(of_host.client);
        let found = credentials(self.access.authfile.as_deref(), &place.host, &place.repository)?;
        Session::new(options, unverified, scheme, place.clone(), found)
    }

    /// The manifest or index that the reference names, with the digest of its bytes.
    fn first(&self, session: &Session) -> Result<First> {
        let (headers, bytes) = manifest(session, self.reference.asked())?;
        let digest = Digest::of(&bytes);
        let announced = headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let wanted = self.reference.digest.map(|digest| digest.to_string()).or(announced);
        if let Some(wanted) = wanted.filter(|wanted| wanted.starts_with("sha256:") && *wanted != digest.to_string()) {
            return Err(RegistryError::WrongDigest { name: self.reference.to_string(), wanted, found: digest });
        }
        let media_type = media_type(&headers, &bytes).ok_or_else(|| {
            let why = "its manifest has no media type".to_owned();
            RegistryError::NotARegistry { host: session.host().to_owned(), why }
        })?;
        let digest: Sha256Digest = digest.hex().parse().expect("64 lower-case digits");
        let descriptor = Descriptor::new(MediaType::from(media_type.as_str()), bytes.len() as u64, digest);
        Ok(First { descriptor, bytes })
    }
}

impl Source for Registry {
    fn resolve(&self, platform: &Platform, limits: &Limits) -> super::Result<Resolved> {
        let (_, first) = self.opened()?;
        let top = first.descriptor.clone();
        let Found { manifest, manifest_digest, config } = documents::find(self, top, platform, limits)?;
        let index = (first.bytes != manifest).then(|| first.bytes.clone());
        Ok(Resolved { manifest, manifest_digest, config, index, ref_name: Some(self.reference.followed()) })
    }

    fn blob(&self, descriptor: &Descriptor) -> super::Result<Box<dyn Read + Send>> {
        Documents::blob(self, descriptor, "the blob")
    }

    fn at_once(&self) -> usize {
        LAYERS_AT_ONCE
    }

    fn identity(&self) -> super::Result<Identity> {
        Ok(Identity::docker(&self.reference.reference))
    }

    fn signatures<'a>(&'a self, _resolved: &Resolved, policy: &Policy) -> super::Result<Box<dyn Signatures + 'a>> {
        let reference = self.reference.reference.clone();
        let keeping = Keeping::find(policy, &reference)?;
        Ok(Box::new(InRegistry { reference, keeping, fetch: self }))
    }
}

impl Documents for Registry {
    fn manifest(&self, descriptor: &Descriptor, what: &str) -> super::Result<Box<dyn Read + Send>> {
        let (session, first) = self.opened()?;
        if *descriptor == first.descriptor {
            return Ok(Box::new(Cursor::new(first.bytes.clone())));
        }
        let digest = json::announced(descriptor, what)?.digest;
        let (_, bytes) = manifest(session, &digest.to_string())?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn blob(&self, descriptor: &Descriptor, what: &str) -> super::Result<Box<dyn Read + Send>> {
        let (session, _) = self.opened()?;
        Ok(Box::new(Blob::open(session, json::announced(descriptor, what)?.digest)?))
    }

    fn location(&self) -> String {
        self.reference.to_string()
    }
}

/// A manifest by tag or digest, with the headers it came with.
fn manifest(session: &Session, asked: &str) -> Result<(HeaderMap, Vec<u8>)> {
    let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(MANIFESTS))]);
    session.retry.run(|| {
        let answer = session.ask(&format!("manifests/{asked}"), &accept)?;
        match answer.status {
            StatusCode::NOT_FOUND => Err(RegistryError::NoImage { name: format!("{}, {asked},", session.name()) }),
            _ => {
                let headers = answer.headers.clone();
                Ok((headers, answer.success()?.bytes(LONGEST_MANIFEST)?))
            }
        }
    })
}

/// Its own word comes first: some registries say `text/plain` of everything.
fn media_type(headers: &HeaderMap, bytes: &[u8]) -> Option<String> {
    let own = serde_json::from_slice(bytes).ok().and_then(|kind: Kind| kind.media_type);
    let header = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    own.or_else(|| Some(header?.split(';').next().unwrap_or_default().trim().to_owned()))
}

/// A port of http answers a TLS greeting with something else, or hangs up. What becomes of a caller who was sent to another host
/// says nothing: the registry had answered.
fn speaks_no_tls(session: &Session, error: &HttpError) -> bool {
    matches!(error, HttpError::Tls { url, .. } | HttpError::Connect { url, .. } if session.is_at(url))
}
