//! CRC-32C (Castagnoli), which every structure of the format carries (2.2.2, 2.2.3, 2.3.1.1).

const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What one byte does to the checksum.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0_u32;
    while n < 256 {
        let mut crc = n;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::as_conversions, clippy::indexing_slicing, reason = "constant, and n is below 256")]
        {
            table[n as usize] = crc;
        }
        n += 1;
    }
    table
};

/// The checksum of `bytes`, of which the four at `hole`, where it is stored, count as zeros.
pub(super) fn crc32c(bytes: &[u8], hole: usize) -> u32 {
    let hole = hole..hole.saturating_add(4);
    let crc = bytes.iter().enumerate().fold(u32::MAX, |crc, (at, byte)| {
        let byte = if hole.contains(&at) { 0 } else { *byte };
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ TABLE.get(usize::from(low ^ byte)).copied().unwrap_or(0)
    });
    !crc
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_catalogue() {
        // RFC 3720, B.4, and the check value of CRC-32/ISCSI.
        assert_eq!(super::crc32c(b"123456789", 100), 0xe306_9283);
        assert_eq!(super::crc32c(&[0; 32], 0), 0x8a91_36aa);
    }
}
