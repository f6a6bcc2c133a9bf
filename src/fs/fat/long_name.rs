//! Long names: pieces of 13 UTF-16 units in the entries before the short one (section "FAT Long Directory Entries").
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | number of the piece from 1; 0x40 is added to the last one, which stands first |
//! | 1, 14, 28 | 10, 12, 4 | units of the name; it ends with 0, and FFFF follows |
//! | 13 | 1 | checksum over the short name |

use super::dir_entry::DirEntry;
use crate::{field::byte, fs::wtf8};

/// A name has at most 255 units.
const MAX_PIECES: u8 = 20;

const LAST: u8 = 0x40;

/// Units in a piece, and where they stand in the entry.
const UNITS: [std::ops::Range<usize>; 3] = [1..11, 14..26, 28..32];

/// Gathers the pieces of a name; whatever breaks the row drops it, and the short name stands.
#[derive(Default)]
pub(super) struct LongName {
    /// The piece that must come next; 0 when all are there.
    missing: u8,
    checksum: u8,
    /// Pieces as they came, the last of the name first.
    pieces: Vec<[u16; 13]>,
}

impl LongName {
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.missing = 0;
    }

    pub(super) fn push(&mut self, entry: &DirEntry<'_>) {
        let bytes = entry.bytes();
        let (Some(order), Some(checksum)) = (byte(bytes, 0), byte(bytes, 13)) else { return self.clear() };
        let number = order & !LAST;
        if order & LAST != 0 {
            self.clear();
            self.missing = number;
            self.checksum = checksum;
        }
        if number == 0 || number > MAX_PIECES || number != self.missing || checksum != self.checksum {
            return self.clear();
        }
        let mut piece = [0; 13];
        let pairs = UNITS.iter().flat_map(|range| bytes.get(range.clone()).unwrap_or_default().as_chunks().0);
        for (unit, pair) in piece.iter_mut().zip(pairs) {
            *unit = u16::from_le_bytes(*pair);
        }
        self.pieces.push(piece);
        self.missing = number.saturating_sub(1);
    }

    /// The name in WTF-8 for the short entry that follows the pieces; `None` when they do not belong to it.
    pub(super) fn take(&mut self, entry: &DirEntry<'_>) -> Option<Vec<u8>> {
        let whole = !self.pieces.is_empty() && self.missing == 0 && self.checksum == entry.checksum();
        let units = self.pieces.iter().rev().flatten().copied().take_while(|&unit| unit != 0);
        let name = if whole { wtf8::encode(units) } else { Vec::new() };
        self.clear();
        (!name.is_empty()).then_some(name)
    }
}
