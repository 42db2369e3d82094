//! What a policy asks of an image (containers-policy.json(5), "Policy Requirements"). A key that is not known is an error.

use std::path::PathBuf;

use base64ct::{Base64, Encoding};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::json::{object, present};
use super::signed_identity::SignedIdentity;
use crate::trust::Spki;

#[derive(Clone, Debug)]
pub enum Requirement {
    InsecureAcceptAnything,
    Reject,
    /// GPG simple signing.
    SignedBy {
        keys: KeySource,
        identity: SignedIdentity,
    },
    /// A cosign signature by key.
    SigstoreSigned {
        keys: KeySource,
        identity: SignedIdentity,
    },
    /// As [`Self::SigstoreSigned`], from the command line; no policy file says it.
    CosignKeys(Vec<Spki>),
    /// It is valid, and no image can fulfil it here.
    Unsupported {
        requirement: &'static str,
        what: &'static str,
    },
}

/// Where keys are; files are read when an image needs them.
#[derive(Clone, Debug)]
pub enum KeySource {
    Files(Vec<PathBuf>),
    /// Each the content of a file.
    Data(Vec<Vec<u8>>),
}

impl KeySource {
    /// The files that it names.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::Files(paths) => paths,
            Self::Data(_) => &[],
        }
    }
}

impl Requirement {
    /// As a policy writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InsecureAcceptAnything => "insecureAcceptAnything",
            Self::Reject => "reject",
            Self::SignedBy { .. } => "signedBy",
            Self::SigstoreSigned { .. } | Self::CosignKeys(_) => "sigstoreSigned",
            Self::Unsupported { requirement, .. } => requirement,
        }
    }
}

/// A requirement as it stands in the file. The empty braces are there because unit variants would take any key.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Written {
    InsecureAcceptAnything {},
    Reject {},
    SignedBy {
        key_type: KeyType,
        #[serde(default, deserialize_with = "present")]
        key_path: Option<PathBuf>,
        #[serde(default, deserialize_with = "present")]
        key_paths: Option<Vec<PathBuf>>,
        #[serde(default, deserialize_with = "present")]
        key_data: Option<Data>,
        #[serde(default, deserialize_with = "object")]
        signed_identity: SignedIdentity,
    },
    SignedBaseLayer {
        #[serde(rename = "baseLayerIdentity", deserialize_with = "object")]
        _base_layer_identity: SignedIdentity,
    },
    SigstoreSigned {
        #[serde(default, deserialize_with = "present")]
        key_path: Option<PathBuf>,
        #[serde(default, deserialize_with = "present")]
        key_paths: Option<Vec<PathBuf>>,
        #[serde(default, deserialize_with = "present")]
        key_data: Option<Data>,
        #[serde(default, deserialize_with = "present")]
        key_datas: Option<Vec<Data>>,
        // What these hold is of no use here, where they are refused.
        fulcio: Option<IgnoredAny>,
        pki: Option<IgnoredAny>,
        rekor_public_key_path: Option<IgnoredAny>,
        rekor_public_key_paths: Option<IgnoredAny>,
        rekor_public_key_data: Option<IgnoredAny>,
        rekor_public_key_datas: Option<IgnoredAny>,
        #[serde(default, deserialize_with = "object")]
        signed_identity: SignedIdentity,
    },
}

#[derive(Deserialize)]
enum KeyType {
    #[serde(rename = "GPGKeys")]
    GpgKeys,
    #[serde(rename = "signedByGPGKeys", alias = "X509Certificates", alias = "signedByX509CAs")]
    Reserved,
}

impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object::<Written, D>(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl TryFrom<Written> for Requirement {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::InsecureAcceptAnything {} => Ok(Self::InsecureAcceptAnything),
            Written::Reject {} => Ok(Self::Reject),
            Written::SignedBaseLayer { .. } => {
                Ok(Self::Unsupported { requirement: "signedBaseLayer", what: "signedBaseLayer was never specified" })
            }
            Written::SignedBy { key_type, key_path, key_paths, key_data, signed_identity: identity } => {
                let keys = one_source([files(key_path), key_paths.map(KeySource::Files), data(key_data)])?
                    .ok_or("signedBy needs one of keyPath, keyPaths and keyData")?;
                Ok(match key_type {
                    KeyType::GpgKeys => Self::SignedBy { keys, identity },
                    KeyType::Reserved => {
                        Self::Unsupported { requirement: "signedBy", what: "no keyType but GPGKeys is supported" }
                    }
                })
            }
            Written::SigstoreSigned {
                key_path,
                key_paths,
                key_data,
                key_datas,
                fulcio,
                pki,
                rekor_public_key_path,
                rekor_public_key_paths,
                rekor_public_key_data,
                rekor_public_key_datas,
                signed_identity: identity,
            } => {
                let key_datas = key_datas.map(|datas| KeySource::Data(datas.into_iter().map(|data| data.0).collect()));
                let keys = one_source([files(key_path), key_paths.map(KeySource::Files), data(key_data), key_datas])?;
                let rekor =
                    [rekor_public_key_path, rekor_public_key_paths, rekor_public_key_data, rekor_public_key_datas];
                let unsupported = |what| Ok(Self::Unsupported { requirement: "sigstoreSigned", what });
                match (keys, fulcio.or(pki)) {
                    (Some(keys), None) if rekor.iter().all(Option::is_none) => {
                        Ok(Self::SigstoreSigned { keys, identity })
                    }
                    (Some(_), None) => unsupported("entries of Rekor's log (rekorPublicKey…) are not verified"),
                    (None, Some(_)) => unsupported("only keys are supported, no certificates (fulcio, pki)"),
                    _ => {
                        Err("sigstoreSigned needs one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki"
                            .to_owned())
                    }
                }
            }
        }
    }
}

fn files(path: Option<PathBuf>) -> Option<KeySource> {
    path.map(|path| KeySource::Files(vec![path]))
}

fn data(data: Option<Data>) -> Option<KeySource> {
    data.map(|data| KeySource::Data(vec![data.0]))
}

/// The only one that is there, if any is; it may not be empty.
fn one_source<const N: usize>(sources: [Option<KeySource>; N]) -> Result<Option<KeySource>, &'static str> {
    let mut there = sources.into_iter().flatten();
    let first = there.next();
    if there.next().is_some() {
        return Err("a requirement names its keys in two ways");
    }
    let empty = match &first {
        Some(KeySource::Files(paths)) => paths.is_empty() || paths.iter().any(|path| path.as_os_str().is_empty()),
        Some(KeySource::Data(datas)) => datas.is_empty(),
        None => false,
    };
    if empty { Err("a requirement names no key") } else { Ok(first) }
}

/// Base64 in a string.
struct Data(Vec<u8>);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Base64::decode_vec(&text).map(Self).map_err(|_| D::Error::custom("the data of a key is not base64"))
    }
}
