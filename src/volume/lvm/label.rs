//! The label of a physical volume: one of the first four sectors.
//!
//! `lib/format_text/layout.h`, `struct label_header`, little-endian: id `LABELONE` at 0, number of its sector at 8
//! (64 bit), checksum at 16 of all from 20 to the end of the sector, offset of the physical volume's header in the
//! sector at 20, type `LVM2 001` at 24.

use super::{LAYER, pv_header::PvHeader};
use crate::{
    checksum::crc32,
    error::{Error, Result},
    field::{has, le32, le64, len32, wide},
    image::Image,
};

/// The unit of labels, whatever the disk's own is.
const SECTOR: usize = 512;

/// Sectors in which a label may stand.
const SECTORS: u64 = 4;

/// The register of LVM2's CRC-32 before the first byte (`lib/misc/crc.h`); it is not inverted afterwards.
pub(super) const CRC_START: u32 = 0xf597_a6cf;

/// LVM2's checksum of `bytes`, continuing from `register`.
pub(super) fn crc(register: u32, bytes: &[u8]) -> u32 {
    crc32(register, bytes)
}

/// The header of the physical volume behind the first label that is sound.
pub(super) fn read(image: &dyn Image) -> Result<PvHeader> {
    let mut wrong = None;
    for number in 0..SECTORS {
        let at = number.saturating_mul(wide(SECTOR));
        let mut sector = [0; SECTOR];
        if at.saturating_add(wide(SECTOR)) > image.len() {
            break;
        }
        image.read_at(at, &mut sector)?;
        if !has(&sector, 0, b"LABELONE") {
            continue;
        }
        match header(&sector, number) {
            Ok(header) => return Ok(header),
            Err(what) => wrong = wrong.or(Some(Error::corrupt(LAYER, format!("label at {at:#x}"), what))),
        }
    }
    Err(wrong.unwrap_or_else(|| Error::corrupt(LAYER, "the first four sectors", "no label in them")))
}

fn header(sector: &[u8], number: u64) -> Result<PvHeader, String> {
    let stored = le32(sector, 16).unwrap_or_default();
    let found = crc(CRC_START, sector.get(20..).unwrap_or_default());
    if stored != found {
        return Err(format!("checksum {found:#010x}, expected {stored:#010x}"));
    }
    if le64(sector, 8) != Some(number) {
        return Err(format!("it stands in sector {number} and says {}", le64(sector, 8).unwrap_or_default()));
    }
    if !has(sector, 24, b"LVM2 001") {
        return Err("its type is not LVM2 001".to_owned());
    }
    len32(sector, 20)
        .and_then(|offset| sector.get(offset..))
        .and_then(PvHeader::parse)
        .ok_or_else(|| "the header of the physical volume does not fit behind it".to_owned())
}
