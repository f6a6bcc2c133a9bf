//! Marvin32, the keyed hash that guards log entries: \[regf\] "Log entries", notes 1 to 3.

/// The key that the registry uses: the bytes `82 EF 4D 88 7A 4E 55 C5`, most significant first.
const SEED: (u32, u32) = (0x7A4E_55C5, 0x82EF_4D88);

/// The hash of `bytes`.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = SEED;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        state = mix(state, word.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)));
    }
    // The last, partial word ends in a set bit.
    let last = words.remainder().iter().rev().fold(0x80, |number, byte| number << 8 | u32::from(*byte));
    let (low, high) = mix(mix(state, last), 0);
    u64::from(high) << 32 | u64::from(low)
}

fn mix((low, high): (u32, u32), word: u32) -> (u32, u32) {
    let low = low.wrapping_add(word);
    let high = high ^ low;
    let low = low.rotate_left(20).wrapping_add(high);
    let high = high.rotate_left(9) ^ low;
    let low = low.rotate_left(27).wrapping_add(high);
    (low, high.rotate_left(19))
}
