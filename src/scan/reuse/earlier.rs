//! The disks as they were, where they can still be read. A list of changes names whole clusters, and in those lie
//! neighbours of what changed: a content that reaches into one need not be read to its end to see that it is the same.

use std::{ops::Range, sync::Arc};

use crate::{error::Result, image::Image};

/// Bytes that are compared at once.
const PIECE: usize = 64 << 10;

/// A disk as it is, and as the scan before read it.
pub struct Earlier {
    /// As it is.
    pub now: Arc<dyn Image>,
    /// As it was.
    pub before: Arc<dyn Image>,
}

impl Earlier {
    /// Whether all bytes of a range are what they were.
    pub(super) fn is_same(&self, range: Range<u64>) -> Result<bool> {
        let (mut now, mut before) = (Vec::new(), Vec::new());
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
            for (image, bytes) in [(&self.now, &mut now), (&self.before, &mut before)] {
                bytes.resize(len, 0);
                image.read_at(at, bytes)?;
            }
            if now != before {
                return Ok(false);
            }
            at = at.saturating_add(len as u64);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Memory;

    #[test]
    fn a_byte_that_differs_is_found_wherever_it_is() {
        let bytes: Vec<u8> = (0..3 * PIECE + 100).map(|n| (n / 7) as u8).collect();
        for at in [0, 1, PIECE - 1, PIECE, 3 * PIECE + 98] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let disk = Earlier { now: Arc::new(Memory(bytes.clone())), before: Arc::new(Memory(other)) };
            let at = at as u64;
            for (range, is_same) in
                [(0..bytes.len() as u64, false), (at..at + 1, false), (0..at, true), (at + 1..bytes.len() as u64, true)]
            {
                assert_eq!(disk.is_same(range.clone()).unwrap(), is_same, "{at} in {range:?}");
            }
            let end = bytes.len() as u64;
            assert!(disk.is_same(end..end + 1).is_err(), "past the end nothing is known");
        }
    }
}
