//! A way to a registry, on which things go wrong and somebody asks for tokens.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use qemu_tests::server::{self, Fault, Faults, Request};

use super::registry::{PASSWORD, Registry, USER};

/// What [`USER`] may give in place of the password.
pub const IDENTITY_TOKEN: &str = "identity of the warden";

/// A server before a registry of http.
pub struct Way {
    pub port: u16,
    shared: Arc<Shared>,
}

/// What becomes of the ranges that are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ranges {
    Served,
    /// Everything is sent again, as a server may.
    Ignored,
    /// The answer begins elsewhere.
    Wrong,
}

struct Shared {
    registry: u16,
    ranges: Mutex<Ranges>,
    /// By what the path contains.
    faults: Faults,
    /// What the path contains, and the beginning of the URL that is answered.
    redirects: Mutex<Vec<(String, String)>>,
    requests: Mutex<Vec<String>>,
    /// `PATH VALUE` of each header `Authorization` so far.
    authorizations: Mutex<Vec<String>>,
    tokens: Option<Tokens>,
}

/// Everything needs a token.
struct Tokens {
    realm: String,
    /// Requests that a token is good for.
    lifetime: usize,
    /// The token that is taken, and for how many requests more.
    current: Mutex<(String, usize)>,
    issued: Mutex<usize>,
}

impl Way {
    pub fn to(registry: &Registry) -> Way {
        Way::start(registry, |_| None)
    }

    /// A way on which everything needs a token, that [`USER`] gets here with [`PASSWORD`] or [`IDENTITY_TOKEN`], and nobody else.
    pub fn with_tokens(registry: &Registry) -> Way {
        Way::with_short_tokens(registry, usize::MAX)
    }

    /// Each token is good for `lifetime` requests.
    pub fn with_short_tokens(registry: &Registry, lifetime: usize) -> Way {
        Way::start(registry, |port| {
            let realm = format!("http://127.0.0.1:{port}/token");
            Some(Tokens { realm, lifetime, current: Mutex::default(), issued: Mutex::default() })
        })
    }

    /// Somebody else gives tokens, all alike: `good`.
    pub fn with_tokens_of(registry: &Registry, realm: &str) -> Way {
        let current = Mutex::new(("good".to_owned(), usize::MAX));
        let tokens = Tokens { realm: realm.to_owned(), lifetime: usize::MAX, current, issued: Mutex::default() };
        Way::start(registry, |_| Some(tokens))
    }

    fn start(registry: &Registry, tokens: impl FnOnce(u16) -> Option<Tokens>) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            registry: registry.port,
            ranges: Mutex::new(Ranges::Served),
            faults: Faults::default(),
            redirects: Mutex::default(),
            requests: Mutex::default(),
            authorizations: Mutex::default(),
            tokens: tokens(port),
        });
        let for_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_threads);
                thread::spawn(move || answer(&stream, &shared));
            }
        });
        Way { port, shared }
    }

    pub fn name(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// Requests whose path contains `part` meet this fault from now on.
    pub fn fault(&self, part: &str, fault: Fault) {
        self.shared.faults.set(part, fault);
    }

    /// Requests whose path contains `part` are sent to the same path behind `to` from now on.
    pub fn redirect(&self, part: &str, to: &str) {
        self.shared.redirects.lock().unwrap().push((part.to_owned(), to.to_owned()));
    }

    pub fn ranges(&self, ranges: Ranges) {
        *self.shared.ranges.lock().unwrap() = ranges;
    }

    /// `PATH` or `PATH RANGE` of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// `PATH VALUE` of each header `Authorization` so far.
    pub fn authorizations(&self) -> Vec<String> {
        self.shared.authorizations.lock().unwrap().clone()
    }
}

