//! OpenPGP messages that carry what they sign (RFC 9580 §10.3), as `gpg --sign` writes them.

use std::io::{self, Read};

use pgp::packet::{Packet, PacketParser, Signature};

use super::{Keys, SignatureFact, openpgp};

/// Why bytes are no signed message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("its OpenPGP packets are broken: {0}")]
    Packets(String),
    #[error("it unpacks to more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it is no OpenPGP message with one signature")]
    Structure,
}

/// The signed bytes of a message with one signature, at most `limit` of them, and what the signature is worth at the time `now`.
/// Nobody may believe the bytes before the fact.
pub fn examine_message(
    keys: &Keys,
    message: &[u8],
    limit: u64,
    now: i64,
) -> Result<(Vec<u8>, SignatureFact), MessageError> {
    let mut packets = parse(message)?;
    if let [Packet::CompressedData(compressed)] = packets.as_slice() {
        let unpacked = compressed.decompress().map_err(|error| MessageError::Packets(error.to_string()))?;
        packets = parse(&limited(unpacked, limit)?)?;
    }
    let (signed, signature) = opened(packets).ok_or(MessageError::Structure)?;
    let fact = openpgp::fact(&keys.gpg, &signed, &signature, now);
    Ok((signed, fact))
}

/// The literal data and its signature, in the order of today or in that of PGP 2.
fn opened(packets: Vec<Packet>) -> Option<(Vec<u8>, Signature)> {
    let (literal, signature) = match <[Packet; 3]>::try_from(packets) {
        Ok([Packet::OnePassSignature(_), Packet::LiteralData(literal), Packet::Signature(signature)]) => {
            (literal, signature)
        }
        Ok(_) => return None,
        Err(packets) => match <[Packet; 2]>::try_from(packets) {
            Ok([Packet::Signature(signature), Packet::LiteralData(literal)]) => (literal, signature),
            _ => return None,
        },
    };
    Some((literal.data().to_vec(), signature))
}

fn parse(bytes: &[u8]) -> Result<Vec<Packet>, MessageError> {
    let broken = |error: pgp::errors::Error| MessageError::Packets(error.to_string());
    // A packet more than a message has is enough to refuse it.
    PacketParser::new(bytes).take(4).map(|packet| packet.map_err(broken)).collect()
}

fn limited(reader: impl Read, limit: u64) -> Result<Vec<u8>, MessageError> {
    let mut bytes = Vec::new();
    let failed = |error: io::Error| MessageError::Packets(error.to_string());
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit { Err(MessageError::TooLarge { limit }) } else { Ok(bytes) }
}
