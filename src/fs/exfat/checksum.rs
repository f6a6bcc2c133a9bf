//! The sums of exFAT: rotate right by one, add a byte.

/// Over the sectors of a boot region (3.4) and over the up-case table (7.2.2).
pub(super) fn sum32(start: u32, bytes: impl IntoIterator<Item = u8>) -> u32 {
    bytes.into_iter().fold(start, |sum, byte| sum.rotate_right(1).wrapping_add(u32::from(byte)))
}

/// Over the entries of a set (6.3.3).
pub(super) fn sum16(bytes: impl IntoIterator<Item = u8>) -> u16 {
    bytes.into_iter().fold(0, |sum: u16, byte| sum.rotate_right(1).wrapping_add(u16::from(byte)))
}
