//! Whether an image fulfils what the policy asks of it.

use std::path::Path;

use base64ct::{Base64, Encoding};

use super::identity::Identity;
use super::payload::{self, Payload};
use super::policy::Policy;
use super::requirement::{KeySource, Requirement};
use super::signature::{self, Signature, Sigstore};
use super::signatures::Signatures;
use super::verdict::{Accepted, Flaw, Proof, Refused, Why};
use crate::digest::Digest;
use crate::image_ref::Reference;
use crate::trust::{self, Keys, Spki, Status};

/// What is to be used.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    pub identity: &'a Identity,
    /// The manifest of the image itself, byte for byte.
    pub manifest: &'a [u8],
    /// The index that names the manifest, where there is one. Policies are about the manifest alone; a key of
    /// [`Policy::of_cosign_keys`] may have signed this instead.
    pub index: Option<&'a [u8]>,
}

/// Decides at the time `now`, in seconds since 1970. Signatures are asked for only where the policy wants some.
pub fn admit(
    policy: &Policy,
    image: Image<'_>,
    signatures: &dyn Signatures,
    now: i64,
) -> Result<Accepted, Box<Refused>> {
    let rule = policy.rule(image.identity);
    let hearing = Hearing { image, signatures, now };
    let mut proofs = Vec::new();
    for requirement in rule.requirements {
        let refused = |why| Refused::new(image.identity, &rule, requirement, why, signatures.advice());
        proofs.push(hearing.proof(requirement).map_err(|why| Box::new(refused(why)))?);
    }
    Ok(Accepted { rule: rule.to_string(), proofs })
}

/// An image, and where its witnesses are.
struct Hearing<'a> {
    image: Image<'a>,
    signatures: &'a dyn Signatures,
    now: i64,
}

/// A signature, and the digest under which it was found.
type Found = (Digest, Signature);

impl Hearing<'_> {
    fn proof(&self, requirement: &Requirement) -> Result<Proof, Why> {
        let wanted = self.image.identity.reference();
        match requirement {
            Requirement::InsecureAcceptAnything => Ok(Proof::WithoutSignature),
            Requirement::Reject => Err(Why::Rejected),
            Requirement::Unsupported { what, .. } => Err(Why::Unsupported(what)),
            Requirement::SignedBy { keys, identity } => {
                let keys = keys.certificates()?;
                self.first_good(self.of_manifest()?, |(digest, signature)| match signature {
                    Signature::Simple(message) => Some(self.simple(&keys, message).and_then(|(payload, proof)| {
                        check(&payload, digest, |signed| identity.admits(wanted, signed), wanted).map(|()| proof)
                    })),
                    Signature::Sigstore(_) => None,
                })
            }
            Requirement::SigstoreSigned { keys, identity } => {
                let keys = keys.public_keys()?;
                let admits = |signed: &Reference| identity.admits(wanted, signed);
                self.first_good(self.of_manifest()?, |found| sigstore(found, &keys, admits, wanted))
            }
            Requirement::CosignKeys(keys) => {
                let admits = |signed: &Reference| wanted.is_none_or(|wanted| wanted.name() == signed.name());
                self.first_good(self.of_manifest_and_index()?, |found| sigstore(found, keys, admits, wanted))
            }
        }
    }

    fn of_manifest(&self) -> Result<Vec<Found>, Why> {
        self.of(self.image.manifest)
    }

    fn of_manifest_and_index(&self) -> Result<Vec<Found>, Why> {
        let mut found = self.of_manifest()?;
        if let Some(index) = self.image.index {
            found.extend(self.of(index)?);
        }
        Ok(found)
    }

    fn of(&self, document: &[u8]) -> Result<Vec<Found>, Why> {
        let digest = Digest::of(document);
        Ok(self.signatures.of(&digest)?.into_iter().map(|signature| (digest, signature)).collect())
    }

    /// One accepted signature is enough; `judge` has no opinion on signatures of another kind.
    fn first_good(
        &self,
        found: Vec<Found>,
        judge: impl Fn(&Found) -> Option<Result<Proof, Flaw>>,
    ) -> Result<Proof, Why> {
        let mut flaws = Vec::new();
        for verdict in found.iter().filter_map(judge) {
            match verdict {
                Ok(proof) => return Ok(proof),
                Err(flaw) => flaws.push(flaw),
            }
        }
        let others = found.len() - flaws.len();
        if flaws.is_empty() {
            Err(Why::Unsigned { places: self.signatures.places(), others })
        } else {
            Err(Why::Flawed(flaws))
        }
    }

    fn simple(&self, keys: &Keys, message: &[u8]) -> Result<(Payload, Proof), Flaw> {
        let (signed, fact) = trust::examine_message(keys, message, signature::LIMIT, self.now)
            .map_err(|error| Flaw::Malformed { why: error.to_string() })?;
        if fact.status != Status::Good {
            return Err(Flaw::NotGood(Box::new(fact)));
        }
        let payload = parse(&signed, payload::SIMPLE)?;
        let proof = Proof::SignedBy { signer: fact.signer, signed_as: payload.name().to_owned() };
        Ok((payload, proof))
    }
}

