//! What can go wrong on the way to a server and back.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::without_secrets;

/// Every URL in here is without secrets.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{path} cannot be used as {what}: {why}", path = path.display())]
    Certificate { path: PathBuf, what: &'static str, why: String },

    #[error("no client for HTTP can be made: {why}")]
    Setup { why: String },

    #[error("{url} cannot be reached: {why}")]
    Connect { url: Url, why: String },

    #[error("{url}: the secure connection failed: {why}")]
    Tls { url: Url, why: String },

    #[error("{url} did not answer for {} s", seconds.as_secs())]
    Timeout { url: Url, seconds: Duration },

    #[error("{url} answered {status}")]
    Status { url: Url, status: reqwest::StatusCode, retry_after: Option<Duration> },

    #[error("{url} cannot be followed: {why}")]
    Redirect { url: Url, why: String },

    #[error("{url} broke off after {received} bytes: {why}")]
    Broken { url: Url, received: u64, why: String },

    #[error("{url} has more than {limit} bytes")]
    TooLarge { url: Url, limit: u64 },

    #[error("{attempts} attempts failed, the last one so: {last}")]
    GivenUp { attempts: u32, last: Box<HttpError> },
}

impl HttpError {
    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Broken { .. } => true,
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// What went wrong, in the last attempt where there were several.
    pub fn last(&self) -> &Self {
        if let Self::GivenUp { last, .. } = self { last } else { self }
    }

    /// Whether the server says that there is no such file. Stores that list nothing to strangers answer 403 for what is not
    /// there; libostree takes both alike.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status, .. } if matches!(status.as_u16(), 403 | 404 | 410))
    }

    /// What comes out of a body's `Read`.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }

    /// What reqwest says, in our words; `received` bytes of the body had come.
    pub(super) fn of(url: &Url, error: reqwest::Error, received: Option<u64>, stall: Duration) -> Self {
        let url = without_secrets(url);
        let why = causes(&error);
        if error.is_timeout() {
            return Self::Timeout { url, seconds: stall };
        }
        if error.is_redirect() {
            return Self::Redirect { url, why };
        }
        if is_tls(&error) {
            return Self::Tls { url, why };
        }
        match received {
            Some(received) => Self::Broken { url, received, why },
            None if error.is_builder() => Self::Setup { why },
            None => Self::Connect { url, why },
        }
    }
}

/// The last cause, which is the one that says something.
fn causes(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    let text = last.to_string();
    text.strip_prefix("received fatal alert: ").unwrap_or(&text).to_owned()
}

/// An `io::Error` hides what is in it from `source`, and may itself be in another.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls(inner)) || error.source().is_some_and(is_tls)
}
