//! A metadata area: a header, and a ring in which copies of the text follow one another.
//!
//! `lib/format_text/layout.h`, `struct mda_header`, little-endian, 512 bytes: checksum at 0 of all that follows,
//! magic at 4, version 1 at 20, the area's offset and size on the device at 24 and 32, and from 40 on the
//! `struct raw_locn`s: offset of the text in the area, its size (64 bit each), its checksum, flags. The first is that
//! of the text in force. A text that does not fit before the end of the area goes on behind the header.

use super::{
    LAYER,
    label::{CRC_START, crc},
    pv_header::DiskLocn,
};
use crate::{
    error::{Error, Result},
    field::{has, le32, le64, wide},
    image::Image,
};

const HEADER: usize = 512;

const MAGIC: &[u8] = b" LVM2 x[5A%r0N*>";

/// The area is kept and not written to (`RAW_LOCN_IGNORED`).
const IGNORED: u32 = 1;

/// A longer text is not read; those of thousands of volumes stay below 4 MiB.
const MAX_TEXT: u64 = 16 << 20;

/// What a metadata area holds.
pub(super) enum Mda {
    /// Nothing: the physical volume belongs to no group.
    Empty,
    /// Nothing that is in force: the group keeps its metadata elsewhere.
    Ignored,
    /// The text, its checksum verified.
    Text(Vec<u8>),
}

/// Reads the area at `place`.
pub(super) fn read(image: &dyn Image, place: DiskLocn) -> Result<Mda> {
    let wrong = |what: String| Error::corrupt(LAYER, format!("metadata area at {:#x}", place.offset), what);
    let mut header = [0; HEADER];
    image.read_at(place.offset, &mut header)?;
    let (stored, found) = (le32(&header, 0), crc(CRC_START, header.get(4..).unwrap_or_default()));
    if stored != Some(found) {
        let stored = stored.unwrap_or_default();
        return Err(wrong(format!("checksum of its header {found:#010x}, expected {stored:#010x}")));
    }
    if !has(&header, 4, MAGIC) || le32(&header, 20) != Some(1) {
        return Err(wrong("no header of version 1".to_owned()));
    }
    let field = |at| le64(&header, at).unwrap_or_default();
    let (start, size) = (field(24), field(32));
    if start != place.offset {
        return Err(wrong(format!("its header says that it is at {start:#x}")));
    }
    let (offset, len) = (field(40), field(48));
    if le32(&header, 60).unwrap_or_default() & IGNORED != 0 {
        return Ok(Mda::Ignored);
    }
    if offset == 0 {
        return Ok(Mda::Empty);
    }
    if len > MAX_TEXT {
        return Err(Error::budget(LAYER, format!("text of {len} bytes at {start:#x}: at most {MAX_TEXT} are read")));
    }
    if offset < wide(HEADER) || offset >= size || len > size.saturating_sub(wide(HEADER)) {
        return Err(wrong(format!("text of {len} bytes at +{offset:#x} in an area of {size:#x}")));
    }
    let mut text = vec![0; usize::try_from(len).unwrap_or_default()];
    let before_end = usize::try_from(len.min(size.saturating_sub(offset))).unwrap_or_default().min(text.len());
    let (first, wrapped) = text.split_at_mut(before_end);
    let at = |offset: u64| start.checked_add(offset).ok_or_else(|| wrong("it lies past 16 EiB".to_owned()));
    image.read_at(at(offset)?, first)?;
    if !wrapped.is_empty() {
        image.read_at(at(wide(HEADER))?, wrapped)?;
    }
    let (stored, found) = (le32(&header, 56).unwrap_or_default(), crc(CRC_START, &text));
    if stored != found {
        return Err(wrong(format!("checksum of its text {found:#010x}, expected {stored:#010x}")));
    }
    Ok(Mda::Text(text))
}
