//! Debian's docker-registry, filled by skopeo.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use base64ct::{Base64, Encoding};

use super::nginx::Authority;
use super::repository_of_registry::Repository;
use qemu_tests::oracle;

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

/// An `auth.json` with one entry, as skopeo login writes it.
pub fn auth_file(path: &Path, host: &str, user: &str, password: &str) -> String {
    let auth = Base64::encode_string(format!("{user}:{password}").as_bytes());
    fs::write(path, serde_json::json!({"auths": {host: {"auth": auth}}}).to_string()).unwrap();
    path.display().to_string()
}
