//! The image in a registry on loopback, without TLS.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Debian's docker-registry with one image, until it is dropped.
pub struct Stored {
    /// As skopeo and bootwright name the image.
    pub reference: String,
    child: Child,
}

impl Stored {
    /// Starts a registry with its data below `scratch`, and copies the image of the layout into it.
    pub fn new(oci: &Path, scratch: &Path) -> Result<Stored> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = scratch.join("registry.yml");
        let data = scratch.join("registry");
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            data.display()
        );
        fs::write(&config, text)?;
        let mut program = Command::new("docker-registry");
        program.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = program.spawn().context("docker-registry cannot be started; is it installed?")?;
        let stored = Stored { reference: format!("docker://127.0.0.1:{port}/os:latest"), child };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        let from = format!("oci:{}:latest", oci.display());
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", &from, &stored.reference]);
        let status = skopeo.status().context("skopeo cannot be started; is it installed?")?;
        ensure!(status.success(), "skopeo copy: {status}");
        Ok(stored)
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait()); // it may have ended by itself
    }
}
