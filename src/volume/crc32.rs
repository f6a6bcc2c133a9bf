//! CRC-32 as GPT uses it: polynomial 0x04C11DB7 reflected, all ones before and after (UEFI 2.10, section 4.2).
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

const REFLECTED: u32 = 0xedb8_8320;

/// The checksum of `bytes`.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (REFLECTED & 0_u32.wrapping_sub(crc & 1)))
    });
    !crc
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_value() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
