//! The cyclic redundancy checks that several formats share, as bare registers: the caller gives the register before the
//! first byte, nothing is inverted at either end, and pieces may be given one after the other. Each format says itself
//! what its register begins with and whether it is inverted. Checks that one format alone has stand there.

/// The register of CRC-32C (Castagnoli, 0x1EDC6F41, reflected) after `bytes`.
pub(crate) fn crc32c(register: u32, bytes: &[u8]) -> u32 {
    // The library's values are inverted on both sides.
    !::crc32c::crc32c_append(!register, bytes)
}

/// The register of CRC-32 (IEEE 802.3, 0x04C11DB7, reflected) after `bytes`.
pub(crate) fn crc32(register: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(!register);
    hasher.update(bytes);
    !hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The check values of CRC-32/ISCSI and CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms, and of
    // 32 zeros in RFC 3720, B.4.
    #[test]
    fn catalogue_values() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(!crc32c(!0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(!crc32(!0, b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for crc in [crc32c, crc32] {
            for cut in [0, 1, 7, 8, 9, 500, 999, 1000] {
                let (head, tail) = bytes.split_at(cut);
                assert_eq!(crc(crc(!0, head), tail), crc(!0, &bytes));
                assert_eq!(crc(crc(0xf597_a6cf, head), tail), crc(0xf597_a6cf, &bytes), "as LVM2 begins");
            }
        }
    }
}
