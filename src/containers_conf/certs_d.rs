//! `certs.d/HOST[:PORT]/`: authorities in `*.crt`, client certificates in `NAME.cert` beside `NAME.key` (containers-certs.d(5)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{ConfError, config_home, read};

/// What belongs to one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// PEM, one or several authorities.
    pub authority: Option<Vec<u8>>,
    /// A certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Of the first directory that is there.
pub fn certificates(host: &str) -> Result<Certificates, ConfError> {
    let own = config_home().map(|dir| dir.join("containers/certs.d"));
    let shared = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    for directory in own.into_iter().chain(shared) {
        if let Some(certificates) = of_directory(&directory.join(host))? {
            return Ok(certificates);
        }
    }
    Ok(Certificates::default())
}

fn of_directory(directory: &Path) -> Result<Option<Certificates>, ConfError> {
    let failed = |source| ConfError::Io { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // One that is not for this user is passed over, as by skopeo.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    files.sort();
    let mut found = Certificates::default();
    for path in files {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => {
                let pem = found.authority.get_or_insert_default();
                pem.extend(read(&path)?.unwrap_or_default());
                pem.push(b'\n');
            }
            Some("cert") => {
                let key = path.with_extension("key");
                if !key.is_file() {
                    return Err(ConfError::Wrong { path, why: format!("its key {} is not there", key.display()) });
                }
                found.client = found.client.or(Some((path, key)));
            }
            _ => {}
        }
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_joined_and_a_client_certificate_needs_its_key() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(of_directory(&directory.path().join("none")).unwrap(), None);
        for (name, text) in [("b.crt", "B"), ("a.crt", "A"), ("me.cert", ""), ("README", "x")] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        assert!(of_directory(directory.path()).unwrap_err().to_string().contains("me.key is not there"));
        fs::write(directory.path().join("me.key"), "").unwrap();
        let found = of_directory(directory.path()).unwrap().unwrap();
        assert_eq!(found.authority.as_deref(), Some(&b"A\nB\n"[..]));
        assert!(found.client.unwrap().0.ends_with("me.cert"));
    }
}
