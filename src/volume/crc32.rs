//! CRC-32 and CRC-32C by table, one byte a step: the bare registers, and CRC-32 as GPT uses it.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

/// A table for one reflected polynomial.
pub(super) struct Table([u32; 256]);

/// IEEE 802.3: 0x04C11DB7, reflected.
pub(super) static IEEE: Table = Table::new(0xedb8_8320);

/// Castagnoli: 0x1EDC6F41, reflected.
pub(super) static CASTAGNOLI: Table = Table::new(0x82f6_3b78);

impl Table {
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a const fn has no other way to fill a table of 256 entries"
    )]
    const fn new(reflected: u32) -> Self {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ reflected } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        Self(table)
    }

    /// The register after `bytes`, when it was `register` before; nothing is inverted.
    pub(super) fn register(&self, register: u32, bytes: &[u8]) -> u32 {
        bytes.iter().fold(register, |crc, &byte| {
            let [low, ..] = crc.to_le_bytes();
            (crc >> 8) ^ self.0.get(usize::from(low ^ byte)).copied().unwrap_or_default()
        })
    }
}

/// The checksum of `bytes` as GPT uses it: all ones before, inverted after (UEFI 2.10, section 4.2).
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !IEEE.register(u32::MAX, bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_value() {
        // The check values of CRC-32/ISO-HDLC and CRC-32/ISCSI in the catalogue of parametrised CRC algorithms.
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(!super::CASTAGNOLI.register(u32::MAX, b"123456789"), 0xe306_9283);
    }
}
