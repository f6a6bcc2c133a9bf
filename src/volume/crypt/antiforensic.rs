//! The splitter that spreads a key over thousands of stripes, so that it can be destroyed on disk: here put together.
//!
//! Reference: LUKS On-Disk Format Specification 1.2.3, 2.4 "Anti-forensic splitter".

use zeroize::Zeroizing;

use super::derive::{Hash, Secret};

/// Stripes of a key: cryptsetup writes and takes no other number.
pub(super) const STRIPES: usize = 4000;

/// The key of `len` bytes out of its [`STRIPES`].
pub(super) fn merge(material: &[u8], len: usize, hash: Hash) -> Secret {
    let mut key = Zeroizing::new(vec![0; len]);
    let mut stripes = material.chunks_exact(len.max(1)).take(STRIPES).peekable();
    while let Some(stripe) = stripes.next() {
        key.iter_mut().zip(stripe).for_each(|(byte, other)| *byte ^= other);
        if stripes.peek().is_some() {
            diffuse(&mut key, hash);
        }
    }
    key
}

/// Each piece becomes the hash of its number and itself.
fn diffuse(key: &mut [u8], hash: Hash) {
    for (number, piece) in (0_u32..).zip(key.chunks_mut(hash.len())) {
        let hashed = hash.of(&[&number.to_be_bytes(), piece]);
        piece.iter_mut().zip(hashed.iter()).for_each(|(byte, other)| *byte = *other);
    }
}
