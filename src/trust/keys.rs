//! The keys a user trusts, out of files in the usual forms.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use pgp::composed::{PublicOrSecret, SignedPublicKey};
use pgp::ser::Serialize as _;

use super::public_key::Spki;

/// A keyring of a whole distribution has less.
const LIMIT: u64 = 16 << 20;

/// Keys that may sign.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub(super) gpg: Vec<SignedPublicKey>,
    pub(super) ed25519: Vec<[u8; 32]>,
    pub(super) spki: Vec<Spki>,
}

/// Why a file gives no keys.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("the key file {path} cannot be read: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the key file {path} has more than {LIMIT} bytes", path = path.display())]
    TooLarge { path: PathBuf },
    #[error("{path} is no key: {why}", path = path.display())]
    NoKey { path: PathBuf, why: String },
    #[error("{path} holds a secret key, and only the public one is needed", path = path.display())]
    SecretKey { path: PathBuf },
}

impl Keys {
    /// Reads OpenPGP certificates, armored or binary, and files of ed25519 keys (lines of base64) or SPKI keys (PEM).
    pub fn read(gpg: &[PathBuf], sign: &[PathBuf]) -> Result<Self, TrustError> {
        let mut keys = Self::default();
        for path in gpg {
            let bytes = read(path)?;
            keys.gpg.extend(certificates(&bytes).map_err(|error| error.of(path))?);
        }
        for path in sign {
            let bytes = read(path)?;
            keys.add_sign_keys(&bytes).map_err(|error| error.of(path))?;
        }
        Ok(keys)
    }

    /// OpenPGP certificates, armored or binary, that lie in no file of their own; `name` says in errors where they are from.
    pub fn of_certificates(name: &str, bytes: &[u8]) -> Result<Self, TrustError> {
        let gpg = certificates(bytes).map_err(|error| error.of(Path::new(name)))?;
        Ok(Self { gpg, ..Self::default() })
    }

    pub fn is_empty(&self) -> bool {
        !self.has_gpg() && !self.has_sign()
    }

    pub fn has_gpg(&self) -> bool {
        !self.gpg.is_empty()
    }

    pub fn has_sign(&self) -> bool {
        !self.ed25519.is_empty() || !self.spki.is_empty()
    }

    /// All certificates as one binary keyring.
    pub fn gpg_keyring(&self) -> Vec<u8> {
        // OK to flatten: what was parsed can be written.
        self.gpg.iter().flat_map(|certificate| certificate.to_bytes()).flatten().collect()
    }

    pub fn ed25519_base64(&self) -> Vec<String> {
        self.ed25519.iter().map(|key| Base64::encode_string(key)).collect()
    }

    /// Each a SubjectPublicKeyInfo.
    pub fn spki_base64(&self) -> Vec<String> {
        self.spki.iter().map(|key| Base64::encode_string(&key.der)).collect()
    }

    fn add_sign_keys(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        let text = public_text(bytes)?;
        if text.contains("-----BEGIN ") {
            self.spki.extend(Spki::all_of_pem(text).map_err(Wrong::no_key)?);
            return Ok(());
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut found = false;
        for line in lines {
            self.ed25519.push(ed25519(line)?);
            found = true;
        }
        if found { Ok(()) } else { Err(Wrong::no_key("it is empty")) }
    }
}

impl Spki {
    /// The first key of a PEM file; sigstore's tools ignore what follows it.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        Self::of_pem(path, &read(path)?)
    }

    /// As [`Self::read`], of bytes that errors call `name`.
    pub fn of_pem(name: &Path, bytes: &[u8]) -> Result<Self, TrustError> {
        let first =
            public_text(bytes).and_then(|text| Ok(Self::all_of_pem(text).map_err(Wrong::no_key)?.swap_remove(0)));
        first.map_err(|error| error.of(name))
    }
}

/// What is wrong with bytes, before the file has a name.
enum Wrong {
    NoKey(String),
    Secret,
}

impl Wrong {
    fn no_key(why: &str) -> Self {
        Self::NoKey(why.to_owned())
    }

    fn of(self, path: &Path) -> TrustError {
        let path = path.to_owned();
        match self {
            Self::NoKey(why) => TrustError::NoKey { path, why },
            Self::Secret => TrustError::SecretKey { path },
        }
    }
}

/// Text that holds no secret key.
fn public_text(bytes: &[u8]) -> Result<&str, Wrong> {
    let text = std::str::from_utf8(bytes).map_err(|_| Wrong::no_key("it is not text"))?;
    if text.contains("PRIVATE KEY-----") { Err(Wrong::Secret) } else { Ok(text) }
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    let failed = |source| TrustError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LIMIT { Err(TrustError::TooLarge { path: path.to_owned() }) } else { Ok(bytes) }
}

/// Armored blocks may follow each other; a keyring is binary.
fn certificates(bytes: &[u8]) -> Result<Vec<SignedPublicKey>, Wrong> {
    const BEGIN: &[u8] = b"-----BEGIN PGP ";
    if bytes.trim_ascii().is_empty() {
        return Err(Wrong::no_key("it is empty"));
    }
    let starts: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(BEGIN)).collect();
    let mut found = Vec::new();
    if starts.is_empty() {
        collect(bytes, &mut found)?;
    }
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(bytes.len());
        collect(&bytes[start..end], &mut found)?;
    }
    if found.is_empty() { Err(Wrong::no_key("it holds no OpenPGP certificate")) } else { Ok(found) }
}

fn collect(bytes: &[u8], found: &mut Vec<SignedPublicKey>) -> Result<(), Wrong> {
    let broken = |error: pgp::errors::Error| Wrong::NoKey(format!("its OpenPGP packets are broken: {error}"));
    let (keys, _) = PublicOrSecret::from_reader_many_buf(bytes).map_err(broken)?;
    for key in keys {
        match key.map_err(broken)? {
            PublicOrSecret::Public(key) => found.push(key),
            PublicOrSecret::Secret(_) => return Err(Wrong::Secret),
        }
    }
    Ok(())
}

fn ed25519(line: &str) -> Result<[u8; 32], Wrong> {
    let bytes = Base64::decode_vec(line).map_err(|_| Wrong::no_key("a line of it is not base64"))?;
    let len = bytes.len();
    match len {
        // libostree's secret keys are the seed with the public key behind it.
        64 => Err(Wrong::Secret),
        _ => bytes
            .try_into()
            .map_err(|_| Wrong::NoKey(format!("a line of it has {len} bytes, and an ed25519 key has 32"))),
    }
}
