//! gpg with keys of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use qemu_tests::oracle;

/// A home of gpg with its own keys. Its agent goes with it.
pub struct Gpg {
    pub home: tempfile::TempDir,
}

impl Gpg {
    pub fn new() -> Gpg {
        Gpg { home: tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap() }
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(oracle::tool("gpg", "gpg gpg-agent"));
        command.env("GNUPGHOME", self.home.path()).env("LC_ALL", "C");
        command.args(["--batch", "--quiet", "--no-tty", "--yes", "--passphrase", "", "--pinentry-mode", "loopback"]);
        command
    }

    pub fn says(&self, args: &[&str]) -> String {
        let output = self.command().args(args).output().unwrap();
        assert!(output.status.success(), "gpg {args:?}: {}", oracle::said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes a key and answers its fingerprint.
    pub fn key(&self, name: &str, algorithm: &str, expires: &str, faked_time: Option<&str>) -> String {
        let time = faked_time.map(|time| format!("--faked-system-time={time}"));
        let mut args: Vec<&str> = time.iter().map(String::as_str).collect();
        args.extend(["--allow-weak-key-signatures", "--quick-generate-key", name, algorithm, "sign", expires]);
        self.says(&args);
        self.fingerprint(name)
    }

    pub fn fingerprint(&self, name: &str) -> String {
        let listing = self.says(&["--with-colons", "--list-keys", name]);
        listing.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap().trim_end_matches(':').to_owned()
    }

    pub fn export(&self, name: &str, armored: bool) -> PathBuf {
        let path = self.home.path().join(format!("{name}-{armored}.key"));
        let armor = if armored { "--armor" } else { "--no-armor" };
        self.says(&[armor, "--output", path.to_str().unwrap(), "--export", name]);
        path
    }

    /// A detached binary signature.
    pub fn sign(&self, name: &str, bytes: &[u8], args: &[&str]) -> Vec<u8> {
        let (data, signature) = (self.home.path().join("data"), self.home.path().join("data.sig"));
        fs::write(&data, bytes).unwrap();
        let paths = ["--output", signature.to_str().unwrap(), "--detach-sign", data.to_str().unwrap()];
        self.says(&[args, &["--local-user", name], &paths].concat());
        fs::read(signature).unwrap()
    }

    /// A signed message that carries `bytes`.
    pub fn message(&self, name: &str, bytes: &[u8], args: &[&str]) -> Vec<u8> {
        let (data, message) = (self.home.path().join("data"), self.home.path().join("data.gpg"));
        fs::write(&data, bytes).unwrap();
        let paths = ["--output", message.to_str().unwrap(), "--sign", data.to_str().unwrap()];
        self.says(&[&["--local-user", name], args, &paths].concat());
        fs::read(message).unwrap()
    }

    pub fn revoke(&self, fingerprint: &str) {
        let certificate = self.home.path().join(format!("openpgp-revocs.d/{fingerprint}.rev"));
        // gpg guards it with a colon.
        let text = fs::read_to_string(&certificate).unwrap().replace(":-----BEGIN", "-----BEGIN");
        fs::write(&certificate, text).unwrap();
        self.says(&["--import", certificate.to_str().unwrap()]);
    }

    /// Whether gpg calls the signature good, and the key valid.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let (data, file) = (self.home.path().join("check"), self.home.path().join("check.sig"));
        fs::write(&data, bytes).unwrap();
        fs::write(&file, signature).unwrap();
        let args = ["--status-fd", "1", "--verify", file.to_str().unwrap(), data.to_str().unwrap()];
        let output = self.command().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success() && said.contains("GOODSIG")
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.home.path()).args(["--kill", "all"]).output();
    }
}
