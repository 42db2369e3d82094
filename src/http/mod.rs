//! Files from HTTP servers: many small ones, by many threads, over few connections (RFC 9110; HTTP/2 where the server has it).
//!
//! What the files mean is not known here. TLS is rustls with the host's authorities; proxies come from the environment.

mod body;
mod client;
mod error;
mod retry;

pub use body::Body;
pub use client::{Answer, Client, Options};
pub use error::HttpError;
pub use retry::{Retry, Retryable};
use url::Url;

/// The URL as it may be shown: without user, password and query, which may be secrets.
pub fn without_secrets(url: &Url) -> Url {
    let mut url = url.clone();
    // OK to ignore: only URLs without a host refuse, and they have no user either.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url
}
