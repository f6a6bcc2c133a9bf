//! The copy of a FAT32's boot sector, in the reserved sector that `BPB_BkBootSec` names (section "Boot Sector and
//! BPB"). A boot sector in which one number is wrong gives a volume without files; only the copy shows it.

use super::{LAYER, boot_sector::SECTOR_SIZES};
use crate::{
    field::{has, le16, slice},
    image::Image,
};

/// What the files are found by: name, offset and length.
const LAYOUT: [(&str, usize, usize); 11] = [
    ("bytes per sector", 11, 2),
    ("sectors per cluster", 13, 1),
    ("reserved sectors", 14, 2),
    ("number of FATs", 16, 1),
    ("entries of the root directory", 17, 2),
    ("sectors of the volume", 19, 2),
    ("sectors of the volume", 32, 4),
    ("sectors of a FAT", 22, 2),
    ("sectors of a FAT", 36, 4),
    ("FAT in use", 40, 2),
    ("first cluster of the root directory", 44, 4),
];

const SIGNATURE: &[u8] = &[0x55, 0xaa];
const SIGNATURE_AT: usize = 510;

/// What the copy says.
pub(super) enum Backup {
    /// The boot sector names none.
    Unnamed,
    /// One is named, and no boot sector is there.
    Absent,
    /// It gives the same layout.
    Same,
    /// It gives another one: which fields differ.
    Other(String),
}

/// Compares the boot sector with its copy.
pub(super) fn compare(image: &dyn Image) -> Backup {
    let mut main = [0; 512];
    let named = image.read_at(0, &mut main).ok().and_then(|()| named(&main));
    let Some((number, sector_size, reserved)) = named else { return Backup::Unnamed };
    // Where the size of a sector or the number of reserved ones is what is wrong, the copy lies where its own fields
    // put it.
    let sizes = std::iter::once(sector_size).chain(SECTOR_SIZES.into_iter().filter(|&size| size != sector_size));
    let copy = sizes.into_iter().find_map(|size| {
        let mut copy = [0; 512];
        image.read_at(u64::from(number).checked_mul(size)?, &mut copy).ok()?;
        let expected = size == sector_size && number < reserved;
        let states_it = le16(&copy, 11).map(u64::from) == Some(size) && number_of_copy(&copy) == Some(number);
        (has(&copy, SIGNATURE_AT, SIGNATURE) && (expected || states_it)).then_some(copy)
    });
    let Some(copy) = copy else { return Backup::Absent };
    let mut differing: Vec<&str> = LAYOUT
        .iter()
        .filter(|(_, at, len)| slice(&main, *at, *len) != slice(&copy, *at, *len))
        .map(|(name, ..)| *name)
        .collect();
    differing.dedup();
    match differing.as_slice() {
        [] => Backup::Same,
        fields => Backup::Other(fields.join(", ")),
    }
}

/// The copy's sector, the size of a sector and the number of reserved ones.
fn named(main: &[u8; 512]) -> Option<(u16, u64, u16)> {
    Some((number_of_copy(main)?, le16(main, 11)?.into(), le16(main, 14)?))
}

/// The sector of the copy. Only FAT32 has one; neither 0 nor 0xffff names any.
fn number_of_copy(sector: &[u8; 512]) -> Option<u16> {
    let is_fat32 = le16(sector, 22)? == 0;
    le16(sector, 50).filter(|number| is_fat32 && !matches!(number, 0 | 0xffff))
}

/// The gap of a volume whose copy gives another layout.
pub(super) fn gap(fields: &str) -> String {
    format!("{LAYER}: the boot sector and its backup differ ({fields}); the first was read")
}
