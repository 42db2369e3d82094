//! Why an image may be used, or why not and what to do about it.

use std::fmt;

use serde::Serialize;

use super::identity::Identity;
use super::policy::Rule;
use super::requirement::Requirement;
use super::signatures::SignaturesError;
use crate::digest::Digest;
use crate::trust::{SignatureFact, Signer, TrustError};

/// An image that fulfils its policy. Serialized it names no file of the build host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Which policy said so, and which part of it.
    #[serde(skip)]
    pub rule: String,
    /// One for each requirement.
    pub proofs: Vec<Proof>,
}

/// What fulfils a requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "requirement", rename_all = "camelCase", rename_all_fields = "kebab-case")]
pub enum Proof {
    /// `insecureAcceptAnything`.
    #[serde(rename = "insecureAcceptAnything")]
    WithoutSignature,
    /// An OpenPGP signature.
    SignedBy { signer: Signer, signed_as: String },
    /// A cosign signature by the key with this fingerprint.
    SigstoreSigned { key: String, signed_as: String },
}

impl Accepted {
    /// Whether somebody signed it.
    pub fn is_signed(&self) -> bool {
        self.proofs.iter().any(|proof| *proof != Proof::WithoutSignature)
    }
}

/// An image that does not.
#[derive(Debug, thiserror::Error)]
#[error("{image} may not be used: {why} ({rule}, {requirement})")]
pub struct Refused {
    image: String,
    rule: String,
    requirement: &'static str,
    why: Why,
    transport: &'static str,
    advice: Option<String>,
}

/// What is missing.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error("the policy rejects it")]
    Rejected,
    #[error("{0}")]
    Unsupported(&'static str),
    #[error("it is not signed: no signature was found in {places}{others}", others = others_text(*others))]
    Unsigned {
        places: String,
        /// Signatures of a kind that the requirement is not about.
        others: usize,
    },
    #[error("{}", flaws_text(.0))]
    Flawed(Vec<Flaw>),
    #[error("{0}")]
    Keys(#[from] TrustError),
    #[error("{0}")]
    Signatures(#[from] SignaturesError),
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error("{0}")]
    NotGood(Box<SignatureFact>),
    #[error("the signature is by another key than {keys}", keys = .tried.join(", "))]
    WrongKey {
        /// Fingerprints.
        tried: Vec<String>,
    },
    #[error("the signature is for another image, {signed}; this one is {found}")]
    OtherImage { signed: String, found: Digest },
    #[error("the signature is for the name `{signed}`{asked}", asked = asked_text(.wanted))]
    OtherName { signed: String, wanted: Option<String> },
    #[error("the signature cannot be read: {why}")]
    Malformed { why: String },
    #[error("the signature is a sigstore bundle, which is not supported")]
    Bundle,
}

fn others_text(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", but for one of another kind".to_owned(),
        _ => format!(", but for {others} of another kind"),
    }
}

fn asked_text(wanted: &Option<String>) -> String {
    match wanted {
        Some(wanted) => format!(", and `{wanted}` is asked for"),
        None => ", and the image that is asked for has none".to_owned(),
    }
}

/// All of them up to a handful.
fn flaws_text(flaws: &[Flaw]) -> String {
    const SHOWN: usize = 5;
    if let [flaw] = flaws {
        return flaw.to_string();
    }
    let each: Vec<_> =
        flaws.iter().take(SHOWN).enumerate().map(|(index, flaw)| format!("{}. {flaw}", index + 1)).collect();
    format!("none of its {} signatures counts: {}", flaws.len(), each.join("; "))
}

impl Refused {
    pub(super) fn new(
        identity: &Identity,
        rule: &Rule<'_>,
        requirement: &Requirement,
        why: Why,
        advice: Option<String>,
    ) -> Self {
        let (image, rule) = (identity.to_string(), rule.to_string());
        Self { image, rule, requirement: requirement.name(), why, transport: identity.transport(), advice }
    }

    pub fn why(&self) -> &Why {
        &self.why
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match &self.why {
            Why::Rejected => Some(format!(
                "give the image a scope below `transports.{}` in the policy, or take another policy with --policy",
                self.transport
            )),
            Why::Unsupported(_) => Some("a requirement with keyPath names the key of the signature itself".to_owned()),
            Why::Unsigned { .. } => self.advice.clone(),
            Why::Flawed(flaws) => flaws.iter().find_map(Flaw::hint),
            Why::Keys(_) | Why::Signatures(_) => None,
        }
    }
}

impl Flaw {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::WrongKey { .. } => "was it signed again with a new key? Every key that counts has to be given",
            Self::OtherImage { .. } => "a signature holds for one manifest: sign the image that is there now",
            Self::OtherName { wanted: None, .. } => {
                "an image without a name needs `exactReference` or `exactRepository` as signedIdentity"
            }
            Self::OtherName { .. } => {
                "in a policy, `matchRepository` as signedIdentity takes every tag of the repository (cosign signs none), and \
                 `remapIdentity` or `exactRepository` the images of a mirror"
            }
            Self::Bundle => "cosign 3 signs in the older form with --new-bundle-format=false",
            Self::NotGood(_) | Self::Malformed { .. } => return None,
        };
        Some(text.to_owned())
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Some("") => write!(f, "{}, default of the transport", self.policy),
            Some(scope) => write!(f, "{}, scope {scope}", self.policy),
            None => write!(f, "{}", self.policy),
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutSignature => write!(f, "accepted without a signature"),
            Self::SignedBy { signer, signed_as } => write!(f, "signed by {signer} as {signed_as}"),
            Self::SigstoreSigned { key, signed_as } => write!(f, "signed by key {key} as {signed_as}"),
        }
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proofs: Vec<_> = self.proofs.iter().map(Proof::to_string).collect();
        write!(f, "{} ({})", proofs.join(", "), self.rule)
    }
}
