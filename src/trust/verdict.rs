//! What signatures are worth, one by one and together.

use std::fmt;

use serde::Serialize;

use super::Keys;

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignatureFact {
    /// `gpg`, `ed25519` or `spki`.
    pub kind: &'static str,
    pub signer: Signer,
    /// Seconds since 1970, where the signature says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<i64>,
    pub status: Status,
}

/// Who made it, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// Key id, fingerprint or the key itself, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// What a signature is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Status {
    Good,
    /// None of the keys given made it.
    UnknownKey,
    /// It is over other bytes.
    Bad,
    /// Seconds since 1970.
    ExpiredKey {
        since: i64,
    },
    RevokedKey,
    ExpiredSignature {
        since: i64,
    },
    Weak {
        why: String,
    },
    /// The key may not sign, or nothing says that it may.
    NotForSigning,
    Malformed {
        why: String,
    },
}

/// Why signed bytes are not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("it is not signed")]
    Unsigned,
    #[error("it has no {kind} signature, only others")]
    NotOfKind { kind: &'static str },
    #[error("{0}")]
    NotGood(Box<SignatureFact>),
}

/// Asks for a good signature of each kind that there are keys for, as libostree does where both kinds are switched on.
pub fn decide(keys: &Keys, facts: &[SignatureFact]) -> Result<(), Distrust> {
    if keys.has_gpg() {
        one_good(facts, "GPG", |kind| kind == "gpg")?;
    }
    if keys.has_sign() {
        one_good(facts, "ed25519 or SPKI", |kind| kind != "gpg")?;
    }
    Ok(())
}

fn one_good(facts: &[SignatureFact], kind: &'static str, of_kind: impl Fn(&str) -> bool) -> Result<(), Distrust> {
    let asked: Vec<_> = facts.iter().filter(|fact| of_kind(fact.kind)).collect();
    if asked.iter().any(|fact| fact.status == Status::Good) {
        return Ok(());
    }
    // A key that was given says more than one that was not.
    let telling = asked.iter().min_by_key(|fact| fact.status == Status::UnknownKey);
    match telling {
        Some(fact) => Err(Distrust::NotGood(Box::new((*fact).clone()))),
        None if facts.is_empty() => Err(Distrust::Unsigned),
        None => Err(Distrust::NotOfKind { kind }),
    }
}

impl fmt::Display for SignatureFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            "gpg" => "GPG",
            "spki" => "SPKI",
            other => other,
        };
        write!(f, "the {kind} signature by {} ", self.signer)?;
        match &self.status {
            Status::Good => write!(f, "is good"),
            Status::UnknownKey => write!(f, "is of none of the keys given"),
            Status::Bad => write!(f, "is not over these bytes"),
            Status::ExpiredKey { since } => write!(f, "is of a key that expired on {}", date(*since)),
            Status::RevokedKey => write!(f, "is of a key that was revoked"),
            Status::ExpiredSignature { since } => write!(f, "expired on {}", date(*since)),
            Status::Weak { why } => write!(f, "is too weak: {why}"),
            Status::NotForSigning => write!(f, "is of a key that may not sign"),
            Status::Malformed { why } => write!(f, "cannot be read: {why}"),
        }
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.user, &self.key) {
            (Some(user), Some(key)) => write!(f, "{user} ({key})"),
            (None, Some(key)) => f.write_str(key),
            (Some(user), None) => f.write_str(user),
            (None, None) => f.write_str("an unknown key"),
        }
    }
}

/// The day, UTC.
fn date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}
