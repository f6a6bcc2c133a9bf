//! LZX as WIM and WOF have it: chunks of 32 KiB that stand alone, x86 call targets always translated.
//!
//! Reference: [MS-PATCH] section 2 (LZX), with what WIM changes: one bit for a block of the usual size, a fixed file
//! size of 12,000,000 for the call translation, nothing carried from chunk to chunk.

use super::huffman::{Bits, Huffman, copy_match};
use crate::field::len32;

const MIN_MATCH: usize = 2;
const LITERALS: usize = 256;
/// Position slots of a 32 KiB window.
const SLOTS: usize = 30;
/// Lengths per position slot among the main symbols.
const LENGTHS: usize = 8;
const MAIN_SYMBOLS: usize = LITERALS + SLOTS * LENGTHS;
const LENGTH_SYMBOLS: usize = 249;
const ALIGNED_SYMBOLS: usize = 8;
const PRETREE_SYMBOLS: usize = 20;
const USUAL_BLOCK: usize = 32768;
/// Lengths from this one up are continued by the length code.
const LONG_LENGTH: usize = 7;
/// The file size that the call translation assumes.
const CALL_FILE_SIZE: i32 = 12_000_000;

/// Decodes a chunk that fills `out`. `None` where the data does not fit.
pub(super) fn decode(data: &[u8], out: &mut [u8]) -> Option<()> {
    let mut bits = Bits::new(data);
    let mut state = State { recent: [1; 3], main: [0; MAIN_SYMBOLS], length: [0; LENGTH_SYMBOLS] };
    let mut pos = 0_usize;
    while pos < out.len() {
        let kind = bits.take(3);
        let size = if bits.take(1) == 1 { USUAL_BLOCK } else { usize::from(bits.take(16)) };
        let end = pos.checked_add(size).filter(|end| size > 0 && *end <= out.len())?;
        let block = out.get_mut(..end)?;
        match kind {
            1 => state.compressed(&mut bits, block, pos, None)?,
            2 => {
                let mut lengths = [0; ALIGNED_SYMBOLS];
                lengths.iter_mut().for_each(|length| *length = u8::try_from(bits.take(3)).unwrap_or(0));
                state.compressed(&mut bits, block, pos, Some(&Huffman::new(&lengths)?))?;
            }
            3 => state.stored(&mut bits, block.get_mut(pos..)?)?,
            _ => return None,
        }
        pos = end;
    }
    translate_calls(out);
    Some(())
}

/// What lives from block to block.
struct State {
    /// The last three distances.
    recent: [usize; 3],
    /// Word lengths of the main and the length code; each block gives the differences.
    main: [u8; MAIN_SYMBOLS],
    length: [u8; LENGTH_SYMBOLS],
}

impl State {
    /// Decodes a block from `pos` to the end of `out`.
    fn compressed(
        &mut self,
        bits: &mut Bits<'_>,
        out: &mut [u8],
        mut pos: usize,
        aligned: Option<&Huffman>,
    ) -> Option<()> {
        let (literals, matches) = self.main.split_at_mut_checked(LITERALS)?;
        read_lengths(bits, literals)?;
        read_lengths(bits, matches)?;
        read_lengths(bits, &mut self.length)?;
        let main = Huffman::new(&self.main)?;
        let lengths = Huffman::new(&self.length)?;
        while pos < out.len() {
            let symbol = usize::from(main.take(bits)?);
            let Some(matched) = symbol.checked_sub(LITERALS) else {
                *out.get_mut(pos)? = u8::try_from(symbol).ok()?;
                pos = pos.saturating_add(1);
                continue;
            };
            let mut length = matched & (LENGTHS - 1);
            if length == LONG_LENGTH {
                length = length.saturating_add(usize::from(lengths.take(bits)?));
            }
            let distance = self.distance(bits, matched / LENGTHS, aligned)?;
            pos = copy_match(out, pos, distance, length.saturating_add(MIN_MATCH))?;
        }
        Some(())
    }

