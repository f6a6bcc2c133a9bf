//! The area for fast commits, behind the log. See "Fast commits" in the kernel's ext4 documentation. It is not cleared
//! by a clean unmount: only what follows the log's last whole transaction counts.

use super::super::bytes::{le16, le32};

const TAG_HEAD: u16 = 9;
/// Tag and length before each value.
const HEADER: usize = 4;

/// Whether the area's first block begins a fast commit on top of transaction `expected`.
pub(super) fn follows(block: &[u8], expected: u32) -> bool {
    le16(block, 0) == TAG_HEAD && le16(block, 2) >= 8 && le32(block, HEADER + 4) == expected
}

#[cfg(test)]
mod tests {
    use super::follows;

    #[test]
    fn only_the_expected_transaction_counts() {
        let block = [9, 0, 8, 0, 0, 0, 0, 0, 7, 0, 0, 0];
        assert!(follows(&block, 7));
        assert!(!follows(&block, 8));
        assert!(!follows(&[0; 12], 0));
        assert!(!follows(&[], 0));
    }
}
