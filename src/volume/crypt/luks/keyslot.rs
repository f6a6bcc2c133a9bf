//! A keyslot: the volume's key, wrapped with a passphrase.

use zeroize::Zeroizing;

use super::MAX_KEY;
use crate::{
    image::Image,
    volume::crypt::{
        antiforensic::{self, STRIPES},
        derive::{Argon2Cost, Hash, Secret},
        keys::Work,
        sectors::{Sectors, decrypt_material},
    },
};

/// What merging the split key costs, in rounds of a hash: four for each of its stripes.
const MERGE_ROUNDS: u64 = 16_000;

/// How the passphrase becomes the key of the keyslot's area.
pub(super) enum Kdf {
    Pbkdf2 { hash: String, iterations: u32 },
    Argon2(Argon2Cost),
}

/// By what the right key is known.
#[derive(Clone)]
pub(super) struct Digest {
    pub(super) hash: String,
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) digest: Vec<u8>,
}

/// Where the wrapped key lies and how it is wrapped.
pub(super) struct Keyslot {
    /// Its number.
    pub(super) name: String,
    /// Bytes of the volume's key.
    pub(super) key_len: usize,
    pub(super) kdf: Kdf,
    pub(super) salt: Vec<u8>,
    /// The cipher of its area, as dm-crypt names it.
    pub(super) cipher: String,
    /// Bytes of that cipher's key.
    pub(super) cipher_key_len: usize,
    /// Bytes from the volume's beginning.
    pub(super) offset: u64,
    /// The splitter's hash.
    pub(super) stripe_hash: String,
    pub(super) digest: Digest,
}

impl Keyslot {
    /// The volume's key, if this is the passphrase.
    pub(super) fn unlock(
        &self,
        image: &dyn Image,
        passphrase: &[u8],
        work: &mut Work,
    ) -> Result<Option<Secret>, String> {
        for len in [self.key_len, self.cipher_key_len] {
            if len == 0 || len > MAX_KEY {
                return Err(format!("a key of {len} bytes is not read"));
            }
        }
        let stripe_hash = Hash::named(&self.stripe_hash)?;
        let digest_hash = Hash::named(&self.digest.hash)?;
        let wrapping = match &self.kdf {
            Kdf::Pbkdf2 { hash, iterations } => {
                Hash::named(hash)?.pbkdf2(passphrase, &self.salt, *iterations, self.cipher_key_len, work)?
            }
            Kdf::Argon2(cost) => cost.derive(passphrase, &self.salt, self.cipher_key_len, work)?,
        };
        let sectors = Sectors::named(&self.cipher, &wrapping)?;
        let len = self.key_len.saturating_mul(STRIPES).next_multiple_of(512);
        let mut material = Zeroizing::new(vec![0; len]);
        image.read_at(self.offset, &mut material).map_err(|error| error.to_string())?;
        decrypt_material(&sectors, &mut material);
        work.take(MERGE_ROUNDS)?;
        let key = antiforensic::merge(&material, self.key_len, stripe_hash);
        let digest = &self.digest;
        let found = digest_hash.pbkdf2(&key, &digest.salt, digest.iterations, digest.digest.len(), work)?;
        Ok((!digest.digest.is_empty() && found.as_slice() == digest.digest).then_some(key))
    }
}
