//! Canonical Huffman codes over a stream of 16-bit little-endian words, as XPRESS and LZX have them.
//!
//! Reference: [MS-XCA] section 2.1.4.3; [MS-PATCH] section 2.3 and 2.6.

use super::lznt1;
use crate::field::{le16, narrow, slice};

const MAX_LENGTH: usize = 16;
/// Codes up to this length are decoded by one look into a table.
const QUICK_BITS: u32 = 10;
const QUICK_SIZE: usize = 1 << QUICK_BITS;

/// Reads bits from the highest of each word down. Behind the end of the data it gives zeros.
pub(super) struct Bits<'d> {
    data: &'d [u8],
    at: usize,
    /// The next bits, from the top.
    buffer: u32,
    left: u32,
}

impl<'d> Bits<'d> {
    pub(super) fn new(data: &'d [u8]) -> Self {
        Self { data, at: 0, buffer: 0, left: 0 }
    }

    /// The next 16 bits, which stay.
    pub(super) fn peek(&mut self) -> u16 {
        if self.left < 16 {
            let word = le16(self.data, self.at).unwrap_or(0);
            self.at = self.at.saturating_add(2);
            self.buffer |= u32::from(word) << 16_u32.saturating_sub(self.left);
            self.left = self.left.saturating_add(16);
        }
        u16::try_from(self.buffer >> 16).unwrap_or(0)
    }

    /// Drops bits that were seen; at most 16.
    pub(super) fn drop(&mut self, bits: u32) {
        self.buffer = self.buffer.checked_shl(bits).unwrap_or(0);
        self.left = self.left.saturating_sub(bits);
    }

    /// Takes a number of up to 16 bits.
    pub(super) fn take(&mut self, bits: u32) -> u16 {
        let seen = self.peek();
        self.drop(bits);
        seen.checked_shr(16_u32.saturating_sub(bits)).unwrap_or(0)
    }

    /// Takes bytes that lie behind the words read so far (XPRESS puts long lengths there).
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'d [u8]> {
        let bytes = slice(self.data, self.at, len)?;
        self.at = self.at.saturating_add(len);
        Some(bytes)
    }

    /// Goes to the next word's beginning, over a whole word when it stands at one (LZX, uncompressed blocks).
    pub(super) fn align(&mut self) {
        let ahead = if self.left >= 16 { 2 } else { 0 };
        let over = if self.left & 15 == 0 { 2 } else { 0 };
        self.at = self.at.saturating_sub(ahead).saturating_add(over);
        self.buffer = 0;
        self.left = 0;
    }
}

/// A code, given by the length of each symbol's word.
pub(super) struct Huffman {
    /// By the next `QUICK_BITS` bits: symbol and, in the lower 4 bits, length; length 0 is a longer word, or none.
    quick: Vec<u16>,
    /// By length: the first word, how many there are, where their symbols begin.
    lengths: [(u32, u32, usize); MAX_LENGTH + 1],
    symbols: Vec<u16>,
}

impl Huffman {
    /// Builds a code from word lengths of 0 (none) to 16. `None` where they do not fit together.
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        let mut huffman =
            Self { quick: vec![0; QUICK_SIZE], lengths: [(0, 0, 0); MAX_LENGTH + 1], symbols: Vec::new() };
        let mut word = 0_u32;
        for length in 1..=MAX_LENGTH {
            let first = huffman.symbols.len();
            let of_this_length = (0_u16..).zip(lengths).filter(|(_, have)| usize::from(**have) == length);
            huffman.symbols.extend(of_this_length.map(|(symbol, _)| symbol));
            let count = u32::try_from(huffman.symbols.len().saturating_sub(first)).ok()?;
            *huffman.lengths.get_mut(length)? = (word, count, first);
            let bits = u32::try_from(length).ok()?;
            if word.checked_add(count)? > 1_u32.checked_shl(bits)? {
                return None;
            }
            if bits <= QUICK_BITS {
                huffman.fill_quick(word, bits, first);
            }
            word = word.saturating_add(count) << 1;
        }
        Some(huffman)
    }

    fn fill_quick(&mut self, first_word: u32, bits: u32, first_symbol: usize) {
        let width = 1_usize << QUICK_BITS.saturating_sub(bits);
        let from = narrow(first_word).saturating_mul(width);
        let slots = self.quick.get_mut(from..).unwrap_or_default().chunks_exact_mut(width);
        for (slots, symbol) in slots.zip(self.symbols.get(first_symbol..).unwrap_or_default()) {
            slots.fill(symbol << 4 | u16::try_from(bits).unwrap_or(0));
        }
    }

    /// Takes the next symbol; `None` where the bits are no word of the code.
    pub(super) fn take(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let seen = bits.peek();
        let quick = *self.quick.get(usize::from(seen >> (16 - QUICK_BITS)))?;
        if quick & 0xF != 0 {
            bits.drop(u32::from(quick & 0xF));
            return Some(quick >> 4);
        }
        for (length, (first, count, symbols)) in (0_u32..).zip(&self.lengths).skip(narrow(QUICK_BITS).saturating_add(1))
        {
            let word = u32::from(seen.checked_shr(16_u32.saturating_sub(length))?);
            if let Some(nth) = word.checked_sub(*first).filter(|nth| nth < count) {
                bits.drop(length);
                return self.symbols.get(symbols.checked_add(narrow(nth))?).copied();
            }
        }
        None
    }
}

/// Repeats bytes from before `pos`, which must be there and must fit; says where it ends.
pub(super) fn copy_match(out: &mut [u8], pos: usize, distance: usize, length: usize) -> Option<usize> {
    let fits = length <= out.len().saturating_sub(pos);
    if fits { lznt1::copy_back(out, pos, distance, length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_short_and_long() {
        // One word of each length from 1 to 15, two of 16.
        let lengths: Vec<u8> = (1..=16).chain([16]).collect();
        let huffman = Huffman::new(&lengths).unwrap();
        for (symbol, word, bits) in
            [(0, 0_u16, 1), (9, 0xFF80, 10), (10, 0xFFC0, 11), (14, 0xFFFC, 15), (15, 0xFFFE, 16), (16, 0xFFFF, 16)]
        {
            let data = word.to_le_bytes();
            let mut stream = Bits::new(&data);
            assert_eq!(huffman.take(&mut stream), Some(symbol));
            assert_eq!(stream.left, 16 - bits);
        }
        assert!(Huffman::new(&[1, 1, 1]).is_none(), "too many words");
        assert!(Huffman::new(&[2]).unwrap().take(&mut Bits::new(&[0xFF, 0xFF])).is_none(), "no such word");
    }
}
