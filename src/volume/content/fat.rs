//! FAT, told by the BIOS parameter block of its boot sector (Microsoft, "FAT: General Overview of On-Disk
//! Format" 1.03, "Boot Sector and BPB"), as it has no magic that all makers write.

use super::signature::{Found, View};
use crate::field::{byte, le16, le32};

/// Whether the boot sector's fields fit together.
fn plausible(sector: &[u8]) -> Option<bool> {
    let bytes_per_sector = le16(sector, 11)?;
    let sectors_per_cluster = byte(sector, 13)?;
    let reserved = le16(sector, 14)?;
    let fats = byte(sector, 16)?;
    let total = if le16(sector, 19)? != 0 { u32::from(le16(sector, 19)?) } else { le32(sector, 32)? };
    let media = byte(sector, 21)?;
    let fat_size = if le16(sector, 22)? != 0 { u32::from(le16(sector, 22)?) } else { le32(sector, 36)? };
    Some(
        matches!(bytes_per_sector, 512 | 1024 | 2048 | 4096)
            && sectors_per_cluster.is_power_of_two()
            && reserved != 0
            && (1..=4).contains(&fats)
            && matches!(media, 0xf0 | 0xf8..)
            && total != 0
            && fat_size != 0
            && matches!(byte(sector, 0)?, 0xeb | 0xe9 | 0x00 | 0x60),
    )
}

pub(super) fn fat(view: &View) -> Option<Found> {
    let sector = view.bytes(0, 512)?;
    if !plausible(sector)? {
        return None;
    }
    // FAT32 has no 16-bit size of the FAT, and its extended boot record begins 28 bytes later.
    let extended: usize = if le16(sector, 22)? == 0 { 64 } else { 36 };
    let serial = match byte(sector, extended.checked_add(2)?)? {
        0x28 | 0x29 => le32(sector, extended.checked_add(3)?).filter(|&serial| serial != 0),
        _ => None,
    };
    let serial = serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
    Some(Found::filesystem("vfat").id(serial))
}
