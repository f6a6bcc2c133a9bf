//! The diffuser of BitLocker on Windows Vista and 7.
//!
//! Reference: N. Ferguson, "AES-CBC + Elephant diffuser: A Disk Encryption Algorithm for Windows Vista", 2006,
//! sections 4.3 to 4.5.

use super::block_cipher::{Block, BlockCipher};

/// Rotations of the A diffuser, and how often it goes over the sector.
const A: ([u32; 4], usize) = ([9, 0, 13, 0], 5);

/// Those of the B diffuser.
const B: ([u32; 4], usize) = ([0, 10, 0, 25], 3);

/// Words of the largest sector.
const WORDS: usize = 1024;

/// The diffuser, with the cipher that makes the keys of sectors.
pub(super) struct Elephant(Box<dyn BlockCipher>);

impl Elephant {
    pub(super) fn new(cipher: Box<dyn BlockCipher>) -> Self {
        Self(cipher)
    }

    /// Undoes the diffusers and the key of the sector that begins at byte `offset`.
    pub(super) fn decrypt(&self, offset: u64, sector: &mut [u8]) {
        let mut words = [0_u32; WORDS];
        let (pieces, _) = sector.as_chunks::<4>();
        let count = pieces.len().min(WORDS);
        let Some(words) = words.get_mut(..count) else { return };
        for (word, piece) in words.iter_mut().zip(pieces) {
            *word = u32::from_le_bytes(*piece);
        }
        // Undone, B looks ahead and A looks back.
        diffuse(words, B, |at, by| at.saturating_add(by).checked_rem(count));
        diffuse(words, A, |at, by| at.saturating_add(count).checked_sub(by)?.checked_rem(count));
        let key = self.sector_key(offset);
        let (pieces, _) = sector.as_chunks_mut::<4>();
        for ((piece, word), key) in pieces.iter_mut().zip(words.iter()).zip(key.as_chunks::<4>().0.iter().cycle()) {
            *piece = (word ^ u32::from_le_bytes(*key)).to_le_bytes();
        }
    }

    /// Two encryptions of the byte offset, the second with 128 in its last byte.
    fn sector_key(&self, offset: u64) -> [u8; 32] {
        let mut key = [0; 32];
        for (half, last) in key.as_chunks_mut::<16>().0.iter_mut().zip([0, 128_u8]) {
            let mut block = Block::from(u128::from(offset).to_le_bytes());
            if let Some(byte) = block.last_mut() {
                *byte = last;
            }
            self.0.encrypt(&mut block);
            *half = block.into();
        }
        key
    }
}

fn diffuse(words: &mut [u32], (rotations, cycles): ([u32; 4], usize), place: impl Fn(usize, usize) -> Option<usize>) {
    let word = |words: &[u32], at: usize, by: usize| place(at, by).and_then(|at| words.get(at)).copied();
    for _ in 0..cycles {
        for (at, rotation) in (0..words.len()).zip(rotations.into_iter().cycle()) {
            let (Some(two), Some(five)) = (word(words, at, 2), word(words, at, 5)) else { return };
            if let Some(word) = words.get_mut(at) {
                *word = word.wrapping_add(two ^ five.rotate_left(rotation));
            }
        }
    }
}
