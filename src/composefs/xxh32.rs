//! The 32-bit xxHash, which EROFS uses for the xattr name filter (xxHash, "XXH32 algorithm description").

const PRIME_1: u32 = 0x9e37_79b1;
const PRIME_2: u32 = 0x85eb_ca77;
const PRIME_3: u32 = 0xc2b2_ae3d;
const PRIME_4: u32 = 0x27d4_eb2f;
const PRIME_5: u32 = 0x1656_67b1;

pub fn xxh32(input: &[u8], seed: u32) -> u32 {
    let (stripes, rest) = input.as_chunks::<16>();
    // The length is taken modulo 2^32, as the algorithm says.
    let hash = start(stripes, seed).wrapping_add(input.len() as u32);
    let (words, bytes) = rest.as_chunks::<4>();
    let hash = words.iter().fold(hash, |hash, word| {
        let lane = u32::from_le_bytes(*word).wrapping_mul(PRIME_3);
        hash.wrapping_add(lane).rotate_left(17).wrapping_mul(PRIME_4)
    });
    let hash = bytes.iter().fold(hash, |hash, &byte| {
        let lane = u32::from(byte).wrapping_mul(PRIME_5);
        hash.wrapping_add(lane).rotate_left(11).wrapping_mul(PRIME_1)
    });
    avalanche(hash)
}

fn start(stripes: &[[u8; 16]], seed: u32) -> u32 {
    if stripes.is_empty() {
        return seed.wrapping_add(PRIME_5);
    }
    let mut accumulators = [
        seed.wrapping_add(PRIME_1).wrapping_add(PRIME_2),
        seed.wrapping_add(PRIME_2),
        seed,
        seed.wrapping_sub(PRIME_1),
    ];
    for stripe in stripes {
        for (accumulator, lane) in accumulators.iter_mut().zip(stripe.as_chunks::<4>().0) {
            let lane = u32::from_le_bytes(*lane).wrapping_mul(PRIME_2);
            *accumulator = accumulator.wrapping_add(lane).rotate_left(13).wrapping_mul(PRIME_1);
        }
    }
    let [a, b, c, d] = accumulators;
    let (a, b) = (a.rotate_left(1), b.rotate_left(7));
    let (c, d) = (c.rotate_left(12), d.rotate_left(18));
    a.wrapping_add(b).wrapping_add(c).wrapping_add(d)
}

fn avalanche(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::xxh32;

    #[test]
    fn hashes_are_those_of_the_reference_implementation() {
        assert_eq!(xxh32(b"", 0), 0x02cc_5d05);
        assert_eq!(xxh32(b"abc", 0), 0x32d1_53ff);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition", 0), 0xe229_3b2f);
    }
}
