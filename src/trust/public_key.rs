//! Signatures by a bare public key: ed25519 (libostree's own), and any key of a SubjectPublicKeyInfo (RFC 5280).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64ct::{Base64, Base64Unpadded, Encoding};
use sha2::{Digest as _, Sha256};

use super::{SignatureFact, Signer, Status};

/// A public key with what it is for.
#[derive(Clone, Debug)]
pub struct Spki {
    pub der: Vec<u8>,
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Ed25519,
    Rsa,
    P256,
    P384,
    P521,
}

/// Object identifiers in DER, each with its tag and length (RFC 8410, RFC 8017, RFC 5480).
const IDENTIFIERS: [(&[u8], Algorithm); 5] = [
    (&[0x06, 0x03, 0x2b, 0x65, 0x70], Algorithm::Ed25519),
    (&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], Algorithm::Rsa),
    (&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], Algorithm::P256),
    (&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22], Algorithm::P384),
    (&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23], Algorithm::P521),
];
/// The identifiers stand in the first bytes.
const HEAD: usize = 40;

impl Spki {
    const EXPECTED: &str = "an Ed25519, RSA, P-256, P-384 or P-521 key is expected";

    /// `None`: the key is of a kind that is not known here.
    pub fn new(der: Vec<u8>) -> Option<Self> {
        let head = &der[..der.len().min(HEAD)];
        let has = |identifier: &[u8]| head.windows(identifier.len()).any(|bytes| bytes == identifier);
        let algorithm = IDENTIFIERS.iter().find(|(identifier, _)| has(identifier))?.1;
        Some(Self { der, algorithm })
    }

    /// The keys of all PEM blocks `PUBLIC KEY` (RFC 7468 §13), at least one; else what is wrong with the text.
    pub fn all_of_pem(text: &str) -> Result<Vec<Self>, &'static str> {
        let blocks = text.split("-----BEGIN PUBLIC KEY-----").skip(1);
        let keys: Vec<_> = blocks.map(Self::of_pem_block).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("it has no PEM block `PUBLIC KEY`") } else { Ok(keys) }
    }

    /// `block` is what follows the line that begins it.
    fn of_pem_block(block: &str) -> Result<Self, &'static str> {
        let body = block.split_once("-----END PUBLIC KEY-----").ok_or("its PEM has no end")?.0;
        let body: String = body.split_whitespace().collect();
        let der = Base64::decode_vec(&body).map_err(|_| "its PEM is not base64")?;
        Self::new(der).ok_or(Self::EXPECTED)
    }

    /// Whether `signature` is this key's, over `signed`.
    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.verification(), &self.der).verify(signed, signature).is_ok()
    }

    /// `SHA256:` and the digest of the SubjectPublicKeyInfo, written as OpenSSH writes its own.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&Sha256::digest(&self.der)))
    }

    /// As OpenSSL's EVP_DigestVerify with no digest named, which is what libostree calls.
    fn verification(&self) -> &'static dyn VerificationAlgorithm {
        match self.algorithm {
            Algorithm::Ed25519 => &ED25519,
            Algorithm::Rsa => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::P256 => &ECDSA_P256_SHA256_ASN1,
            Algorithm::P384 => &ECDSA_P384_SHA256_ASN1,
            Algorithm::P521 => &ECDSA_P521_SHA256_ASN1,
        }
    }
}

pub fn ed25519(keys: &[[u8; 32]], signed: &[u8], signature: &[u8]) -> SignatureFact {
    let good = |key: &&[u8; 32]| UnparsedPublicKey::new(&ED25519, key).verify(signed, signature).is_ok();
    fact("ed25519", keys.iter().find(good).map(|key| Base64::encode_string(key)), signature.len() == 64)
}

pub fn spki(keys: &[Spki], signed: &[u8], signature: &[u8]) -> SignatureFact {
    fact(
        "spki",
        keys.iter().find(|key| key.verifies(signed, signature)).map(|key| Base64::encode_string(&key.der)),
        true,
    )
}

/// Such a signature does not say whose it is: of other bytes and of another key look alike.
fn fact(kind: &'static str, key: Option<String>, well_formed: bool) -> SignatureFact {
    let status = match &key {
        Some(_) => Status::Good,
        None if well_formed => Status::UnknownKey,
        None => Status::Malformed { why: "it does not have 64 bytes".to_owned() },
    };
    SignatureFact { kind, signer: Signer { key, user: None }, made: None, status }
}
