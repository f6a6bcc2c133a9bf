//! The checksums of the format: CRC-32C of the metadata, CRC-16 of old group descriptors, big-endian CRC-32 of old
//! journals. All are the bare registers: the caller gives the start value, nothing is inverted at the end.
//! See "Checksums" in the kernel's ext4 documentation.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tables of 256 entries are indexed by single bytes, and const fn has no other way to build them"
)]

pub(super) use crate::checksum::crc32c;

/// CRC-16 (ANSI), reflected.
const ANSI: u16 = 0xA001;
/// CRC-32 (IEEE 802.3), most significant bit first.
const IEEE: u32 = 0x04C1_1DB7;

static CRC16: [u16; 256] = ansi_table();
static CRC32_BE: [u32; 256] = ieee_table();

const fn ansi_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ ANSI } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

const fn ieee_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 31 == 1 { (crc << 1) ^ IEEE } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// CRC-16 of `bytes`, going on from `crc` (group descriptors of filesystems without metadata_csum).
pub(super) fn crc16(mut crc: u16, bytes: &[u8]) -> u16 {
    for byte in bytes {
        crc = (crc >> 8) ^ CRC16[usize::from(crc.to_le_bytes()[0] ^ byte)];
    }
    crc
}

/// Big-endian CRC-32 of `bytes`, going on from `crc` (journals with the first kind of checksum).
pub(super) fn crc32_be(mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc = (crc << 8) ^ CRC32_BE[usize::from(crc.to_be_bytes()[0] ^ byte)];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    // The check values of the CRC catalogue over "123456789".
    #[test]
    fn catalogue_values() {
        assert_eq!(crc16(0, b"123456789"), 0xBB3D, "CRC-16/ARC");
        assert_eq!(crc32_be(!0, b"123456789"), 0x0376_E6E7, "CRC-32/MPEG-2");
    }
}
