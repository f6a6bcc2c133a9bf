//! The boot sector: geometry, and where the MFT begins.
//!
//! Reference: ntfs-3g `layout.h` (`NTFS_BOOT_SECTOR`, `BIOS_PARAMETER_BLOCK`); Microsoft's technical reference "How
//! NTFS Works", boot sector layout.

use crate::{
    error::{Error, Result},
    field::{byte, le16, le64, narrow, slice},
};

use super::LAYER;

/// Bytes of the boot sector that are read; the fields lie in its first 80 bytes.
pub(super) const BOOT_SECTOR_SIZE: usize = 512;
const OEM_ID: &[u8] = b"NTFS    ";
/// The largest cluster that Windows makes (since Windows 10 1709).
const MAX_CLUSTER_SIZE: u64 = 2 << 20;
/// The largest MFT record and index block that are accepted; Windows makes 1 KiB and 4 KiB.
const MAX_RECORD_SIZE: u64 = 64 << 10;

/// What the boot sector says; all sizes are in bytes and powers of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BootSector {
    pub(super) sector_size: u64,
    pub(super) cluster_size: u64,
    /// Sectors of the volume, without the backup boot sector behind it.
    pub(super) sectors: u64,
    pub(super) mft_lcn: u64,
    pub(super) mft_mirror_lcn: u64,
    pub(super) record_size: usize,
    pub(super) index_block_size: usize,
    pub(super) serial: u64,
}

impl BootSector {
    /// Whether the sector calls itself NTFS.
    pub(super) fn claims_ntfs(bytes: &[u8]) -> bool {
        slice(bytes, 3, OEM_ID.len()) == Some(OEM_ID)
    }

    /// Parses the first sector of a volume (0x0b bytes per sector, 0x0d sectors per cluster, 0x28 sectors, 0x30 and
    /// 0x38 first clusters of `$MFT` and `$MFTMirr`, 0x40 and 0x44 record sizes, 0x48 serial number).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if !Self::claims_ntfs(bytes) {
            return Err(wrong("OEM id", "\"NTFS    \"", "something else"));
        }
        let short = || wrong("length", BOOT_SECTOR_SIZE, bytes.len());
        let u64_at = |at| le64(bytes, at).ok_or_else(short);

        let sector_size = u64::from(le16(bytes, 0x0B).ok_or_else(short)?);
        if !sector_size.is_power_of_two() || !(256..=4096).contains(&sector_size) {
            return Err(wrong("bytes per sector", "a power of two from 256 to 4096", sector_size));
        }
        let raw = byte(bytes, 0x0D).ok_or_else(short)?;
        // Above 0x80 the byte is a negative power of two: clusters of 128 KiB and more with 512-byte sectors.
        let per_cluster =
            if raw > 0x80 { 1_u64.checked_shl(u32::from(raw.wrapping_neg())).unwrap_or(0) } else { u64::from(raw) };
        let cluster_size = sector_size.saturating_mul(per_cluster);
        if !per_cluster.is_power_of_two() || cluster_size > MAX_CLUSTER_SIZE {
            return Err(wrong("sectors per cluster", "a power of two and clusters up to 2 MiB", format!("{raw:#x}")));
        }
        let sectors = u64_at(0x28)?;
        if sectors == 0 || sectors.checked_mul(sector_size).is_none_or(|size| size > i64::MAX.unsigned_abs()) {
            return Err(wrong("number of sectors", "more than 0, less than 8 EiB", sectors));
        }
        let record = |at: usize, name: &str| -> Result<usize> {
            let raw = byte(bytes, at).ok_or_else(short)?;
            let size = match i8::from_le_bytes([raw]) {
                n if n > 0 => cluster_size.saturating_mul(u64::from(raw)),
                n => 1_u64.checked_shl(u32::from(n.unsigned_abs())).unwrap_or(0),
            };
            if !size.is_power_of_two() || !(512..=MAX_RECORD_SIZE).contains(&size) {
                return Err(wrong(name, "a power of two from 512 to 65536", format!("{size} ({raw:#x})")));
            }
            Ok(narrow(size))
        };
        let boot = Self {
            sector_size,
            cluster_size,
            sectors,
            mft_lcn: u64_at(0x30)?,
            mft_mirror_lcn: u64_at(0x38)?,
            record_size: record(0x40, "size of an MFT record")?,
            index_block_size: record(0x44, "size of an index block")?,
            serial: u64_at(0x48)?,
        };
        if boot.mft_lcn >= boot.clusters() {
            return Err(wrong(
                "first cluster of $MFT",
                format!("below {:#x}", boot.clusters()),
                format!("{:#x}", boot.mft_lcn),
            ));
        }
        Ok(boot)
    }

    /// Size of the volume in bytes.
    pub(super) fn volume_size(&self) -> u64 {
        self.sectors.saturating_mul(self.sector_size)
    }

    /// Number of clusters; a last one that is cut short counts.
    pub(super) fn clusters(&self) -> u64 {
        self.volume_size().div_ceil(self.cluster_size.max(1))
    }
}

fn wrong(what: &str, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::corrupt(LAYER, "boot sector", format!("{what}: expected {expected}, found {found}"))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn sector() -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[3..11].copy_from_slice(b"NTFS    ");
        bytes[0x0B..0x0D].copy_from_slice(&512_u16.to_le_bytes());
        bytes[0x0D] = 8;
        bytes[0x28..0x30].copy_from_slice(&0xFFFF_u64.to_le_bytes());
        bytes[0x30..0x38].copy_from_slice(&4_u64.to_le_bytes());
        bytes[0x40] = 0xF6;
        bytes[0x44] = 1;
        bytes
    }

    #[test]
    fn sizes_in_clusters_and_as_negative_powers() {
        let boot = BootSector::parse(&sector()).unwrap();
        assert_eq!((boot.cluster_size, boot.record_size, boot.index_block_size), (4096, 1024, 4096));
        let mut large = sector();
        large[0x0D] = 0xF4; // 2^12 sectors of 512 bytes
        large[0x44] = 0xF4;
        let boot = BootSector::parse(&large).unwrap();
        assert_eq!((boot.cluster_size, boot.index_block_size), (2 << 20, 4096));
    }

    #[test]
    fn nonsense_is_refused() {
        for (at, value) in
            [(0x0B, 1), (0x0D, 0), (0x0D, 3), (0x0D, 0x81), (0x40, 0), (0x40, 0x80), (0x44, 0xE0), (0x33, 1), (3, 0)]
        {
            let mut bytes = sector();
            bytes[at] = value;
            assert!(BootSector::parse(&bytes).is_err(), "{at:#x}");
        }
        assert!(BootSector::parse(&sector()[..60]).is_err());
    }
}