/// One request on one connection.
fn answer(mut stream: &TcpStream, shared: &Shared) -> Option<()> {
    let Request { line, path, headers, body } = Request::read(stream)?;
    let header =
        |name: &str| headers.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    let range = header("range").map(|range| format!(" {range}")).unwrap_or_default();
    shared.requests.lock().unwrap().push(format!("{path}{range}"));
    let authorization = header("authorization");
    shared.authorizations.lock().unwrap().extend(authorization.as_ref().map(|value| format!("{path} {value}")));
    let elsewhere = shared.redirects.lock().unwrap().iter().find(|(part, _)| path.contains(part)).cloned();
    if let Some(tokens) = &shared.tokens {
        if path.starts_with("/token") && elsewhere.is_none() {
            return token(stream, tokens, &path, &body, authorization.as_deref());
        }
        if !path.starts_with("/token") && !tokens.take(authorization.as_deref()) {
            let challenge = format!("Bearer realm=\"{}\",service=\"way\",scope=\"repository:os:pull\"", tokens.realm);
            return status(stream, 401, &format!("WWW-Authenticate: {challenge}\r\n"));
        }
    }
    if let Some((_, to)) = elsewhere {
        return status(stream, 307, &format!("Location: {to}{path}\r\n"));
    }
    let fault = shared.faults.take(|part| path.contains(part));
    if let Some(Fault::Status(code, _)) = fault {
        return status(stream, code, "Retry-After: 0\r\n");
    }
    if line.starts_with("CONNECT ") {
        return tunnel(stream, shared.registry);
    }
    let ranges = *shared.ranges.lock().unwrap();
    let headers = headers.into_iter().filter(|line| ranges == Ranges::Served || !line.starts_with("range: "));
    let mut bytes = ask_registry(shared.registry, &line, &headers.collect::<Vec<_>>())?;
    if ranges == Ranges::Wrong && !range.is_empty() {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let length = bytes.len() - head - 4;
        let line = format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{}/{length}\r\n", length - 1);
        bytes.splice(..bytes.windows(2).position(|window| window == b"\r\n")? + 2, line.into_bytes());
    }
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    match fault {
        Some(Fault::Cut(_)) => bytes.truncate(body + (bytes.len() - body) / 2),
        Some(Fault::Garble) => bytes[body..].iter_mut().rev().take(4).for_each(|byte| *byte ^= 1),
        Some(Fault::Stall) => bytes.truncate(body),
        Some(Fault::Unterminated(_)) => bytes = unterminated(&bytes[..body], &bytes[body..])?,
        _ => {}
    }
    if let Some(Fault::Slow) = fault {
        for piece in bytes.chunks(bytes.len().div_ceil(8)) {
            stream.write_all(piece).ok()?;
            thread::sleep(Duration::from_millis(333));
        }
    } else {
        stream.write_all(&bytes).ok()?;
    }
    if let Some(Fault::Stall) = fault {
        thread::sleep(Duration::from_secs(600));
    }
    stream.shutdown(std::net::Shutdown::Both).ok()
}

/// The body as one chunk, without the empty one that ends it (RFC 9112 §7.1).
fn unterminated(head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(head).ok()?.trim_end();
    let kept = head.lines().filter(|line| !line.to_lowercase().starts_with("content-length:"));
    let head: String = kept.map(|line| format!("{line}\r\n")).collect();
    let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    Some([head.as_bytes(), body, b"\r\n"].concat())
}

/// As a proxy does for TLS: bytes go to the registry and back, whatever its name.
fn tunnel(mut stream: &TcpStream, port: u16) -> Option<()> {
    let upstream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").ok()?;
    let (client, mut back) = (stream.try_clone().ok()?, upstream.try_clone().ok()?);
    thread::spawn(move || std::io::copy(&mut &client, &mut back));
    std::io::copy(&mut &upstream, &mut stream).ok().map(drop)
}

/// Everything that the registry answers.
fn ask_registry(port: u16, line: &str, headers: &[String]) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let kept = headers.iter().filter(|line| !line.starts_with("connection:") && !line.starts_with("authorization:"));
    let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
    upstream.write_all(format!("{line}\r\n{kept}connection: close\r\n\r\n").as_bytes()).ok()?;
    let mut bytes = Vec::new();
    upstream.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

impl Tokens {
    /// Whether this header opens the door once more.
    fn take(&self, authorization: Option<&str>) -> bool {
        let (token, left) = &mut *self.current.lock().unwrap();
        let is_good = *left > 0 && authorization.is_some_and(|value| value == format!("Bearer {token}"));
        *left -= usize::from(is_good);
        is_good
    }

    fn issue(&self) -> String {
        let mut issued = self.issued.lock().unwrap();
        *issued += 1;
        let token = format!("good-{issued}");
        *self.current.lock().unwrap() = (token.clone(), self.lifetime);
        token
    }
}

/// By GET with a password, or by POST with an identity token.
fn token(mut stream: &TcpStream, tokens: &Tokens, path: &str, body: &[u8], authorization: Option<&str>) -> Option<()> {
    let password = format!("Basic {}", Base64::encode_string(format!("{USER}:{PASSWORD}").as_bytes()));
    let identity = IDENTITY_TOKEN.replace(' ', "+");
    let form = format!(
        "grant_type=refresh_token&refresh_token={identity}&client_id=bootwright&scope=repository%3Aos%3Apull&service=way"
    );
    let by_password = path == "/token?service=way&scope=repository%3Aos%3Apull" && authorization == Some(&password);
    if !by_password && (path != "/token" || body != form.as_bytes()) {
        return status(stream, 401, "");
    }
    let text = serde_json::json!({"token": tokens.issue(), "expires_in": 300}).to_string();
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len()).ok()
}

fn status(stream: &TcpStream, status: u16, headers: &str) -> Option<()> {
    server::status_line(stream, status, &format!("{headers}Connection: close\r\n"))
}
