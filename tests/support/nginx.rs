//! nginx with TLS and HTTP/2 for a directory, and the certificates that openssl makes for it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use qemu_tests::oracle;

/// An authority and what it signed, in a directory.
pub struct Authority {
    directory: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Authority {
        let authority = Authority { directory: tempfile::tempdir().unwrap() };
        let (key, certificate) = (authority.text("ca.key"), authority.text("ca.pem"));
        let subject = ["-subj", "/CN=bootwright test authority", "-days", "2"];
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &certificate];
        oracle::agrees(&openssl(), request.iter().chain(&subject));
        authority
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A key and a certificate, `NAME.key` and `NAME.pem`, good for `alternative`, until so many days from now.
    pub fn sign(&self, name: &str, alternative: &str, days: i32) {
        let file = |suffix: &str| self.text(&format!("{name}.{suffix}"));
        fs::write(self.path("extensions"), format!("subjectAltName={alternative}\n")).unwrap();
        let subject = format!("/CN={name}");
        let (key, csr, pem) = (file("key"), file("csr"), file("pem"));
        let request = ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &csr, "-subj", &subject];
        oracle::agrees(&openssl(), request);
        let (ca, ca_key, extensions, days) =
            (self.text("ca.pem"), self.text("ca.key"), self.text("extensions"), days.to_string());
        let sign = ["x509", "-req", "-in", &csr, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-out", &pem];
        oracle::agrees(&openssl(), sign.iter().chain(&["-days", &days, "-extfile", &extensions]));
    }
}

fn openssl() -> PathBuf {
    oracle::tool("openssl", "openssl")
}

/// Serves until it is dropped.
pub struct Nginx {
    pub port: u16,
    place: tempfile::TempDir,
    child: Child,
}

impl Nginx {
    /// Serves `root` with the authority's certificate `name`; with `client` only to those whom the authority signed.
    pub fn of(root: &Path, authority: &Authority, name: &str, client: bool) -> Nginx {
        let verify = match client {
            true => format!("ssl_client_certificate {};\nssl_verify_client on;\n", authority.text("ca.pem")),
            false => String::new(),
        };
        Nginx::start(authority, name, &format!("root {};\n{verify}", root.display()))
    }

    /// Sends everybody somewhere else.
    pub fn redirecting(authority: &Authority, name: &str, to: &str) -> Nginx {
        Nginx::start(authority, name, &format!("return 307 {to};\n"))
    }

    /// `words` stand in the server's section.
    fn start(authority: &Authority, name: &str, words: &str) -> Nginx {
        let place = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = place.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {here}/{name};\n")).collect();
        let file = |suffix: &str| authority.text(&format!("{name}.{suffix}"));
        let text = format!(
            "daemon off;\nmaster_process off;\nuser root;\npid {here}/pid;\nerror_log {here}/error.log;\nevents {{}}\nhttp {{\n{temporary}\
             log_format protocol '$server_protocol $uri';\naccess_log {here}/access.log protocol;\n\
             server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {}; ssl_certificate_key {};\n{words}}}\n}}\n",
            file("pem"),
            file("key")
        );
        let config = place.path().join("nginx.conf");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(oracle::tool("nginx", "nginx-light"));
        let child = command.arg("-c").arg(&config).arg("-p").arg(place.path()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Nginx { port, place, child };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return nginx;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("nginx does not answer: {}", nginx.read("error.log"));
    }

    /// What `bootwright build` takes.
    pub fn reference(&self, rev: &str) -> String {
        format!("ostree:https://127.0.0.1:{}#{rev}", self.port)
    }

    /// A line for each request: `HTTP/2.0 /config`.
    pub fn log(&self) -> String {
        self.read("access.log")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
