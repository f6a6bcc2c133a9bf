//! The block ciphers, all of 16 bytes a block, behind one interface.

use aes::{Aes128, Aes192, Aes256};
use camellia::{Camellia128, Camellia192, Camellia256};
use cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use serpent::Serpent;
use twofish::Twofish;

/// Bytes of a block.
pub(super) const BLOCK: usize = 16;

/// A block.
pub(super) type Block = Array<u8, U16>;

/// A block cipher with its key.
pub(super) trait BlockCipher: Send + Sync {
    fn encrypt(&self, block: &mut Block);
    /// Decrypts each block by itself; the more at once, the faster.
    fn decrypt(&self, blocks: &mut [Block]);
}

impl<C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync> BlockCipher for C {
    fn encrypt(&self, block: &mut Block) {
        self.encrypt_block(block);
    }

    fn decrypt(&self, blocks: &mut [Block]) {
        self.decrypt_blocks(blocks);
    }
}

/// The cipher of this name; the length of the key says which of its variants.
pub(super) fn named(name: &str, key: &[u8]) -> Result<Box<dyn BlockCipher>, String> {
    fn keyed<C: KeyInit + BlockCipher + 'static>(key: &[u8]) -> Option<Box<dyn BlockCipher>> {
        let cipher: Box<dyn BlockCipher> = Box::new(C::new_from_slice(key).ok()?);
        Some(cipher)
    }
    let cipher = match (name, key.len()) {
        ("aes", 16) => keyed::<Aes128>(key),
        ("aes", 24) => keyed::<Aes192>(key),
        ("aes", 32) => keyed::<Aes256>(key),
        ("serpent", 16 | 24 | 32) => keyed::<Serpent>(key),
        ("twofish", 16 | 24 | 32) => keyed::<Twofish>(key),
        ("camellia", 16) => keyed::<Camellia128>(key),
        ("camellia", 24) => keyed::<Camellia192>(key),
        ("camellia", 32) => keyed::<Camellia256>(key),
        _ => None,
    };
    cipher.ok_or_else(|| format!("cipher {} with a key of {} bits is not read", name.escape_debug(), bits(key)))
}

fn bits(key: &[u8]) -> usize {
    key.len().saturating_mul(8)
}

/// The blocks of `bytes`, of which there are a whole number.
pub(super) fn blocks(bytes: &mut [u8]) -> &mut [Block] {
    Block::slice_as_chunks_mut(bytes).0
}
