//! `policy.json`: which images may be used (containers-policy.json(5)). Read as strictly as containers/image reads it.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::identity::{self, Identity};
use super::json::{Object, Unique};
use super::requirement::Requirement;
use crate::trust::{Spki, TrustError};

/// Keyrings may stand in the file.
const LIMIT: u64 = 16 << 20;

/// What is asked of images, by transport and scope.
#[derive(Clone, Debug)]
pub struct Policy {
    origin: Origin,
    document: Document,
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    /// `--cosign-key`.
    CosignKeys,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy {path} cannot be read: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the policy {path} has more than {LIMIT} bytes", path = path.display())]
    TooLarge { path: PathBuf },
    #[error("{path} is no policy: {source}", path = path.display())]
    Json { path: PathBuf, source: serde_json::Error },
}

impl PolicyError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = "containers-policy.json(5) describes what may stand there; skopeo and podman refuse this file, too";
        matches!(self, Self::Json { .. }).then(|| text.to_owned())
    }
}

/// The part of a policy that applies to an image.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    pub policy: &'a Policy,
    /// `None`: no scope of its transport, but the policy's default.
    pub scope: Option<&'a str>,
    /// At least one; an image has to fulfil all.
    pub requirements: &'a [Requirement],
}

impl Policy {
    /// The file that was `given`, else that which `CONTAINERS_POLICY_JSON` names, else the user's, else the system's; `None`
    /// when there is none.
    pub fn find(given: Option<&Path>) -> Result<Option<Self>, PolicyError> {
        let named = given.map(Path::to_owned).or_else(|| env::var_os("CONTAINERS_POLICY_JSON").map(PathBuf::from));
        if let Some(path) = named {
            return Self::load(&path).map(Some);
        }
        let home = env::var_os("HOME").map(|home| Path::new(&home).join(".config/containers/policy.json"));
        let system = ["/etc/containers/policy.json", "/usr/share/containers/policy.json"].map(PathBuf::from);
        let found = home.into_iter().chain(system).find(|path| path.exists());
        found.map(|path| Self::load(&path)).transpose()
    }

    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let failed = |source| PolicyError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(failed)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LIMIT {
            return Err(PolicyError::TooLarge { path: path.to_owned() });
        }
        Self::parse(path, &bytes)
    }

    /// What stands in the file `path`, which need not be one of this machine.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, PolicyError> {
        let Object(document) =
            serde_json::from_slice(bytes).map_err(|source| PolicyError::Json { path: path.to_owned(), source })?;
        Ok(Self { origin: Origin::File(path.to_owned()), document })
    }

    /// A cosign signature by one of these keys, for any image: over its manifest, or over the index that led to it, because
    /// that is what `cosign sign` signs. cosign itself compares no names. Here the repository that was signed has to be the one
    /// that is read, for a key signs many images, and a registry could serve another of them; a `dir:`, which has no name, is
    /// taken by its digest alone.
    pub fn of_cosign_keys(paths: &[PathBuf]) -> Result<Self, TrustError> {
        Ok(Self::of_keys(paths.iter().map(|path| Spki::read(path)).collect::<Result<_, _>>()?))
    }

    /// As without a key: it takes no image, and looks for signatures where cosign keeps them.
    pub fn without_keys() -> Self {
        Self::of_keys(Vec::new())
    }

    fn of_keys(keys: Vec<Spki>) -> Self {
        let default = Requirements(vec![Requirement::CosignKeys(keys)]);
        Self { origin: Origin::CosignKeys, document: Document { default, transports: BTreeMap::new() } }
    }

    /// Whether the default is nothing but `insecureAcceptAnything`, which is what refuses `ostree-image-signed:` to clients.
    pub fn accepts_anything(&self) -> bool {
        matches!(self.document.default.0.as_slice(), [Requirement::InsecureAcceptAnything])
    }

    /// What keeps a machine with this policy from every image of that name, signed or not; `is_there` tells whether it has a file.
    pub fn obstacle(&self, identity: &Identity, is_there: &dyn Fn(&Path) -> bool) -> Option<String> {
        if self.accepts_anything() {
            return Some("accepts anything".to_owned());
        }
        self.rule(identity).requirements.iter().find_map(|requirement| match requirement {
            Requirement::Reject => Some(format!("rejects {identity}")),
            Requirement::SignedBy { keys, .. } | Requirement::SigstoreSigned { keys, .. } => {
                let lacking = keys.files().iter().find(|path| !is_there(path))?;
                Some(format!("asks for the key {}, which it does not have", lacking.display()))
            }
            _ => None,
        })
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The most specific scope decides alone.
    pub(super) fn rule(&self, identity: &Identity) -> Rule<'_> {
        let found = self.document.transports.get(identity.transport()).and_then(|scopes| {
            let mut wanted = identity.scopes().iter().map(String::as_str).chain([""]);
            wanted.find_map(|scope| scopes.get_key_value(scope))
        });
        let (scope, requirements) = match found {
            Some((scope, requirements)) => (Some(scope.as_str()), requirements),
            None => (None, &self.document.default),
        };
        Rule { policy: self, scope, requirements: &requirements.0 }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path) => write!(f, "the policy {}", path.display()),
            Origin::CosignKeys => write!(f, "--cosign-key"),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    default: Requirements,
    #[serde(default, deserialize_with = "transports")]
    transports: BTreeMap<String, BTreeMap<String, Requirements>>,
}

/// An empty list would ask for nothing, and is an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<Requirement>")]
struct Requirements(Vec<Requirement>);

impl TryFrom<Vec<Requirement>> for Requirements {
    type Error = String;

    fn try_from(requirements: Vec<Requirement>) -> Result<Self, String> {
        if requirements.is_empty() { Err("a list of requirements is empty".to_owned()) } else { Ok(Self(requirements)) }
    }
}

fn transports<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, BTreeMap<String, Requirements>>, D::Error> {
    let transports: Unique<Unique<Requirements>> = Unique::deserialize(deserializer)?;
    for (transport, scopes) in &transports.0 {
        for scope in scopes.0.keys() {
            identity::refuse_scope(transport, scope)
                .map_err(|why| D::Error::custom(format!("`{scope}` is no scope of `{transport}`: {why}")))?;
        }
    }
    Ok(transports.0.into_iter().map(|(transport, scopes)| (transport, scopes.0)).collect())
}
