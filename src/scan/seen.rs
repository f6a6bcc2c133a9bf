//! Names that were seen, as hashes of 128 bits, so that millions of them cost 16 bytes each: half of the bits by a
//! secret key, so that nobody can make names that share them, the other half against chance.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
};

/// The names that were seen.
#[derive(Default)]
pub(super) struct Seen {
    known: HashSet<Name, BuildHasherDefault<AsItIs>>,
    hasher: RandomState,
}

impl Seen {
    /// Whether the name is new.
    pub(super) fn insert(&mut self, name: &[u8]) -> bool {
        self.known.insert(Name { keyed: self.hasher.hash_one(name), plain: fnv_1a(name) })
    }

    /// Forgets all of them, and keeps the memory for others.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

#[derive(PartialEq, Eq)]
struct Name {
    keyed: u64,
    plain: u64,
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.keyed);
    }
}

/// What is a keyed hash already need not be hashed again.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = fnv_1a(bytes);
    }
}

/// FNV-1a of 64 bits (G. Fowler, L. Noll, K. Vo and D. Eastlake, "The FNV Non-Cryptographic Hash Algorithm", 2).
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_new_once() {
        let mut seen = Seen::default();
        for round in 0..2 {
            for number in 0..20_000_u32 {
                assert_eq!(seen.insert(&number.to_be_bytes()), round == 0, "{number}");
            }
        }
    }

    /// From the test vectors of the paper, appendix C.
    #[test]
    fn fnv_1a_is_what_its_authors_say() {
        assert_eq!(
            [&b""[..], b"a", b"foobar"].map(fnv_1a),
            [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]
        );
    }
}
