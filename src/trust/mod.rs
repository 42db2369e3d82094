//! Who signed a file: OpenPGP signatures, detached or as signed messages, and the bare ed25519 and SPKI ones of libostree
//! (`ostree-gpg-verifier.c`, `ostree-sign-ed25519.c`, `ostree-sign-spki.c`).
//!
//! Keys and signatures come in as bytes. Where signatures are kept, and what becomes of a file that has none, is not known here.

mod certificate;
mod keys;
mod message;
mod openpgp;
mod public_key;
mod verdict;

pub use keys::{Keys, TrustError};
pub use message::{MessageError, examine_message};
pub use public_key::Spki;
pub use verdict::{Distrust, SignatureFact, Signer, Status, decide};

/// Signatures over one file, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signatures<'a> {
    /// Each one or more OpenPGP signature packets, binary.
    pub gpg: &'a [Vec<u8>],
    pub ed25519: &'a [Vec<u8>],
    pub spki: &'a [Vec<u8>],
}

/// What every signature is worth at the time `now`, in seconds since 1970.
pub fn examine(keys: &Keys, signed: &[u8], signatures: Signatures<'_>, now: i64) -> Vec<SignatureFact> {
    let gpg = signatures.gpg.iter().flat_map(|packets| openpgp::examine(&keys.gpg, signed, packets, now));
    let ed25519 = signatures.ed25519.iter().map(|signature| public_key::ed25519(&keys.ed25519, signed, signature));
    let spki = signatures.spki.iter().map(|signature| public_key::spki(&keys.spki, signed, signature));
    gpg.chain(ed25519).chain(spki).collect()
}
