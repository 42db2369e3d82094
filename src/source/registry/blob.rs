//! A blob that goes on where it broke off (distribution-spec, "Pulling blobs"; RFC 9110 §14 for ranges).

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};

use super::session::Session;
use super::{RegistryError, Result};
use crate::digest::Digest;
use crate::http::{Body, HttpError};

/// A connection that gave this much has proved itself: its end counts as a first failure.
const PROGRESS: u64 = 1 << 20;

/// The bytes of a blob; the caller compares them. Errors are `RegistryError`s inside of `io::Error`s.
pub struct Blob {
    session: Arc<Session>,
    digest: Digest,
    /// `None`: there is nothing behind `at`.
    body: Option<Body>,
    /// Bytes that were given to the caller.
    at: u64,
    /// Breaks since `at` was `since`.
    breaks: u32,
    since: u64,
}

impl Blob {
    pub fn open(session: &Arc<Session>, digest: Digest) -> Result<Self> {
        let body = session.retry.run(|| open_at(session, digest, 0))?;
        Ok(Self { session: Arc::clone(session), digest, body, at: 0, breaks: 0, since: 0 })
    }

    /// Opens the rest of the blob after `error`, or tells it.
    fn resume(&mut self, error: HttpError) -> Result<()> {
        if self.at - self.since >= PROGRESS {
            (self.breaks, self.since) = (0, self.at);
        }
        self.breaks += 1;
        if !error.is_transient() || self.breaks >= self.session.retry.attempts {
            return Err(error.into());
        }
        self.body = self.session.retry.run(|| open_at(&self.session, self.digest, self.at))?;
        Ok(())
    }
}

impl Read for Blob {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(body) = &mut self.body else { return Ok(0) };
            match body.read(buf) {
                Ok(len) => {
                    self.at += len as u64; // usize has at most 64 bits
                    return Ok(len);
                }
                Err(error) => self.resume(HttpError::from_io(error)?).map_err(io::Error::other)?,
            }
        }
    }
}

/// The blob from byte `at` on; `None` when it ends there.
fn open_at(session: &Session, digest: Digest, at: u64) -> Result<Option<Body>> {
    let range = HeaderValue::try_from(format!("bytes={at}-")).ok().filter(|_| at > 0);
    let headers = HeaderMap::from_iter(range.map(|range| (RANGE, range)));
    let mut answer = session.ask(&format!("blobs/{digest}"), &headers)?;
    match answer.status {
        StatusCode::NOT_FOUND => Err(RegistryError::NoBlob { name: session.name(), digest }),
        StatusCode::PARTIAL_CONTENT if begins_at(&answer.headers, at) => Ok(Some(answer.body)),
        // It broke off after its last byte, as the end of a body in chunks may.
        StatusCode::RANGE_NOT_SATISFIABLE if at > 0 => Ok(None),
        // A server may send everything again.
        StatusCode::OK => {
            answer.body.skip(at)?;
            Ok(Some(answer.body))
        }
        StatusCode::PARTIAL_CONTENT => {
            let why = format!("it was asked for the bytes from {at} on, and sends others");
            Err(RegistryError::NotARegistry { host: session.host().to_owned(), why })
        }
        _ => Err(answer.refusal().into()),
    }
}

fn begins_at(headers: &HeaderMap, at: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")).is_some_and(|range| range.starts_with(&format!("{at}-")))
}
