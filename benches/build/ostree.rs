//! The same system as a ref of an ostree repository, in a directory and behind nginx, and what the `ostree` program does with it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub const BRANCH: &str = "os/x86_64/main";

/// An archive with one commit, served on a port of this machine until it is dropped.
pub struct Served {
    pub archive: PathBuf,
    pub url: String,
    nginx: Child,
}

impl Served {
    /// Commits the tree in `rootfs_tar` to an archive below `scratch`, with a summary, and starts nginx.
    pub fn new(rootfs_tar: &Path, scratch: &Path) -> Result<Served> {
        let archive = scratch.join("archive");
        ostree(&archive, "init", &["--mode=archive"])?;
        let tree = format!("--tree=tar={}", rootfs_tar.display());
        let filters = ["--tar-pathname-filter=^etc,usr/etc", "--tar-autocreate-parents"];
        ostree(&archive, "commit", &["-b", BRANCH, filters[0], filters[1], &tree])?;
        ostree(&archive, "summary", &["-u"])?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let nginx = start_nginx(&archive, scratch, port)?;
        Ok(Served { archive, url: format!("http://127.0.0.1:{port}"), nginx })
    }

    /// `ostree pull` of the ref into a new bare repository.
    pub fn pull(&self, to: &Path) -> String {
        let (to, url) = (to.display(), &self.url);
        format!(
            "mkdir -p {to} && ostree init --repo={to} --mode=bare && ostree remote add --repo={to} --no-gpg-verify o {url} && \
             ostree pull --repo={to} o {BRANCH}"
        )
    }

    /// What makes a sysroot without our program: a filesystem of `size` bytes in a file, mounted, pulled into and deployed to.
    pub fn deploy(&self, image: &Path, mount: &Path, size: u64) -> String {
        let (image, mount, archive) = (image.display(), mount.display(), self.archive.display());
        format!(
            "set -e; truncate -s {size} {image}; mke2fs -q -F -t ext4 {image}; mkdir -p {mount}; mount -o loop {image} {mount}; \
             trap 'umount {mount}' EXIT; ostree admin init-fs {mount}; ostree admin os-init default --sysroot={mount}; \
             ostree pull-local --repo={mount}/ostree/repo {archive} {BRANCH}; \
             ostree admin deploy --sysroot={mount} --os=default {BRANCH}"
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.nginx.kill().and_then(|()| self.nginx.wait()); // it may have ended by itself
    }
}

fn ostree(archive: &Path, command: &str, args: &[&str]) -> Result<()> {
    let repo = format!("--repo={}", archive.display());
    let mut program = Command::new("ostree");
    program.env("LC_ALL", "C.UTF-8").arg(command).arg(repo).args(args).stdout(Stdio::null());
    let status = program.status().context("ostree cannot be started; is it installed?")?;
    ensure!(status.success(), "ostree {command}: {status}");
    Ok(())
}

fn start_nginx(root: &Path, scratch: &Path, port: u16) -> Result<Child> {
    let place = scratch.join("nginx");
    fs::create_dir(&place)?;
    let (here, root) = (place.display(), root.display());
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths: String = paths.iter().map(|name| format!("{name}_temp_path {here}/{name};\n")).collect();
    let text = format!(
        "daemon off;\nmaster_process off;\nuser root;\npid {here}/pid;\nerror_log {here}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\nsendfile on;\n{paths}server {{ listen 127.0.0.1:{port}; root {root}; }}\n}}\n"
    );
    let config = place.join("nginx.conf");
    fs::write(&config, text)?;
    let mut program = Command::new("nginx");
    program.arg("-c").arg(&config).arg("-p").arg(&place).stderr(Stdio::null());
    let child = program.spawn().context("nginx cannot be started; is it installed?")?;
    for _ in 0..50 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(child);
        }
        sleep(Duration::from_millis(100));
    }
    anyhow::bail!("nginx does not answer; {}/error.log says why", place.display())
}
