//! Whether the keys of an OpenPGP certificate may sign at a time (RFC 9580 §10.1, §5.2.3).

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, PublicParams, Tag};

use super::Status;

/// Below this an RSA key counts as broken.
const RSA_BITS: u16 = 2048;

/// Why the primary key's signatures are not taken at the time `now`; `None` when they are.
pub fn primary_key(certificate: &SignedPublicKey, now: i64) -> Option<Status> {
    match standing(certificate, now) {
        Ok(newest) if !may_sign(newest, true) => Some(Status::NotForSigning),
        standing => standing.err(),
    }
}

/// The newest self-signature of a certificate that is neither revoked nor expired nor weak; without any it is nobody's.
fn standing(certificate: &SignedPublicKey, now: i64) -> Result<&Signature, Status> {
    let primary = &certificate.primary_key;
    if is_revoked(certificate) {
        return Err(Status::RevokedKey);
    }
    let newest = newest(self_signatures(certificate)).ok_or(Status::NotForSigning)?;
    if let Some(since) = expired(primary, newest, now) {
        return Err(Status::ExpiredKey { since });
    }
    weakness(primary.public_params()).map_or(Ok(newest), Err)
}

/// As [`primary_key`], of a subkey; it depends on the primary key in all but the right to sign.
pub fn subkey(certificate: &SignedPublicKey, subkey: &SignedPublicSubKey, now: i64) -> Option<Status> {
    if let Err(obstacle) = standing(certificate, now) {
        return Some(obstacle);
    }
    let primary = &certificate.primary_key;
    let valid =
        subkey.signatures.iter().filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok());
    let (revocations, bindings): (Vec<_>, Vec<_>) =
        valid.partition(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
    if !revocations.is_empty() {
        return Some(Status::RevokedKey);
    }
    let Some(newest) = newest(bindings.into_iter()) else { return Some(Status::NotForSigning) };
    if let Some(since) = expired(&subkey.key, newest, now) {
        return Some(Status::ExpiredKey { since });
    }
    // A signing subkey signs back: nobody else may claim it.
    let back = newest.embedded_signature();
    let signs_back = back.is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if !signs_back || !may_sign(newest, false) {
        return Some(Status::NotForSigning);
    }
    weakness(subkey.key.public_params())
}

fn is_revoked(certificate: &SignedPublicKey) -> bool {
    let primary = &certificate.primary_key;
    let mut revocations = certificate.details.revocation_signatures.iter();
    revocations.any(|signature| signature.verify_key(primary).is_ok())
}

/// Valid signatures of the key over itself and its users' names, but for names that were revoked.
fn self_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &certificate.primary_key;
    let direct = certificate.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let users = certificate.details.users.iter().flat_map(move |user| {
        let own = |signature: &&Signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        let valid: Vec<_> = user.signatures.iter().filter(own).collect();
        let revoked = valid.iter().any(|signature| signature.typ() == Some(SignatureType::CertRevocation));
        if revoked { Vec::new() } else { valid }
    });
    direct.chain(users)
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created())
}

/// Since when the key has expired, if it has. The time counts from the key's creation.
fn expired(key: &impl KeyDetails, binding: &Signature, now: i64) -> Option<i64> {
    let lifetime = binding.key_expiration_time().map(|lifetime| lifetime.as_secs()).filter(|&seconds| seconds > 0)?;
    let end = i64::from(key.created_at().as_secs()) + i64::from(lifetime);
    (end <= now).then_some(end)
}

/// A primary key without flags may do everything.
fn may_sign(binding: &Signature, without_flags: bool) -> bool {
    let flags = binding.key_flags();
    flags.sign() || without_flags && flags == pgp::packet::KeyFlags::default()
}

fn weakness(parameters: &PublicParams) -> Option<Status> {
    let why = match parameters {
        PublicParams::DSA(_) => "DSA".to_owned(),
        PublicParams::RSA(_) => match modulus_bits(parameters) {
            Some(bits) if bits < RSA_BITS => format!("RSA of {bits} bits, and {RSA_BITS} are the least"),
            _ => return None,
        },
        _ => return None,
    };
    Some(Status::Weak { why })
}

/// The first multiprecision integer of an RSA key is the modulus, behind the number of its bits (RFC 9580 §3.2).
fn modulus_bits(parameters: &PublicParams) -> Option<u16> {
    let bytes = parameters.to_bytes().ok()?;
    Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?))
}