    /// The distance of a position slot; the first three slots are the recent ones.
    fn distance(&mut self, bits: &mut Bits<'_>, slot: usize, aligned: Option<&Huffman>) -> Option<usize> {
        let [first, second, third] = self.recent;
        match slot {
            0 => {}
            1 => self.recent = [second, first, third],
            2 => self.recent = [third, second, first],
            _ => {
                let extra = u32::try_from(slot / 2).ok()?.saturating_sub(1);
                let base = if slot < 4 { slot } else { (2 | slot & 1).checked_shl(extra)? };
                let rest = match aligned {
                    Some(aligned) if extra >= 3 => {
                        let high = usize::from(bits.take(extra.saturating_sub(3))) << 3;
                        high | usize::from(aligned.take(bits)?)
                    }
                    _ => usize::from(bits.take(extra)),
                };
                self.recent = [base.saturating_add(rest).checked_sub(2)?, first, second];
            }
        }
        self.recent.first().copied()
    }

    /// A block that is not compressed: three distances, then the bytes, padded to an even number.
    fn stored(&mut self, bits: &mut Bits<'_>, out: &mut [u8]) -> Option<()> {
        bits.align();
        let header = bits.bytes(12)?;
        for (recent, at) in self.recent.iter_mut().zip([0, 4, 8]) {
            *recent = len32(header, at)?;
        }
        out.copy_from_slice(bits.bytes(out.len())?);
        if out.len() & 1 == 1 {
            bits.bytes(1)?;
        }
        Some(())
    }
}

/// Word lengths as differences to those of the block before, themselves coded.
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Option<()> {
    let mut pretree = [0; PRETREE_SYMBOLS];
    pretree.iter_mut().for_each(|length| *length = u8::try_from(bits.take(4)).unwrap_or(0));
    let pretree = Huffman::new(&pretree)?;
    let mut at = 0_usize;
    while let Some(before) = lengths.get(at).copied() {
        let (symbol, run) = match pretree.take(bits)? {
            17 => (None, usize::from(bits.take(4)).saturating_add(4)),
            18 => (None, usize::from(bits.take(5)).saturating_add(20)),
            19 => {
                let run = usize::from(bits.take(1)).saturating_add(4);
                (Some(pretree.take(bits)?), run)
            }
            symbol => (Some(symbol), 1),
        };
        let length = match symbol {
            None => 0,
            Some(symbol) => before
                .checked_add(17)?
                .checked_sub(u8::try_from(symbol).ok().filter(|symbol| *symbol <= 16)?)?
                .checked_rem(17)?,
        };
        let end = at.saturating_add(run).min(lengths.len());
        lengths.get_mut(at..end)?.fill(length);
        at = end;
    }
    Some(())
}

/// Undoes the translation of x86 call targets (opcode E8) from relative to absolute.
fn translate_calls(out: &mut [u8]) {
    /// The last bytes are left alone.
    const TAIL: usize = 10;
    let mut at = 0_usize;
    let end = out.len().saturating_sub(TAIL);
    while let Some(found) = out.get(at..end).and_then(|rest| rest.iter().position(|byte| *byte == 0xE8)) {
        at = at.saturating_add(found);
        let here = i32::try_from(at).unwrap_or(i32::MAX);
        let target = out.get_mut(at.saturating_add(1)..).and_then(<[u8]>::first_chunk_mut::<4>);
        if let Some(target) = target {
            let absolute = i32::from_le_bytes(*target);
            if (0..CALL_FILE_SIZE).contains(&absolute) {
                *target = absolute.wrapping_sub(here).to_le_bytes();
            } else if (here.wrapping_neg()..0).contains(&absolute) {
                *target = absolute.wrapping_add(CALL_FILE_SIZE).to_le_bytes();
            }
        }
        at = at.saturating_add(5);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{lznt1, xpress};

    /// Random data, and random data behind a plausible beginning: every decoder refuses or fills, and never panics.
    #[test]
    fn hostile_data_is_refused_or_decoded() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let mut out = vec![0; 32768];
        let mut decoded = 0_usize;
        for case in 0..3000_usize {
            let mut data: Vec<u8> = (0..case % 80 + 1).flat_map(|_| next()).collect();
            match case % 3 {
                // 512 words of 9 bits are a whole code.
                1 => data.splice(..0, [0x99; 256]).for_each(drop),
                // Pretrees with 16 words of 4 bits.
                2 => data.splice(..0, [0x44, 0x14, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44]).for_each(drop),
                _ => {}
            }
            decoded = decoded
                .saturating_add(usize::from(super::decode(&data, &mut out).is_some()))
                .saturating_add(usize::from(xpress::decode(&data, &mut out).is_some()))
                .saturating_add(usize::from(lznt1::decode(&data, &mut out).is_ok()));
        }
        assert!(decoded > 0);
    }
}
