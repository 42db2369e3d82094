//! A small HTTP/1.1 server for a directory, which can be told to misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to requests for a path.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// So many answers with this status, then good ones.
    Status(u16, usize),
    /// So many bodies are cut after half of their bytes, then good ones come.
    Cut(usize),
    /// The body stops after half of its bytes, and the connection stays.
    Stall,
    /// Redirects to itself.
    Loop,
    /// Another content of the same length.
    Garble,
    /// The body comes in eight pieces, with a third of a second between them.
    Slow,
    /// So many bodies come in chunks and break off before the last, empty one.
    Unterminated(usize),
}

/// Serves until it is dropped.
pub struct Server {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    /// By what the path ends with.
    faults: Faults,
    requests: Mutex<Vec<String>>,
    headers: Mutex<Vec<String>>,
}

impl Server {
    pub fn of(root: &std::path::Path) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared {
            root: root.to_owned(),
            faults: Faults::default(),
            requests: Mutex::default(),
            headers: Mutex::default(),
        };
        let shared = Arc::new(shared);
        let for_threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_threads);
                std::thread::spawn(move || while answer(&stream, &shared).is_some() {});
            }
        });
        Server { port, shared }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What `bootwright build` takes.
    pub fn reference(&self, rev: &str) -> String {
        format!("ostree:{}#{rev}", self.url())
    }

    /// Requests whose path ends with `suffix` meet this fault from now on.
    pub fn fault(&self, suffix: &str, fault: Fault) {
        self.shared.faults.set(suffix, fault);
    }

    /// The paths asked for so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The header lines of all requests so far.
    pub fn headers(&self) -> Vec<String> {
        self.shared.headers.lock().unwrap().clone()
    }
}

/// What a client asks.
pub struct Request {
    /// The first line.
    pub line: String,
    /// As the client writes it: with its query, and to a proxy as a whole URL.
    pub path: String,
    /// Lines.
    pub headers: Vec<String>,
    /// As long as the headers say.
    pub body: Vec<u8>,
}

impl Request {
    /// `None` when the connection ends, or begins with something else than a line.
    pub fn read(stream: &TcpStream) -> Option<Request> {
        let mut reader = BufReader::new(stream);
        let mut read_line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|&len| len > 0)?;
            Some(line.trim().to_owned())
        };
        let line = read_line()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            match read_line()? {
                header if header.is_empty() => break,
                header => headers.push(header),
            }
        }
        let length = headers.iter().find_map(|header| header.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        reader.read_exact(&mut body).ok()?;
        Some(Request { line, path, headers, body })
    }
}

/// One request; `None` ends the connection.
fn answer(mut stream: &TcpStream, shared: &Shared) -> Option<()> {
    let Request { path, headers, .. } = Request::read(stream)?;
    shared.headers.lock().unwrap().extend(headers);
    let target = path.split('?').next()?;
    // Of a proxy whole URLs are asked.
    let path = match target.strip_prefix("http://") {
        Some(url) => url.find('/').map_or("/", |at| &url[at..]),
        None => target,
    };
    let path = path.to_owned();
    shared.requests.lock().unwrap().push(path.clone());
    let fault = shared.faults.take(|suffix| path.ends_with(suffix));
    if let Some(Fault::Status(status, _)) = fault {
        return status_line(stream, status, "");
    }
    if let Some(Fault::Loop) = fault {
        return status_line(stream, 302, &format!("Location: {path}\r\n"));
    }
    let Ok(mut bytes) = fs::read(shared.root.join(path.trim_start_matches('/'))) else {
        return status_line(stream, 404, "");
    };
    if let Some(Fault::Garble) = fault {
        bytes.iter_mut().rev().take(4).for_each(|byte| *byte ^= 0x55);
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len()).ok()?;
    match fault {
        Some(Fault::Cut(_)) => {
            stream.write_all(&bytes[..bytes.len() / 2]).ok()?;
            stream.shutdown(std::net::Shutdown::Both).ok()?;
            None
        }
        Some(Fault::Stall) => {
            stream.write_all(&bytes[..bytes.len() / 2]).ok()?;
            std::thread::sleep(Duration::from_secs(600));
            None
        }
        _ => stream.write_all(&bytes).ok(),
    }
}

pub fn status_line(mut stream: &TcpStream, status: u16, headers: &str) -> Option<()> {
    write!(stream, "HTTP/1.1 {status} Because\r\n{headers}Content-Length: 0\r\n\r\n").ok()
}

/// Faults by a part of the path.
#[derive(Default)]
pub struct Faults(Mutex<BTreeMap<String, Fault>>);

impl Faults {
    pub fn set(&self, part: &str, fault: Fault) {
        self.0.lock().unwrap().insert(part.to_owned(), fault);
    }

    /// The fault for the first part that is in the path, counted down.
    pub fn take(&self, is_in_path: impl Fn(&str) -> bool) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap();
        let part = faults.keys().find(|part| is_in_path(part))?.clone();
        let fault = faults.remove(&part)?;
        let left = match fault {
            Fault::Status(status, count) if count > 1 => Some(Fault::Status(status, count - 1)),
            Fault::Cut(count) if count > 1 => Some(Fault::Cut(count - 1)),
            Fault::Unterminated(count) if count > 1 => Some(Fault::Unterminated(count - 1)),
            Fault::Status(..) | Fault::Cut(_) | Fault::Unterminated(_) => None,
            lasting => Some(lasting),
        };
        left.map(|left| faults.insert(part, left));
        Some(fault)
    }
}
