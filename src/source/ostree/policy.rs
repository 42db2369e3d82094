//! Which commits are taken: signed by whom, for which ref, from when on.

use serde::Serialize;

use super::{Error, Found, Repository, Result};
use crate::ostree::{Commit, Signatures};
use crate::trust::{self, Keys, SignatureFact, Status};

/// What the user asks of a commit.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub keys: Keys,
    /// `--no-verify`.
    pub unverified: bool,
    /// Seconds since 1970; an older commit is refused.
    pub not_before: Option<i64>,
    /// The collection that the commit has to be bound to.
    pub collection: Option<String>,
    /// Seconds since 1970: when keys are looked at.
    pub now: i64,
}

/// What was found out about a commit's signatures.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    pub verified: bool,
    pub signatures: Vec<SignatureFact>,
    /// What its owner should know.
    #[serde(skip)]
    pub warning: Option<String>,
}

impl Policy {
    /// Compares a commit with what was asked of it; `detached` are the bytes of its `.commitmeta`.
    pub fn check(
        &self,
        repository: &dyn Repository,
        found: &Found,
        bytes: &[u8],
        commit: &Commit,
        detached: Option<&[u8]>,
    ) -> Result<Verification> {
        self.check_summary(repository)?;
        let signatures = self.examine(bytes, detached, "the commit")?;
        let trusted = trust::decide(&self.keys, &signatures);
        let asked = !self.keys.is_empty();
        match &trusted {
            _ if self.unverified => {}
            Err(reason) => return Err(Error::Untrusted { commit: found.commit, reason: reason.clone() }),
            Ok(()) if !asked && repository.must_be_signed() => {
                return Err(Error::NoKeys { commit: found.commit, signers: signers(&signatures) });
            }
            Ok(()) => {}
        }
        self.check_bindings(found, commit)?;
        self.check_time(commit)?;
        let verified = asked && trusted.is_ok();
        let reason = trusted.err().map_or_else(|| "no key was given".to_owned(), |reason| reason.to_string());
        let warning = (!verified).then(|| format!("THE COMMIT IS NOT VERIFIED: {reason}"));
        Ok(Verification { verified, signatures, warning })
    }

    fn examine(&self, bytes: &[u8], detached: Option<&[u8]>, what: &'static str) -> Result<Vec<SignatureFact>> {
        let signatures = Signatures::parse(detached.unwrap_or_default());
        let Signatures { gpg, ed25519, spki } = signatures.map_err(|source| Error::Signatures { what, source })?;
        let signatures = trust::Signatures { gpg: &gpg, ed25519: &ed25519, spki: &spki };
        Ok(trust::examine(&self.keys, bytes, signatures, self.now))
    }

    /// A summary need not be signed, since the commit is. A signature by a key that is trusted has to be over it, though: else
    /// it is an old one beside a new summary, or somebody changed the summary.
    fn check_summary(&self, repository: &dyn Repository) -> Result<()> {
        let Some(summary) = repository.summary().filter(|_| !self.unverified) else { return Ok(()) };
        let facts = self.examine(&summary.bytes, summary.signature.as_deref(), "the summary")?;
        let good = facts.iter().any(|fact| fact.status == Status::Good);
        match facts.into_iter().find(|fact| fact.status == Status::Bad) {
            Some(fact) if !good => {
                Err(Error::SummarySignature { location: repository.describe(), fact: Box::new(fact) })
            }
            _ => Ok(()),
        }
    }

    /// A commit says which refs it was made for: a server cannot answer one ref with another's commit.
    fn check_bindings(&self, found: &Found, commit: &Commit) -> Result<()> {
        let bound = commit.strings("ostree.ref-binding");
        if let (Some(name), Some(bound)) = (&found.name, &bound)
            && !bound.contains(&name.as_str())
        {
            let bound = bound.iter().map(|&name| name.to_owned()).collect();
            return Err(Error::RefBinding { name: name.clone(), bound });
        }
        let Some(wanted) = &self.collection else { return Ok(()) };
        if bound.is_none() {
            return Err(Error::NoRefBinding { collection: wanted.clone() });
        }
        match commit.string("ostree.collection-binding") {
            Some(bound) if bound == wanted => Ok(()),
            bound => {
                let bound = bound.map(str::to_owned);
                Err(Error::CollectionBinding { wanted: wanted.clone(), bound })
            }
        }
    }

    fn check_time(&self, commit: &Commit) -> Result<()> {
        match self.not_before {
            Some(limit) if commit.timestamp < limit => Err(Error::TooOld { made: commit.timestamp, limit }),
            _ => Ok(()),
        }
    }
}

fn signers(facts: &[SignatureFact]) -> Vec<String> {
    facts.iter().map(|fact| fact.signer.to_string()).collect()
}
