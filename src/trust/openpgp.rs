//! Detached OpenPGP signatures (RFC 9580 §5.2).

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, VerifyingKey};

use super::{SignatureFact, Signer, Status, certificate};

/// What each packet is worth. Bytes that are no signatures give one fact that says so.
pub fn examine(keys: &[SignedPublicKey], signed: &[u8], packets: &[u8], now: i64) -> Vec<SignatureFact> {
    let malformed = |error: pgp::errors::Error| SignatureFact {
        kind: "gpg",
        signer: Signer::default(),
        made: None,
        status: Status::Malformed { why: error.to_string() },
    };
    let signatures = match DetachedSignature::from_bytes_many(packets) {
        Ok(signatures) => signatures,
        Err(error) => return vec![malformed(error)],
    };
    signatures
        .map(|signature| signature.map_or_else(malformed, |found| fact(keys, signed, &found.signature, now)))
        .collect()
}

/// What one signature over `signed` is worth.
pub fn fact(keys: &[SignedPublicKey], signed: &[u8], signature: &Signature, now: i64) -> SignatureFact {
    let made = signature.created().map(|time| i64::from(time.as_secs()));
    let (signer, status) =
        keys.iter().find_map(|key| by_certificate(key, signed, signature, now)).unwrap_or_else(|| {
            let signer = Signer { key: issuer(signature), user: None };
            (signer, Status::UnknownKey)
        });
    SignatureFact { kind: "gpg", signer, made, status }
}

/// The fingerprint, else the key id, that the signature itself names.
fn issuer(signature: &Signature) -> Option<String> {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    fingerprint.or_else(|| signature.issuer_key_id().first().map(|id| id.to_string().to_uppercase()))
}

/// `None`: the signature is of none of the certificate's keys.
fn by_certificate(
    certificate: &SignedPublicKey,
    signed: &[u8],
    signature: &Signature,
    now: i64,
) -> Option<(Signer, Status)> {
    let user = certificate.details.users.first().map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
    let signer = |key: &dyn KeyDetails| Signer { key: Some(format!("{:X}", key.fingerprint())), user };
    let primary = &certificate.primary_key;
    if is_issuer(signature, primary) {
        let status = status(primary, signed, signature, || certificate::primary_key(certificate, now), now);
        return Some((signer(primary), status));
    }
    let subkey = certificate.public_subkeys.iter().find(|subkey| is_issuer(signature, &subkey.key))?;
    let usable = || certificate::subkey(certificate, subkey, now);
    Some((signer(&subkey.key), status(&subkey.key, signed, signature, usable, now)))
}

fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let (id, fingerprint) = (key.legacy_key_id(), key.fingerprint());
    signature.issuer_fingerprint().contains(&&fingerprint) || signature.issuer_key_id().contains(&&id)
}

/// What the bytes say comes before what the key is worth.
fn status(
    key: &impl VerifyingKey,
    signed: &[u8],
    signature: &Signature,
    obstacle: impl FnOnce() -> Option<Status>,
    now: i64,
) -> Status {
    // Signatures of other types cover a key, or no more than a document's first byte.
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Status::Malformed { why: "it is not over a document".to_owned() };
    }
    match signature.hash_alg() {
        Some(weak @ (HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)) => {
            return Status::Weak { why: format!("its hash is {weak}") };
        }
        _ if signature.verify(key, signed).is_err() => return Status::Bad,
        _ => {}
    }
    if let Some(obstacle) = obstacle() {
        return obstacle;
    }
    match expired(signature).filter(|&since| since <= now) {
        Some(since) => Status::ExpiredSignature { since },
        None => Status::Good,
    }
}

fn expired(signature: &Signature) -> Option<i64> {
    let lifetime = signature.signature_expiration_time().map(|time| time.as_secs()).filter(|&seconds| seconds > 0)?;
    Some(i64::from(signature.created()?.as_secs()) + i64::from(lifetime))
}
