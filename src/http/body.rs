//! The bytes of an answer as they come.

use std::io::{self, Read};
use std::time::Duration;

use reqwest::blocking::Response;
use url::Url;

use super::{HttpError, without_secrets};

/// Reads a body; errors are `HttpError`s inside of `io::Error`s.
pub struct Body {
    pub(super) url: Url,
    pub(super) response: Response,
    pub(super) stall: Duration,
    /// What the server announced.
    pub(super) announced: Option<u64>,
    pub(super) received: u64,
}

impl Body {
    /// All of it, at most `limit` bytes.
    pub fn bytes(mut self, limit: u64) -> Result<Vec<u8>, HttpError> {
        let too_large = |url: &Url| HttpError::TooLarge { url: without_secrets(url), limit };
        if self.announced.is_some_and(|announced| announced > limit) {
            return Err(too_large(&self.url));
        }
        let mut bytes = Vec::new();
        let url = self.url.clone();
        let read = (&mut self).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| self.broken(error))?;
        if bytes.len() as u64 > limit { Err(too_large(&url)) } else { Ok(bytes) }
    }

    /// Reads so many bytes, or to the end, for nobody.
    pub fn skip(&mut self, bytes: u64) -> Result<(), HttpError> {
        let skipped = io::copy(&mut (&mut *self).take(bytes), &mut io::sink());
        skipped.map(drop).map_err(|error| self.broken(error))
    }

    fn broken(&self, error: io::Error) -> HttpError {
        HttpError::from_io(error).unwrap_or_else(|error| HttpError::Broken {
            url: without_secrets(&self.url),
            received: self.received,
            why: error.to_string(),
        })
    }

    fn of_read(&self, error: io::Error) -> HttpError {
        match error.downcast::<reqwest::Error>() {
            Ok(error) => HttpError::of(&self.url, error, Some(self.received), self.stall),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                HttpError::Timeout { url: without_secrets(&self.url), seconds: self.stall }
            }
            Err(error) => self.broken(error),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.response.read(buf).map_err(|error| io::Error::other(self.of_read(error)))?;
        self.received += len as u64; // usize has at most 64 bits
        match self.announced {
            Some(announced) if len == 0 && !buf.is_empty() && self.received < announced => {
                let why = format!("{announced} were announced");
                let (url, received) = (without_secrets(&self.url), self.received);
                Err(io::Error::other(HttpError::Broken { url, received, why }))
            }
            _ => Ok(len),
        }
    }
}
