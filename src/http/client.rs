//! One client for all threads: it keeps connections and shares them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::blocking;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Identity, StatusCode, Version};
use url::Url;

use super::{Body, HttpError, Retry, without_secrets};

/// As browsers do.
const REDIRECTS: usize = 10;
/// Connections at once to a server of HTTP/1, as curl and libostree have: small servers drop those that come in a burst.
const CONNECTIONS: usize = 8;
/// Streams at once on a connection of HTTP/2; servers allow 100 and more (RFC 9113 §6.5.2).
const STREAMS: u32 = 64;
/// Of one HTTP/2 stream, in bytes: enough for a fast line, and little enough that all streams together fit their connection.
const STREAM_WINDOW: u32 = 512 << 10;

/// How servers are talked to.
#[derive(Clone, Debug)]
pub struct Options {
    /// PEM of authorities beside the host's.
    pub authority: Option<Vec<u8>>,
    /// Files with a certificate and its key, both PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub stall_timeout: Duration,
    pub retry: Retry,
    /// The host, without a port, whose certificates are taken whatever they are. Those of all others are checked.
    pub unverified: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            authority: None,
            client_certificate: None,
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(30),
            retry: Retry::default(),
            unverified: None,
        }
    }
}

/// A client that any number of threads may use.
pub struct Client {
    inner: blocking::Client,
    /// Talks to the host whose certificates are not checked.
    unverified: Option<blocking::Client>,
    /// Checks certificates, and follows no redirect to another host; made when it is needed.
    at_home: OnceLock<blocking::Client>,
    options: Options,
    /// Whether the last answer came over HTTP/2.
    http2: AtomicBool,
}

impl Client {
    pub fn new(options: &Options) -> Result<Self, HttpError> {
        let inner = build(builder(options)?)?;
        let unverified = options.unverified.as_ref().map(|_| {
            let builder = builder(options)?.tls_danger_accept_invalid_certs(true);
            build(builder.redirect(Policy::custom(follow_at_home)))
        });
        let unverified = unverified.transpose()?;
        let (options, http2) = (options.clone(), AtomicBool::new(false));
        Ok(Self { inner, unverified, at_home: OnceLock::new(), options, http2 })
    }

    /// One attempt. An answer that is no success is an error.
    pub fn get(&self, url: &Url) -> Result<Body, HttpError> {
        self.ask(url, HeaderMap::new())?.success()
    }

    /// One attempt with headers of the caller's; any answer will do. To another host `Authorization` is not carried on.
    pub fn ask(&self, url: &Url, mut headers: HeaderMap) -> Result<Answer, HttpError> {
        let answer =
            self.send(url, self.unverified(url).unwrap_or(&self.inner).get(url.clone()).headers(headers.clone()))?;
        let Some(next) = self.leads_away(&answer)? else { return Ok(answer) };
        headers.remove(AUTHORIZATION);
        self.send(&next, self.inner.get(next.clone()).headers(headers))
    }

    /// Where a host whose certificates are not checked sends its caller: to another one, whose certificates are.
    fn leads_away(&self, answer: &Answer) -> Result<Option<Url>, HttpError> {
        if self.unverified.is_none() || !answer.status.is_redirection() {
            return Ok(None);
        }
        let from = answer.body.response.url();
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        match location.and_then(|location| from.join(location).ok()) {
            Some(next) if is_downgrade(from, &next) => {
                Err(HttpError::Redirect { url: without_secrets(from), why: downgrade(&next) })
            }
            next => Ok(next),
        }
    }

    fn at_home(&self) -> Result<&blocking::Client, HttpError> {
        if let Some(client) = self.at_home.get() {
            return Ok(client);
        }
        let client = build(builder(&self.options)?.redirect(Policy::custom(follow_at_home)))?;
        Ok(self.at_home.get_or_init(|| client))
    }

    /// Who talks to the host of this URL without checking its certificates.
    fn unverified(&self, url: &Url) -> Option<&blocking::Client> {
        self.unverified.as_ref().filter(|_| url.host_str() == self.options.unverified.as_deref())
    }

    /// Sends a form; one attempt. What stands in it, a redirect does not carry to another host.
    pub fn post(&self, url: &Url, form: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let client = self.unverified(url).map_or_else(|| self.at_home(), Ok)?;
        self.send(url, client.post(url.clone()).header(CONTENT_TYPE, form).body(body.finish()))
    }