/// Judges a cosign signature; attachments that are none have no say, but for bundles, which are signatures that are not read.
fn sigstore(
    (digest, signature): &Found,
    keys: &[Spki],
    admits: impl Fn(&Reference) -> bool,
    wanted: Option<&Reference>,
) -> Option<Result<Proof, Flaw>> {
    let Signature::Sigstore(Sigstore { media_type, payload, annotations }) = signature else { return None };
    if media_type.starts_with(signature::BUNDLE) {
        return Some(Err(Flaw::Bundle));
    }
    if media_type != signature::PAYLOAD {
        return None;
    }
    let judge = || {
        let malformed = |why: &str| Flaw::Malformed { why: why.to_owned() };
        let text = annotations.get(signature::SIGNATURE).ok_or_else(|| malformed("it has a payload alone"))?;
        let bytes = Base64::decode_vec(text).map_err(|_| malformed("it is not base64"))?;
        let good = keys.iter().find(|key| key.verifies(payload, &bytes));
        let key = good.ok_or_else(|| Flaw::WrongKey { tried: keys.iter().map(Spki::fingerprint).collect() })?;
        let payload = parse(payload, payload::COSIGN)?;
        check(&payload, digest, &admits, wanted)?;
        Ok(Proof::SigstoreSigned { key: key.fingerprint(), signed_as: payload.name().to_owned() })
    };
    Some(judge())
}

fn parse(payload: &[u8], kind: &str) -> Result<Payload, Flaw> {
    Payload::parse(payload, kind).map_err(|error| Flaw::Malformed { why: error.to_string() })
}

/// What was signed has to be this manifest, under a name that the policy takes for it.
fn check(
    payload: &Payload,
    digest: &Digest,
    admits: impl Fn(&Reference) -> bool,
    wanted: Option<&Reference>,
) -> Result<(), Flaw> {
    if payload.digest() != digest.to_string() {
        return Err(Flaw::OtherImage { signed: payload.digest().to_owned(), found: *digest });
    }
    if !payload.reference().as_ref().is_some_and(admits) {
        let wanted = wanted.map(Reference::to_string);
        return Err(Flaw::OtherName { signed: payload.name().to_owned(), wanted });
    }
    Ok(())
}

/// Stands for a file in errors.
const IN_POLICY: &str = "the key data in the policy";

impl KeySource {
    /// Of signedBy: keyrings.
    fn certificates(&self) -> Result<Keys, Why> {
        match self {
            Self::Files(paths) => Ok(Keys::read(paths, &[])?),
            Self::Data(rings) => Ok(Keys::of_certificates(IN_POLICY, &rings.concat())?),
        }
    }

    /// Of sigstoreSigned: a key in each.
    fn public_keys(&self) -> Result<Vec<Spki>, Why> {
        let keys: Result<Vec<_>, _> = match self {
            Self::Files(paths) => paths.iter().map(|path| Spki::read(path)).collect(),
            Self::Data(keys) => keys.iter().map(|key| Spki::of_pem(Path::new(IN_POLICY), key)).collect(),
        };
        Ok(keys?)
    }
}
