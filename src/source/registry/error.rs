//! What can go wrong between a build and a registry.

use std::path::PathBuf;

use crate::containers_conf::ConfError;
use crate::digest::Digest;
use crate::http::{HttpError, Retryable};

/// Everything that a registry is refused for, and refuses.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Http(HttpError),

    #[error(transparent)]
    Conf(#[from] ConfError),

    #[error("`{name}` makes no URL")]
    Url { name: String },

    #[error("{name}: the registry refuses it to {}", if *known { "the user that was named" } else { "strangers" })]
    Denied {
        name: String,
        known: bool,
        /// A program that keeps credentials, and the file that names it.
        helper: Option<(String, PathBuf)>,
    },

    #[error("{host} asks for credentials in a way that is not understood")]
    Challenge { host: String },

    #[error("{host} sends its users to {realm} for tokens, {why}")]
    TokenServer { host: String, realm: String, why: String },

    #[error("{name} is not in the registry")]
    NoImage { name: String },

    #[error("the registry has no blob {digest} in {name}")]
    NoBlob { name: String, digest: Digest },

    #[error("{host} does not answer as a registry does: {why}")]
    NotARegistry { host: String, why: String },

    #[error("{name}: the registry serves {found} for {wanted}")]
    WrongDigest { name: String, wanted: String, found: Digest },
}

pub type Result<T> = std::result::Result<T, RegistryError>;

impl From<HttpError> for RegistryError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl Retryable for RegistryError {
    fn into_http(self) -> std::result::Result<HttpError, Self> {
        match self {
            Self::Http(error) => Ok(error),
            other => Err(other),
        }
    }
}

impl RegistryError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Denied { helper: Some((program, file)), .. } => {
                let file = file.display();
                return Some(format!(
                    "{file} leaves the password to {program}, and no program is run here: log in with skopeo login --authfile FILE, \
                     and give that with --authfile"
                ));
            }
            Self::Denied { known: false, .. } => {
                "log in with skopeo login or podman login, or give --authfile; or there is no such image"
            }
            Self::Denied { .. } => "the user may not read it, or there is no such image",
            Self::NoImage { .. } => "skopeo list-tags docker://HOST/REPOSITORY shows the tags",
            Self::WrongDigest { .. } => {
                "the registry, or a proxy before it, gives out something else: skopeo inspect --raw shows what comes here"
            }
            Self::Http(error) => return http_hint(error.last()).map(str::to_owned),
            Self::Conf(ConfError::Blocked { .. }) => {
                "the administrator of this machine does not want images from there"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn http_hint(error: &HttpError) -> Option<&'static str> {
    match error {
        HttpError::Tls { .. } => Some(
            "an authority of your own goes with --tls-ca; --tls-verify=false takes any certificate of the registry that is named, \
             and http",
        ),
        HttpError::Connect { why, .. } if why.contains("lookup address") => {
            Some("look at the name, the network, and the proxies in the environment (https_proxy, no_proxy)")
        }
        HttpError::Connect { url, .. } if url.scheme() == "https" => {
            Some("a registry without TLS is asked with --tls-verify=false")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_tls_is_told_of_after_all_attempts() {
        let failed = |url: &str, why: &str| {
            let last = HttpError::Connect { url: url.parse().unwrap(), why: why.to_owned() };
            RegistryError::Http(HttpError::GivenUp { attempts: 6, last: Box::new(last) }).hint()
        };
        assert!(failed("https://r.example/v2/", "refused").unwrap().contains("--tls-verify=false"));
        assert_eq!(failed("http://r.example/v2/", "refused"), None, "that was tried");
        let unknown =
            failed("https://r.example/v2/", "failed to lookup address information: Name or service not known");
        assert!(unknown.unwrap().starts_with("look at the name"));
    }
}
