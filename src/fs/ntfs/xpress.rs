//! XPRESS with Huffman codes, one chunk at a time.
//!
//! Reference: [MS-XCA] section 2.2 (LZ77+Huffman decompression).

use super::huffman::{Bits, Huffman, copy_match};
use crate::field::len16;

/// The code's word lengths, 4 bits each, lie before the data.
const TABLE: usize = 256;
const FIRST_MATCH: u16 = 256;
const MIN_MATCH: usize = 3;

/// Decodes a chunk that fills `out`. `None` where the data does not fit.
pub(super) fn decode(data: &[u8], out: &mut [u8]) -> Option<()> {
    let lengths: Vec<u8> = data.get(..TABLE)?.iter().flat_map(|byte| [byte & 0xF, byte >> 4]).collect();
    let huffman = Huffman::new(&lengths)?;
    let mut bits = Bits::new(data.get(TABLE..)?);
    let mut pos = 0_usize;
    while pos < out.len() {
        let symbol = huffman.take(&mut bits)?;
        let Some(matched) = symbol.checked_sub(FIRST_MATCH) else {
            *out.get_mut(pos)? = u8::try_from(symbol).ok()?;
            pos = pos.saturating_add(1);
            continue;
        };
        // The lower 4 bits are the length, the upper ones the number of bits that the distance has after its first.
        let distance_bits = u32::from(matched >> 4);
        bits.peek();
        let distance = 1_usize.checked_shl(distance_bits)? | usize::from(bits.take(distance_bits));
        let mut length = usize::from(matched & 0xF);
        if length == 0xF {
            length = match *bits.bytes(1)? {
                [0xFF] => len16(bits.bytes(2)?, 0).filter(|length| *length >= 0xF)?,
                [more] => usize::from(more).saturating_add(0xF),
                _ => return None,
            };
        }
        pos = copy_match(out, pos, distance, length.saturating_add(MIN_MATCH))?;
    }
    Some(())
}
