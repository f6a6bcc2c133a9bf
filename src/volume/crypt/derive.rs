//! Hashes by their names in a LUKS header, and keys out of passphrases.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use digest::Digest;
use ripemd::Ripemd160;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::keys::{Work, pbkdf2_rounds};

/// Bytes that are wiped when dropped.
pub(super) type Secret = Zeroizing<Vec<u8>>;

/// A hash, as a header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Ripemd160,
}

impl Hash {
    pub(super) fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            "ripemd160" => Self::Ripemd160,
            other => return Err(format!("hash {} is not read", other.escape_debug())),
        })
    }

    /// The length of what it gives, in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Sha1 | Self::Ripemd160 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The hash of `parts`, one behind the other.
    pub(super) fn of(self, parts: &[&[u8]]) -> Secret {
        fn by<D: Digest>(parts: &[&[u8]]) -> Secret {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            Zeroizing::new(hash.finalize().to_vec())
        }
        match self {
            Self::Sha1 => by::<Sha1>(parts),
            Self::Sha224 => by::<Sha224>(parts),
            Self::Sha256 => by::<Sha256>(parts),
            Self::Sha384 => by::<Sha384>(parts),
            Self::Sha512 => by::<Sha512>(parts),
            Self::Ripemd160 => by::<Ripemd160>(parts),
        }
    }

    /// PBKDF2 with this hash (RFC 8018, 5.2), `len` bytes.
    pub(super) fn pbkdf2(
        self,
        passphrase: &[u8],
        salt: &[u8],
        iterations: u32,
        len: usize,
        work: &mut Work,
    ) -> Result<Secret, String> {
        if iterations == 0 {
            return Err("its header: 0 iterations of pbkdf2".to_owned());
        }
        work.take(pbkdf2_rounds(iterations, len, self.len()))?;
        let mut out = Zeroizing::new(vec![0; len]);
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(passphrase, salt, iterations, &mut out),
            Self::Sha224 => pbkdf2::pbkdf2_hmac::<Sha224>(passphrase, salt, iterations, &mut out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, iterations, &mut out),
            Self::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(passphrase, salt, iterations, &mut out),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(passphrase, salt, iterations, &mut out),
            Self::Ripemd160 => pbkdf2::pbkdf2_hmac::<Ripemd160>(passphrase, salt, iterations, &mut out),
        }
        Ok(out)
    }
}

/// The costs of Argon2 (RFC 9106) in a keyslot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argon2Cost {
    /// `argon2id` where set, else `argon2i`.
    pub(super) hybrid: bool,
    /// Passes.
    pub(super) time: u32,
    /// KiB.
    pub(super) memory: u32,
    /// Lanes.
    pub(super) lanes: u32,
}

impl Argon2Cost {
    /// A key of `len` bytes.
    pub(super) fn derive(self, passphrase: &[u8], salt: &[u8], len: usize, work: &mut Work) -> Result<Secret, String> {
        work.allow_memory(self.memory)?;
        let wrong = |error: argon2::Error| format!("its parameters of argon2: {error}");
        let params = Params::new(self.memory, self.time, self.lanes, Some(len)).map_err(wrong)?;
        work.take(u64::from(self.memory).saturating_mul(u64::from(self.time)))?;
        let mut blocks: Vec<Block> = Vec::new();
        let count = params.block_count();
        blocks.try_reserve_exact(count).map_err(|_| format!("{} KiB of memory were not to be had", self.memory))?;
        blocks.resize(count, Block::default());
        let algorithm = if self.hybrid { Algorithm::Argon2id } else { Algorithm::Argon2i };
        let mut out = Zeroizing::new(vec![0; len]);
        Argon2::new(algorithm, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, salt, &mut out, &mut blocks)
            .map_err(wrong)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::crypt::keys::KeyLimits;

    #[test]
    fn vectors() {
        let mut work = Work::new(KeyLimits::default());
        // RFC 6070, test 2.
        let key = Hash::Sha1.pbkdf2(b"password", b"salt", 2, 20, &mut work).unwrap();
        assert_eq!(key[..4], [0xea, 0x6c, 0x01, 0x4d]);
        // RIPEMD-160("abc"), as its authors give it.
        assert_eq!(Hash::Ripemd160.of(&[b"a", b"bc"])[..4], [0x8e, 0xb2, 0x08, 0xf7]);
        assert!(Hash::named("md4").is_err());
    }

    #[test]
    fn hostile_costs_are_refused() {
        let mut work = Work::new(KeyLimits { memory: 1024, rounds: 1_000_000 });
        let cost = Argon2Cost { hybrid: true, time: 1, memory: u32::MAX, lanes: 1 };
        let mut of = |cost: Argon2Cost| cost.derive(b"x", b"saltsalt", 32, &mut work).map(|_| ());
        assert!(of(cost).unwrap_err().contains("--max-key-memory"));
        assert!(of(Argon2Cost { memory: 64, time: u32::MAX, ..cost }).unwrap_err().contains("--max-key-rounds"));
        assert!(of(Argon2Cost { memory: 0, ..cost }).unwrap_err().contains("argon2"));
        assert!(of(Argon2Cost { memory: 64, lanes: u32::MAX, ..cost }).unwrap_err().contains("argon2"));
        assert!(of(Argon2Cost { memory: 64, ..cost }).is_ok());
        assert!(Hash::Sha256.pbkdf2(b"x", b"salt", u32::MAX, 64, &mut work).is_err());
    }
}
