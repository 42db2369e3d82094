//! Debian's docker-registry, filled by skopeo, and a way to it on which things go wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use super::nginx::Authority;
use super::repository_of_registry::Repository;
use qemu_tests::oracle;
use qemu_tests::server::{self, Fault, Faults, Request};

pub const USER: &str = "warden";
pub const PASSWORD: &str = "correct horse";

/// Serves until it is dropped.
pub struct Registry {
    pub port: u16,
    _place: tempfile::TempDir,
    child: Child,
}

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    Open,
    /// [`USER`] with [`PASSWORD`].
    Basic,
}

impl Registry {
    pub fn open() -> Registry {
        Registry::start(Doors::Open, None)
    }

    /// With TLS by the authority's certificate `server`, where there is an authority.
    pub fn start(doors: Doors, authority: Option<&Authority>) -> Registry {
        let place = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = place.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n\
             storage: {{filesystem: {{rootdirectory: {here}/data}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        if let Some(authority) = authority {
            let (pem, key) = (authority.text("server.pem"), authority.text("server.key"));
            config += &format!("  tls: {{certificate: {pem}, key: {key}}}\n");
        }
        if doors == Doors::Basic {
            let htpasswd = oracle::agrees(&oracle::tool("htpasswd", "apache2-utils"), ["-nbB", USER, PASSWORD]);
            fs::write(place.path().join("htpasswd"), htpasswd).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: test, path: {here}/htpasswd}}}}\n");
        }
        let path = place.path().join("config.yml");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(oracle::tool("docker-registry", "docker-registry"));
        let child = command.arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let registry = Registry { port, _place: place, child };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return registry;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not answer");
    }

    /// `HOST:PORT/NAME`, as configurations name it.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// skopeo stores `from` as `name`, with more arguments of skopeo's.
    pub fn store(&self, from: &str, name: &str, args: &[&str]) {
        let to = format!("docker://{}", self.name(name));
        let user = format!("{USER}:{PASSWORD}");
        let fixed = ["copy", "--quiet", "--dest-tls-verify=false", "--dest-creds", &user];
        oracle::agrees(&oracle::tool("skopeo", "skopeo"), fixed.iter().chain(args).chain(&[from, &to]));
    }

    /// As references name it.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn repository(&self, path: &str) -> Repository<'_> {
        Repository::of(self, path)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// A server before a registry of http.
pub struct Way {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    registry: u16,
    /// By what the path contains.
    faults: Faults,
    requests: Mutex<Vec<String>>,
    /// Asks for tokens of the server that is at this way as well.
    tokens: bool,
    port: u16,
}

impl Way {
    pub fn to(registry: &Registry) -> Way {
        Way::start(registry, false)
    }

    /// A way on which everything needs a token, that [`USER`] gets with [`PASSWORD`] and nobody else.
    pub fn with_tokens(registry: &Registry) -> Way {
        Way::start(registry, true)
    }

    fn start(registry: &Registry, tokens: bool) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (faults, requests) = (Faults::default(), Mutex::default());
        let shared = Arc::new(Shared { registry: registry.port, faults, requests, tokens, port });
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

    /// `PATH` or `PATH RANGE` of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

/// One request on one connection.
fn answer(mut stream: &TcpStream, shared: &Shared) -> Option<()> {
    let Request { line, path, headers } = Request::read(stream)?;
    let header =
        |name: &str| headers.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    let range = header("range").map(|range| format!(" {range}")).unwrap_or_default();
    shared.requests.lock().unwrap().push(format!("{path}{range}"));
    if let Some(query) = path.strip_prefix("/token?") {
        return token(stream, query, header("authorization").as_deref());
    }
    if shared.tokens && header("authorization").as_deref() != Some("Bearer good") {
        let realm = format!("http://127.0.0.1:{}/token", shared.port);
        let challenge = format!("Bearer realm=\"{realm}\",service=\"way\",scope=\"repository:os:pull\"");
        return status(stream, 401, &format!("WWW-Authenticate: {challenge}\r\n"));
    }
    let fault = shared.faults.take(|part| path.contains(part));
    if let Some(Fault::Status(code, _)) = fault {
        return status(stream, code, "Retry-After: 0\r\n");
    }
    let mut bytes = ask_registry(shared.registry, &line, &headers)?;
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    match fault {
        Some(Fault::Cut(_)) => bytes.truncate(body + (bytes.len() - body) / 2),
        Some(Fault::Garble) => bytes[body..].iter_mut().rev().take(4).for_each(|byte| *byte ^= 1),
        Some(Fault::Stall) => bytes.truncate(body),
        _ => {}
    }
    stream.write_all(&bytes).ok()?;
    if let Some(Fault::Stall) = fault {
        thread::sleep(Duration::from_secs(600));
    }
    stream.shutdown(std::net::Shutdown::Both).ok()
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

fn token(mut stream: &TcpStream, query: &str, authorization: Option<&str>) -> Option<()> {
    use base64ct::Encoding;
    let known = base64ct::Base64::encode_string(format!("{USER}:{PASSWORD}").as_bytes());
    if authorization != Some(&format!("Basic {known}")) || query != "service=way&scope=repository%3Aos%3Apull" {
        return status(stream, 401, "");
    }
    let text = r#"{"token": "good", "expires_in": 300}"#;
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len()).ok()
}

fn status(stream: &TcpStream, status: u16, headers: &str) -> Option<()> {
    server::status_line(stream, status, &format!("{headers}Connection: close\r\n"))
}

/// An `auth.json` with one entry, as skopeo login writes it.
pub fn auth_file(path: &Path, host: &str, user: &str, password: &str) -> String {
    use base64ct::Encoding;
    let auth = base64ct::Base64::encode_string(format!("{user}:{password}").as_bytes());
    fs::write(path, serde_json::json!({"auths": {host: {"auth": auth}}}).to_string()).unwrap();
    path.display().to_string()
}
