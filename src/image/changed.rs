//! Which ranges of a disk may differ between two of its layers or snapshots: those that do not come from the same
//! place. What two snapshots share is equal by construction, and is not read to find that out.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::ops::Range;

use crate::{
    error::{Error, Result},
    image::{Image, mapped::Layered},
};

/// Bytes of two layers that are compared at once.
const PIECE: usize = 64 << 10;
/// How far one look at a mapping may reach.
const LOOK: u64 = 1 << 30;
/// Looks at the mapping: enough for 16 TiB of which every cluster of 64 KiB lies elsewhere.
const MAX_LOOKS: u64 = 1 << 28;
/// Ranges that are kept apart; with more, those next to each other become one.
const MAX_RANGES: usize = 1 << 20;

/// The ranges of `newer` that may differ from `older`, in order, not touching each other. What only one of two
/// sizes covers counts as changed. More than 2^20 ranges are merged across the smallest gaps, so that the list may
/// say more than it must, and never less.
///
/// # Errors
/// When the tables of one of the two cannot be read, or are larger than is sane.
pub fn changed_since(newer: &dyn Layered, older: &dyn Layered) -> Result<Vec<Range<u64>>> {
    let both = newer.len().min(older.len());
    let mut changed = Changed { ranges: Vec::new(), gap: 0 };
    let mut at = 0;
    for _ in 0..MAX_LOOKS {
        if at >= both {
            if newer.len() > both {
                changed.push(both..newer.len());
            }
            return Ok(changed.ranges);
        }
        let want = both.saturating_sub(at).min(LOOK);
        let (new_len, new) = newer.origin(at, want)?;
        let (old_len, old) = older.origin(at, want)?;
        let end = at.saturating_add(new_len.min(old_len).clamp(1, want));
        if new != old {
            changed.push(at..end);
        }
        at = end;
    }
    Err(Error::budget("image", format!("the mapping of the disk has more than {MAX_LOOKS} pieces")))
}

/// Whether all bytes of a range of two disks are the same: where layers differ in their tables they may be.
///
/// # Errors
/// When one of the two cannot be read there.
pub fn is_same(newer: &dyn Image, older: &dyn Image, range: Range<u64>) -> Result<bool> {
    let mut pieces = [Vec::new(), Vec::new()];
    let mut at = range.start;
    while at < range.end {
        let left = range.end.saturating_sub(at);
        let len = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        for (image, piece) in [newer, older].into_iter().zip(&mut pieces) {
            piece.resize(len, 0);
            image.read_at(at, piece)?;
        }
        let [new, old] = &pieces;
        if new != old {
            return Ok(false);
        }
        at = at.saturating_add(u64::try_from(len).unwrap_or(left));
    }
    Ok(true)
}

struct Changed {
    ranges: Vec<Range<u64>>,
    /// Unchanged bytes between two ranges that are not worth telling.
    gap: u64,
}

impl Changed {
    fn push(&mut self, range: Range<u64>) {
        match self.ranges.last_mut() {
            Some(last) if range.start.saturating_sub(last.end) <= self.gap => last.end = range.end,
            _ => self.ranges.push(range),
        }
        while self.ranges.len() > MAX_RANGES {
            self.gap = self.gap.saturating_mul(2).max(4096);
            let ranges = std::mem::take(&mut self.ranges);
            for range in ranges {
                match self.ranges.last_mut() {
                    Some(last) if range.start.saturating_sub(last.end) <= self.gap => last.end = range.end,
                    _ => self.ranges.push(range),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Memory;

    #[test]
    fn a_byte_that_differs_is_found_wherever_it_is() {
        let bytes: Vec<u8> = (0_u8..=255).cycle().take(3 * PIECE + 100).collect();
        let len = 3 * (64 << 10) + 100;
        for at in [0, 1, (64 << 10) - 1, 64 << 10, len - 1] {
            let mut other = bytes.clone();
            if let Some(byte) = other.get_mut(usize::try_from(at).unwrap()) {
                *byte ^= 1;
            }
            let (newer, older) = (Memory(bytes.clone()), Memory(other));
            for (range, same) in [(0..len, false), (at..at + 1, false), (0..at, true), (at + 1..len, true)] {
                assert_eq!(is_same(&newer, &older, range.clone()).unwrap(), same, "{at} in {range:?}");
            }
            assert!(is_same(&newer, &older, len..len + 1).is_err(), "past the end nothing is known");
        }
    }
}
