//! An extent as forks and trees keep it: 128 bits, big-endian. See "Extents" in *XFS Algorithms & Data Structures*.

use super::bytes::be64;

/// Length of a record.
pub(super) const RECORD: usize = 16;

/// Bit 127: unwritten; 126 to 73: file offset; 72 to 21: block; 20 to 0: length; all in blocks.
pub(super) struct Record {
    pub(super) logical: u64,
    pub(super) block: u64,
    pub(super) len: u64,
    pub(super) unwritten: bool,
}

impl Record {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let (high, low) = (be64(bytes, 0), be64(bytes, 8));
        Self {
            logical: (high & 0x7FFF_FFFF_FFFF_FFFF).wrapping_shr(9),
            block: (high & 0x1FF).wrapping_shl(43) | low.wrapping_shr(21),
            len: low & 0x1F_FFFF,
            unwritten: high.wrapping_shr(63) == 1,
        }
    }
}
