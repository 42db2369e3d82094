//! `auth.json` of podman and skopeo, `config.json` and `.dockercfg` of Docker (containers-auth.json(5)).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ConfError, config_home, from_environment, read};

/// What a registry is told about who asks. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// Taken by the server of tokens in place of a password (OAuth 2 `refresh_token`).
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
        })
    }
}

/// What the files say of a repository.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub credentials: Option<Credentials>,
    /// A program that keeps credentials, which is not run, and the file that names it.
    pub helper: Option<(String, PathBuf)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    #[serde(default)]
    auths: Option<Auths>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

/// What is `null` is as good as missing, here and above.
type Auths = BTreeMap<String, Option<Entry>>;

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// Credentials for `repository` of `host`: those of the first file that has some. `explicit` is the only one that is read when
/// it is given, and has to be there.
pub fn credentials(explicit: Option<&Path>, host: &str, repository: &str) -> Result<Found, ConfError> {
    let mut helper = None;
    for (path, legacy) in places(explicit) {
        let Some(bytes) = read(&path)? else {
            if explicit == Some(&path) {
                return Err(ConfError::Wrong { path, why: "it is not there".to_owned() });
            }
            continue;
        };
        let file = match legacy {
            true => AuthFile { auths: parse(&path, &bytes)?, cred_helpers: None, creds_store: None },
            false => parse(&path, &bytes)?,
        };
        if let Some(credentials) = file.credentials(&path, host, repository)? {
            return Ok(Found { credentials: Some(credentials), helper: None });
        }
        let program = file.cred_helpers.as_ref().and_then(|helpers| helpers.get(host)).or(file.creds_store.as_ref());
        helper = helper.or_else(|| Some((format!("docker-credential-{}", program?), path)));
    }
    Ok(Found { credentials: None, helper })
}

/// The files in the order in which they are asked, and whether one has the form before Docker 1.7.
fn places(explicit: Option<&Path>) -> Vec<(PathBuf, bool)> {
    if let Some(path) = explicit {
        return vec![(path.to_owned(), false)];
    }
    if let Some(path) = from_environment("REGISTRY_AUTH_FILE") {
        return vec![(path, false)];
    }
    let runtime = from_environment("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
    let runtime = runtime.unwrap_or_else(|| format!("/run/containers/{}/auth.json", nix::unistd::getuid()).into());
    let home = from_environment("HOME");
    let docker = from_environment("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker")));
    let files = [
        Some(runtime),
        config_home().map(|dir| dir.join("containers/auth.json")),
        docker.map(|dir| dir.join("config.json")),
    ];
    let legacy = home.map(|home| (home.join(".dockercfg"), true));
    files.into_iter().flatten().map(|path| (path, false)).chain(legacy).collect()
}

/// The position is told, not the text: serde repeats values.
fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, ConfError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let why = format!("it is not the JSON it should be, at line {}, column {}", error.line(), error.column());
        ConfError::Wrong { path: path.to_owned(), why }
    })
}

impl AuthFile {
    /// The entry for the repository, else for the namespaces around it, else for the host; the first that is there decides, be it
    /// empty.
    fn credentials(&self, path: &Path, host: &str, repository: &str) -> Result<Option<Credentials>, ConfError> {
        let name = format!("{host}/{repository}");
        let scopes = std::iter::successors(Some(name.as_str()), |scope| scope.rsplit_once('/').map(|(above, _)| above));
        let of_scope = |scope: &str| self.auths.iter().flatten().find(|(key, _)| names(key, scope));
        let nearest = scopes.filter_map(of_scope).next().and_then(|(_, entry)| entry.as_ref());
        let wrong = || ConfError::Wrong {
            path: path.to_owned(),
            why: format!("its entry for {host} is no base64 of USER:PASSWORD"),
        };
        nearest.map_or(Ok(None), |entry| entry.credentials().ok_or_else(wrong))
    }
}

