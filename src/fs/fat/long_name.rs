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

const UNITS_OF_PIECE: usize = 13;

/// Where they stand in the entry.
const UNITS: [std::ops::Range<usize>; 3] = [1..11, 14..26, 28..32];

/// Behind the end of a name; some fill with zeros.
const FILL: [u16; 2] = [0, 0xffff];

/// Gathers the pieces of a name; whatever breaks the row drops it, and the short name stands.
#[derive(Default)]
pub(super) struct LongName {
    /// The piece that must come next; 0 when all are there.
    missing: u8,
    checksum: u8,
    /// Pieces as they came, the last of the name first.
    pieces: Vec<[u16; UNITS_OF_PIECE]>,
    /// Some were dropped.
    broken: bool,
}

impl LongName {
    pub(super) fn push(&mut self, entry: &DirEntry<'_>) {
        let bytes = entry.bytes();
        let (order, checksum) = (byte(bytes, 0).unwrap_or_default(), byte(bytes, 13).unwrap_or_default());
        let number = order & !LAST;
        if order & LAST != 0 {
            self.broken |= !self.pieces.is_empty();
            self.pieces.clear();
            self.missing = number;
            self.checksum = checksum;
        }
        if number == 0 || number > MAX_PIECES || number != self.missing || checksum != self.checksum {
            self.pieces.clear();
            self.missing = 0;
            self.broken = true;
            return;
        }
        let mut piece = [0; UNITS_OF_PIECE];
        let pairs = UNITS.iter().flat_map(|range| bytes.get(range.clone()).unwrap_or_default().as_chunks().0);
        for (unit, pair) in piece.iter_mut().zip(pairs) {
            *unit = u16::from_le_bytes(*pair);
        }
        self.pieces.push(piece);
        self.missing = number.saturating_sub(1);
    }

    /// The name in WTF-8 for the entry that follows the pieces, if it is whole and the entry's; and whether there are
    /// pieces that are not, or units behind the name's end. Nothing follows where the directory ends.
    pub(super) fn take(&mut self, entry: Option<&DirEntry<'_>>) -> (Option<Vec<u8>>, bool) {
        let Self { missing, checksum, pieces, broken } = std::mem::take(self);
        if pieces.is_empty() {
            return (None, broken);
        }
        let units: Vec<u16> = pieces.iter().rev().flatten().copied().collect();
        let (name, rest) = units.split_at(units.iter().position(|&unit| unit == 0).unwrap_or(units.len()));
        let belongs = missing == 0 && entry.is_some_and(|entry| !entry.is_deleted() && entry.checksum() == checksum);
        if !belongs || name.is_empty() {
            return (None, true);
        }
        // It ends in its last piece, and the others are full.
        let ends = rest.len() <= UNITS_OF_PIECE && rest.iter().all(|unit| FILL.contains(unit));
        (Some(wtf8::encode(name.iter().copied())), broken || !ends)
    }
}
