//! Half MD4, the hash of names in indexed directories. ext4 docs, "Hash Tree Directories".
//!
//! The variant that takes bytes of names as signed, which `s_flags` announces.

const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
const ROUND_2: u32 = 0x5a82_7999;
const ROUND_3: u32 = 0x6ed9_eba1;
/// The kernel keeps this value for the end of a directory.
const END_OF_DIRECTORY: u32 = 0xffff_fffe;
const CHUNK: usize = 32;

/// The hash, always even, and the minor hash that orders names of one hash.
pub fn half_md4(name: &[u8], hash_seed: &[u8; 16]) -> (u32, u32) {
    let mut state = initial_state(hash_seed);
    let mut rest = name;
    while !rest.is_empty() {
        transform(&mut state, &words(rest));
        rest = rest.get(CHUNK..).unwrap_or_default();
    }
    let hash = state[1] & !1;
    (if hash == END_OF_DIRECTORY { hash - 2 } else { hash }, state[2])
}

fn initial_state(hash_seed: &[u8; 16]) -> [u32; 4] {
    if hash_seed == &[0; 16] {
        return INITIAL;
    }
    let word = |i: usize| u32::from_le_bytes([hash_seed[i], hash_seed[i + 1], hash_seed[i + 2], hash_seed[i + 3]]);
    [word(0), word(4), word(8), word(12)]
}

/// Eight words of the first 32 bytes of `rest`, padded with its length.
fn words(rest: &[u8]) -> [u32; 8] {
    let len = rest.len() as u32; // at most 255
    let pad = len | len << 8;
    let pad = pad | pad << 16;
    let mut words = [pad; 8];
    for (word, bytes) in words.iter_mut().zip(rest.chunks(4)) {
        for &byte in bytes {
            let signed = i32::from(byte.cast_signed()).cast_unsigned();
            *word = signed.wrapping_add(*word << 8);
        }
    }
    words
}

fn transform(state: &mut [u32; 4], input: &[u32; 8]) {
    let choose = |x: u32, y: u32, z: u32| z ^ (x & (y ^ z));
    let majority = |x: u32, y: u32, z: u32| (x & y).wrapping_add((x ^ y) & z);
    let parity = |x: u32, y: u32, z: u32| x ^ y ^ z;
    let mut mixed = *state;
    round(&mut mixed, input, choose, 0, [3, 7, 11, 19], [0, 1, 2, 3, 4, 5, 6, 7]);
    round(&mut mixed, input, majority, ROUND_2, [3, 5, 9, 13], [1, 3, 5, 7, 0, 2, 4, 6]);
    round(&mut mixed, input, parity, ROUND_3, [3, 9, 11, 15], [3, 7, 2, 6, 1, 5, 0, 4]);
    for (state, mixed) in state.iter_mut().zip(mixed) {
        *state = state.wrapping_add(mixed);
    }
}

/// Eight steps; the four words take turns a, d, c, b.
fn round(
    state: &mut [u32; 4],
    input: &[u32; 8],
    function: impl Fn(u32, u32, u32) -> u32,
    constant: u32,
    shifts: [u32; 4],
    order: [usize; 8],
) {
    for (step, word) in order.into_iter().enumerate() {
        let [a, b, c, d] = *state;
        let sum = a.wrapping_add(function(b, c, d)).wrapping_add(input[word]).wrapping_add(constant);
        *state = [d, sum.rotate_left(shifts[step % 4]), b, c];
    }
}