    fn send(&self, url: &Url, request: blocking::RequestBuilder) -> Result<Answer, HttpError> {
        let failed = |error: reqwest::Error| HttpError::of(url, error, None, self.options.stall_timeout);
        let response = request.send().map_err(failed)?;
        self.http2.store(response.version() == Version::HTTP_2, Ordering::Relaxed);
        let announced = response.content_length();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Body { url: url.clone(), response, stall: self.options.stall_timeout, announced, received: 0 };
        Ok(Answer { status, headers, body })
    }

    /// A whole file of at most `limit` bytes, however many attempts it takes.
    pub fn bytes(&self, url: &Url, limit: u64) -> Result<Vec<u8>, HttpError> {
        self.retry().run(|| self.get(url)?.bytes(limit))
    }

    /// As [`Client::bytes`]; `None` when the server has no such file.
    pub fn find(&self, url: &Url, limit: u64) -> Result<Option<Vec<u8>>, HttpError> {
        match self.bytes(url, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many threads should ask at once, as far as the answers so far tell.
    pub fn at_once(&self) -> usize {
        if self.http2.load(Ordering::Relaxed) { STREAMS as usize } else { CONNECTIONS } // usize has at least 32 bits
    }

    /// How this client tries again.
    pub fn retry(&self) -> Retry {
        self.options.retry
    }
}

/// What a server answers.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

impl Answer {
    /// The body, when the status says that it is what was asked for.
    pub fn success(self) -> Result<Body, HttpError> {
        if self.status.is_success() { Ok(self.body) } else { Err(self.refusal()) }
    }

    /// The status as an error.
    pub fn refusal(&self) -> HttpError {
        let retry_after = self.headers.get(RETRY_AFTER).and_then(seconds);
        HttpError::Status { url: without_secrets(&self.body.url), status: self.status, retry_after }
    }
}

/// A client as the options say, which checks certificates.
fn builder(options: &Options) -> Result<blocking::ClientBuilder, HttpError> {
    let mut builder = blocking::Client::builder()
        .user_agent(concat!("bootwright/", env!("CARGO_PKG_VERSION")))
        // Objects are hashed as they are stored.
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
        .redirect(Policy::custom(follow))
        .referer(false)
        .connect_timeout(options.connect_timeout)
        // Of a blocking client this is the time for one answer or one read, not for the whole file.
        .timeout(options.stall_timeout)
        .tcp_nodelay(true)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(STREAM_WINDOW * STREAMS);
    if let Some(pem) = &options.authority {
        builder = builder.tls_certs_merge(authorities(pem)?);
    }
    if let Some((certificate, key)) = &options.client_certificate {
        builder = builder.identity(identity(certificate, key)?);
    }
    Ok(builder)
}

fn build(builder: blocking::ClientBuilder) -> Result<blocking::Client, HttpError> {
    builder.build().map_err(|error| HttpError::Setup { why: error.to_string() })
}

/// Up to ten times, never twice to the same place, never from https to http.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let next = attempt.url();
    if attempt.previous().contains(next) {
        let why = format!("its redirects lead back to {}", without_secrets(next));
        return attempt.error(why);
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error(format!("it redirects more than {REDIRECTS} times"));
    }
    if attempt.previous().iter().any(|url| is_downgrade(url, next)) {
        let why = downgrade(next);
        return attempt.error(why);
    }
    attempt.follow()
}

fn is_downgrade(from: &Url, to: &Url) -> bool {
    from.scheme() == "https" && to.scheme() != "https"
}

fn downgrade(to: &Url) -> String {
    format!("it redirects from https to {}", without_secrets(to))
}

/// A redirect to another host is the answer.
fn follow_at_home(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let home = attempt.previous().first().and_then(|url| url.host_str().map(str::to_owned));
    if attempt.url().host_str().map(str::to_owned) == home { follow(attempt) } else { attempt.stop() }
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, HttpError> {
    let wrong = |why: String| HttpError::Setup { why: format!("the authority's certificate: {why}") };
    let certificates = Certificate::from_pem_bundle(pem).map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() { Err(wrong("it has no PEM block `CERTIFICATE`".into())) } else { Ok(certificates) }
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, HttpError> {
    let read = |path: &Path| {
        let wrong = |why| HttpError::Certificate { path: path.to_owned(), what: "a client's certificate or key", why };
        fs::read(path).map_err(|error| wrong(error.to_string()))
    };
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    let path = certificate.to_owned();
    Identity::from_pem(&pem).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        HttpError::Certificate { path, what: "a client's certificate with its key", why }
    })
}
