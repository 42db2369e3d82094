//! A server for the files of a directory, as an ostree client asks for them: GET, HEAD, one connection after the other or many.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::smoke::Error;

/// A request line or header longer than this is none of a client's.
const LONGEST_LINE: u64 = 8 << 10;
const IDLE: Duration = Duration::from_secs(60);

/// Serves until it is dropped.
pub(super) struct Server {
    pub port: u16,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Listens on the loopback interface, which a guest's user network calls 10.0.2.2.
    pub fn of(directory: &Path) -> Result<Server, Error> {
        let failed = || Error::io("serving", directory);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed())?;
        let port = listener.local_addr().map_err(failed())?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, root) = (Arc::clone(&stop), directory.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let root = root.clone();
                // An error ends the connection; the client asks again.
                std::thread::spawn(move || drop(serve(&stream, &root)));
            }
        });
        Ok(Server { port, stop })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Answers requests until the client goes.
fn serve(stream: &TcpStream, root: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = line(&mut reader)? {
        while line(&mut reader)?.is_some_and(|header| !header.is_empty()) {}
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let file = matches!(method, "GET" | "HEAD").then(|| file(root, target)).flatten();
        answer(stream, method, file)?;
    }
    Ok(())
}

/// One line without its end; nothing at the end of the connection.
fn line(reader: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = reader.take(LONGEST_LINE).read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

/// The regular file that a target names, and its length; nothing outside of the directory.
fn file(root: &Path, target: &str) -> Option<(File, u64)> {
    let path = target.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    let path = PathBuf::from(path);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = File::open(root.join(path)).ok()?;
    let metadata = file.metadata().ok().filter(|metadata| metadata.is_file())?;
    Some((file, metadata.len()))
}

fn answer(mut stream: &TcpStream, method: &str, file: Option<(File, u64)>) -> io::Result<()> {
    let Some((file, len)) = file else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {len}\r\n\r\n")?;
    if method == "GET" {
        io::copy(&mut file.take(len), &mut stream)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn files_of_the_directory_are_served_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("repo");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("config"), "inside").unwrap();
        std::fs::write(directory.path().join("secret"), "outside").unwrap();
        let server = Server::of(&root).unwrap();
        let get = |target: &str| asked(server.port, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(get("/config").ends_with("\r\n\r\ninside"));
        for target in ["/../secret", "/./../secret", "//../secret", "/", "/none", "/%2e%2e/secret"] {
            assert!(get(target).starts_with("HTTP/1.1 404"), "{target}");
        }
        let head = asked(server.port, "HEAD /config HTTP/1.1\r\n\r\n");
        assert!(head.contains("Content-Length: 6") && head.ends_with("\r\n\r\n"));
        let two = asked(server.port, "GET /config HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\n");
        assert!(two.contains("inside") && two.contains("404"));
    }
}
