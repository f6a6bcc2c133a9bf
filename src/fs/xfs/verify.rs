//! What metadata of version 5 says about itself: checksum, place, filesystem and owner.
//! See "Self Describing Metadata" in *XFS Algorithms & Data Structures*.

use super::{
    bytes::{array, be64, le32, put},
    volume::Volume,
};
use crate::checksum::crc32c;

/// Places are counted in these, whatever the sector size.
pub(super) const BASIC_BLOCK: u64 = 512;

/// Where a structure keeps these fields.
pub(super) struct Layout {
    /// CRC-32C of the whole structure with this field zero; little-endian, unlike everything else.
    pub(super) crc: usize,
    /// Its own place, in units of 512 bytes.
    pub(super) place: usize,
    pub(super) uuid: usize,
    /// The inode it belongs to.
    pub(super) owner: usize,
}

fn compute(bytes: &[u8], at: usize) -> Option<u32> {
    let (head, rest) = bytes.split_at_checked(at)?;
    Some(!crc32c(crc32c(crc32c(!0, head), &[0; 4]), rest.get(4..).unwrap_or_default()))
}

/// Gives a structure that was replayed the checksum that it would be written with.
pub(super) fn seal(bytes: &mut [u8], at: usize) {
    if let Some(computed) = compute(bytes, at) {
        put(bytes, at, computed.to_le_bytes());
    }
}

/// What is wrong with the checksum, if anything.
pub(super) fn crc(bytes: &[u8], at: usize) -> Option<String> {
    let Some(computed) = compute(bytes, at) else { return Some("too short for its checksum".to_owned()) };
    let found = le32(bytes, at);
    (computed != found).then(|| format!("checksum {found:#010x} instead of {computed:#010x}"))
}

/// What is wrong with a structure of version 5 at byte `offset` that belongs to `owner`, if anything.
pub(super) fn block(volume: &Volume, bytes: &[u8], layout: &Layout, offset: u64, owner: u64) -> Option<String> {
    let superblock = &volume.superblock;
    if !superblock.features.v5 {
        return None;
    }
    // What was replayed gets its checksum when it is written.
    if let Some(what) = crc(bytes, layout.crc).filter(|_| !volume.overlay.touches(offset, bytes.len())) {
        return Some(what);
    }
    if array::<16>(bytes, layout.uuid) != superblock.meta_uuid {
        return Some("the UUID is that of another filesystem".to_owned());
    }
    let (found, expected) = (be64(bytes, layout.owner), owner);
    if found != expected && !volume.overlay.is_reowned(owner) {
        return Some(format!("it belongs to inode {found} instead of {expected}"));
    }
    let (found, expected) = (be64(bytes, layout.place), offset.checked_div(BASIC_BLOCK).unwrap_or(0));
    (found != expected).then(|| format!("it says it is sector {found:#x} and is {expected:#x}"))
}
