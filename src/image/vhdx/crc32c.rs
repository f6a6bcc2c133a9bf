//! The checksum that every structure of the format carries: CRC-32C (2.2.2, 2.2.3, 2.3.1.1).

use crate::checksum;

/// The checksum of `bytes`, of which the four at `hole`, where it is stored, count as zeros.
pub(super) fn crc32c(bytes: &[u8], hole: usize) -> u32 {
    let (head, rest) = bytes.split_at(hole.min(bytes.len()));
    let (stored, rest) = rest.split_at(rest.len().min(4));
    let zeros = [0; 4];
    let zeros = zeros.get(..stored.len()).unwrap_or_default();
    !checksum::crc32c(checksum::crc32c(checksum::crc32c(!0, head), zeros), rest)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_stored_counts_as_zeros() {
        // The check value of CRC-32/ISCSI in the catalogue, and that of 32 zeros in RFC 3720, B.4.
        assert_eq!(super::crc32c(b"123456789", 100), 0xe306_9283);
        for hole in [0, 13, 28, 30] {
            let mut bytes = [0; 32];
            bytes.iter_mut().skip(hole).take(4).for_each(|byte| *byte = 0xa5);
            assert_eq!(super::crc32c(&bytes, hole), 0x8a91_36aa, "at {hole}");
        }
    }
}
