//! One repository of one registry, and who asks (distribution-spec, "Endpoints" and "Token Authentication").

use std::sync::{Mutex, PoisonError};

use base64ct::{Base64, Encoding};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::challenge::{Challenge, challenge};
use super::{RegistryError, Result};
use crate::containers_conf::{Credentials, Found, Place};
use crate::http::{self, Answer, Client, HttpError, Retry, without_secrets};

/// A token is a kilobyte or two.
const TOKEN_LIMIT: u64 = 1 << 20;
/// Docker Hub's registry answers under another name.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

pub struct Session {
    client: Client,
    /// Ends with `/v2/REPOSITORY/`.
    base: Url,
    place: Place,
    found: Found,
    /// How often everything is tried.
    pub retry: Retry,
    /// The header that was taken last.
    authorization: Mutex<Option<HeaderValue>>,
}

/// What a server of tokens answers; both names are used.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    /// Nothing is asked yet. `unverified`: certificates of this host are taken whatever they are.
    pub fn new(mut options: http::Options, unverified: bool, scheme: &str, place: Place, found: Found) -> Result<Self> {
        let host = if place.host == HUB.0 { HUB.1 } else { &place.host };
        let base = format!("{scheme}://{host}/v2/{}/", place.repository);
        let base = Url::parse(&base).map_err(|_| RegistryError::Url { name: base })?;
        options.unverified = base.host_str().filter(|_| unverified).map(str::to_owned);
        let (client, retry) = (Client::new(&options)?, options.retry);
        Ok(Self { client, base, place, found, retry, authorization: Mutex::default() })
    }

    /// Whether somebody is there who speaks the protocol of this session; one attempt, and any answer will do
    /// (distribution-spec, end-1).
    pub fn greet(&self) -> std::result::Result<(), HttpError> {
        let mut url = self.base.clone();
        url.set_path("/v2/");
        self.client.ask(&url, HeaderMap::new()).map(drop)
    }

    /// `path` is relative to the repository. One attempt, with credentials once they are asked for. Any status but 401 and 403
    /// is an answer.
    pub fn ask(&self, path: &str, headers: &HeaderMap) -> Result<Answer> {
        let url = self.base.join(path).map_err(|_| RegistryError::Url { name: path.to_owned() })?;
        let before = self.authorization();
        let mut answer = self.client.ask(&url, with(headers, before.as_ref()))?;
        if answer.status == StatusCode::UNAUTHORIZED {
            let authorization = self.authorize(&answer.headers, before.as_ref())?;
            answer = self.client.ask(&url, with(headers, Some(&authorization)))?;
        }
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied()),
            _ => Ok(answer),
        }
    }

    /// Whether the URL is one of this registry's host.
    pub fn is_at(&self, url: &Url) -> bool {
        (url.host(), url.port_or_known_default()) == (self.base.host(), self.base.port_or_known_default())
    }

    /// Host and repository as they are asked.
    pub fn name(&self) -> String {
        format!("{}/{}", self.place.host, self.place.repository)
    }

    pub fn host(&self) -> &str {
        &self.place.host
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers the challenge; of several threads the first one fetches the token for all. `refused` is what was sent before.
    fn authorize(&self, headers: &HeaderMap, refused: Option<&HeaderValue>) -> Result<HeaderValue> {
        let mut known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newer) = known.as_ref().filter(|known| Some(*known) != refused) {
            return Ok(newer.clone());
        }
        let challenge = challenge(headers).ok_or_else(|| RegistryError::Challenge { host: self.place.host.clone() })?;
        let value = match challenge {
            Challenge::Basic => basic(self.found.credentials.as_ref().ok_or_else(|| self.denied())?),
            Challenge::Bearer { realm, service, scope } => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.place.repository));
                Some(format!("Bearer {}", self.token(&realm, service.as_deref(), &scope)?))
            }
        };
        // A password with a line break would otherwise be another header.
        let mut value = value.and_then(|value| HeaderValue::from_str(&value).ok()).ok_or_else(|| self.denied())?;
        value.set_sensitive(true);
        *known = Some(value.clone());
        Ok(value)
    }

    fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<String> {
        let wrong = |why: &str| RegistryError::TokenServer {
            host: self.place.host.clone(),
            realm: Url::parse(realm).map_or_else(|_| realm.to_owned(), |url| without_secrets(&url).to_string()),
            why: why.to_owned(),
        };
        let url = Url::parse(realm).ok().filter(Url::has_host).ok_or_else(|| wrong("which is no URL"))?;
        let is_secret = self.found.credentials.is_some() && url.host() != self.base.host();
        if url.scheme() != "https" && (self.base.scheme() == "https" || is_secret) {
            return Err(wrong("which would read them on the way"));
        }
        let answer = self.retry.run(|| self.ask_for_token(&url, service, scope))?;
        if matches!(answer.status.as_u16(), 400 | 401 | 403) {
            return Err(self.denied());
        }
        let bytes = answer.success()?.bytes(TOKEN_LIMIT)?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| wrong("which answers without one"))?;
        let token = token.token.filter(|token| !token.is_empty()).or(token.access_token);
        token.filter(|token| !token.is_empty()).ok_or_else(|| wrong("which answers without one"))
    }

    /// A refusal is an answer, what may pass is an error.
    fn ask_for_token(&self, realm: &Url, service: Option<&str>, scope: &str) -> std::result::Result<Answer, HttpError> {
        let service = service.map(|service| ("service", service));
        let answer = match &self.found.credentials {
            Some(Credentials::IdentityToken(token)) => {
                let fixed = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token),
                    ("client_id", "bootwright"),
                    ("scope", scope),
                ];
                self.client.post(realm, &fixed.into_iter().chain(service).collect::<Vec<_>>())?
            }
            other => {
                let mut url = realm.clone();
                url.query_pairs_mut().extend_pairs(service).append_pair("scope", scope);
                let header = other.as_ref().and_then(basic).and_then(|value| HeaderValue::from_str(&value).ok());
                self.client.ask(&url, with(&HeaderMap::new(), header.as_ref()))?
            }
        };
        let error = answer.refusal();
        if !answer.status.is_success() && error.is_transient() { Err(error) } else { Ok(answer) }
    }

    fn denied(&self) -> RegistryError {
        let Found { credentials, helper } = &self.found;
        RegistryError::Denied { name: self.name(), known: credentials.is_some(), helper: helper.clone() }
    }
}

fn with(headers: &HeaderMap, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = headers.clone();
    headers.extend(authorization.map(|value| (AUTHORIZATION, value.clone())));
    headers
}

/// RFC 7617. An identity token is no password.
fn basic(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::Password { user, password } => {
            Some(format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes())))
        }
        Credentials::IdentityToken(_) => None,
    }
}
