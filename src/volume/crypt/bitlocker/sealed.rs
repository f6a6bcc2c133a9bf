//! A key that is sealed with another. Reference: libbde, 5.5 "AES-CCM encrypted key".

use aes::Aes256;
use ccm::{
    Ccm,
    aead::{AeadInOut, KeyInit},
    consts::{U12, U16},
};
use zeroize::Zeroizing;

use super::entry::Entry;
use crate::{
    field::{array, len16},
    volume::crypt::derive::Secret,
};

/// Bytes of the nonce, and of the tag behind it.
const NONCE: usize = 12;
const TAG: usize = 16;

/// What stands in front of the key in the plaintext: its size, and what it is.
const KEY_HEADER: usize = 12;

/// A key, sealed.
pub(super) struct Sealed {
    nonce: [u8; NONCE],
    tag: [u8; TAG],
    ciphertext: Vec<u8>,
}

impl Sealed {
    pub(super) fn read(entry: &Entry) -> Result<Self, String> {
        let sealed = || {
            let ciphertext = entry.data.get(NONCE.checked_add(TAG)?..)?.to_vec();
            Some(Self { nonce: array(entry.data, 0)?, tag: array(entry.data, NONCE)?, ciphertext })
        };
        sealed().ok_or_else(|| "its metadata are damaged: a sealed key is too short".to_owned())
    }

    /// The key inside, if `key` is what it was sealed with.
    pub(super) fn open(&self, key: &[u8]) -> Option<Secret> {
        let cipher = Ccm::<Aes256, U16, U12>::new_from_slice(key).ok()?;
        let mut plaintext = Zeroizing::new(self.ciphertext.clone());
        cipher
            .decrypt_inout_detached(&self.nonce.into(), &[], plaintext.as_mut_slice().into(), &self.tag.into())
            .ok()?;
        let whole = len16(&plaintext, 0) == Some(plaintext.len());
        Some(Zeroizing::new(plaintext.get(KEY_HEADER..).filter(|_| whole)?.to_vec()))
    }
}