/// Docker wrote URLs with paths, and its hub has a name of its own.
fn names(key: &str, scope: &str) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = match bare {
        Some(url) => url.split('/').next().unwrap_or(url),
        None => key,
    };
    let hub = |name: &str| matches!(name, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    key == scope || (hub(key) && hub(scope))
}

impl Entry {
    /// The outer `None`: it cannot be read. Docker leaves empty entries for what a helper keeps, and passes over a text without a
    /// colon.
    fn credentials(&self) -> Option<Option<Credentials>> {
        let present = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = present(&self.identitytoken) {
            return Some(Some(Credentials::IdentityToken(token)));
        }
        let Some(auth) = present(&self.auth) else {
            let both = present(&self.username).zip(present(&self.password));
            return Some(both.map(|(user, password)| Credentials::Password { user, password }));
        };
        let text = String::from_utf8(Base64::decode_vec(auth.trim()).ok()?).ok()?;
        let Some((user, password)) = text.split_once(':') else { return Some(None) };
        // Docker pads with NUL.
        let password = password.trim_end_matches('\0').to_owned();
        Some(Some(Credentials::Password { user: user.to_owned(), password }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, host: &str, repository: &str) -> Result<Found, ConfError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        credentials(Some(file.path()), host, repository)
    }

    fn user(text: &str, host: &str, repository: &str) -> Option<String> {
        match find(text, host, repository).unwrap().credentials? {
            Credentials::Password { user, .. } => Some(user),
            Credentials::IdentityToken(token) => Some(token),
        }
    }

    #[test]
    fn the_nearest_namespace_decides() {
        // a:x, b:x, c:x
        let text = r#"{"auths": {"r.example": {"auth": "YTp4"}, "r.example/n": {"auth": "Yjp4"}, "r.example/n/i": {"auth": "Yzp4"}}}"#;
        for (repository, wanted) in [("n/i", "c"), ("n/j", "b"), ("m", "a"), ("nn/i", "a")] {
            assert_eq!(user(text, "r.example", repository).as_deref(), Some(wanted), "{repository}");
        }
        assert_eq!(user(text, "other.example", "n/i"), None);
    }

    #[test]
    fn dockers_forms_are_read() {
        let hub = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YTp4AAA="}}}"#;
        assert_eq!(user(hub, "docker.io", "library/debian").as_deref(), Some("a"));
        let token = r#"{"auths": {"r.example:5000": {"identitytoken": "t", "auth": "YTo="}}}"#;
        assert_eq!(user(token, "r.example:5000", "a").as_deref(), Some("t"));
        let helper = find(r#"{"auths": {"r.example": {}}, "credsStore": "secretservice"}"#, "r.example", "a").unwrap();
        assert!(helper.credentials.is_none() && helper.helper.unwrap().0 == "docker-credential-secretservice");
    }

    #[test]
    fn what_skopeo_takes_for_nothing_is_nothing() {
        for text in [
            r#"{"auths": null, "credHelpers": null, "credsStore": null}"#,
            r#"{"auths": {"r.example": null}}"#,
            r#"{"auths": {"r.example": {"auth": "bm8gY29sb24=", "username": null}}}"#,
            r#"{"auths": {"r.example/a": {}, "r.example": {"auth": "YTp4"}}}"#,
        ] {
            assert_eq!(user(text, "r.example", "a"), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_file_is_named_without_its_secrets() {
        for text in [r#"{"auths": {"r.example": {"auth": "hush!"}}}"#, r#"{"auths": {"r.example": "hush!"}}"#, "hush!"]
        {
            let error = find(text, "r.example", "a").unwrap_err().to_string();
            assert!(error.contains("cannot be used") && !error.contains("hush"), "{error}");
        }
        let shown = format!("{:?}", Credentials::Password { user: "hush".into(), password: "hush".into() });
        assert!(!shown.contains("hush"));
    }
}
