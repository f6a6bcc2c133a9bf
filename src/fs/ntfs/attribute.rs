//! The header of an attribute, resident or not.
//!
//! Reference: ntfs-3g `layout.h` (`ATTR_RECORD`), with the attribute types of `$AttrDef`.

use std::ops::Range;

use crate::field::{byte, le16, le32, le64, len16, len32, slice, units, wide};

pub(super) const STANDARD_INFORMATION: u32 = 0x10;
pub(super) const ATTRIBUTE_LIST: u32 = 0x20;
pub(super) const FILE_NAME: u32 = 0x30;
pub(super) const SECURITY_DESCRIPTOR: u32 = 0x50;
pub(super) const VOLUME_NAME: u32 = 0x60;
pub(super) const VOLUME_INFORMATION: u32 = 0x70;
pub(super) const DATA: u32 = 0x80;
pub(super) const INDEX_ROOT: u32 = 0x90;
pub(super) const INDEX_ALLOCATION: u32 = 0xA0;
pub(super) const BITMAP: u32 = 0xB0;
pub(super) const REPARSE_POINT: u32 = 0xC0;
pub(super) const EA: u32 = 0xE0;
const END: u32 = 0xFFFF_FFFF;

/// Which method of compression an attribute uses: 0 none, 1 LZNT1.
pub(super) const COMPRESSION_MASK: u16 = 0x00FF;
pub(super) const ENCRYPTED: u16 = 0x4000;

/// An attribute of one MFT record; ranges are bytes of that record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) kind: u32,
    /// Tells apart attributes of one record; the attribute list names it.
    pub(super) id: u16,
    pub(super) flags: u16,
    /// Empty for most; the name of a stream or an index.
    pub(super) name: Vec<u16>,
    pub(super) form: Form,
}

/// Where an attribute's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// In the record.
    Resident(Range<usize>),
    /// In clusters.
    NonResident(NonResident),
}

/// One part of a non-resident attribute. The sizes count in the first part only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NonResident {
    pub(super) lowest_vcn: u64,
    /// One past the last cluster of this part.
    pub(super) end_vcn: u64,
    /// The mapping pairs.
    pub(super) pairs: Range<usize>,
    /// Clusters of a compression unit, as a power of two.
    pub(super) unit_shift: u8,
    pub(super) size: u64,
    /// The valid data length: what lies behind it reads as zeros.
    pub(super) initialized: u64,
}

impl Attribute {
    /// Whether this is the part that holds the sizes, or the only one.
    pub(super) fn is_first(&self) -> bool {
        match &self.form {
            Form::Resident(_) => true,
            Form::NonResident(part) => part.lowest_vcn == 0,
        }
    }

    /// Length of the value as this part states it.
    pub(super) fn size(&self) -> u64 {
        match &self.form {
            Form::Resident(value) => wide(value.len()),
            Form::NonResident(part) => part.size,
        }
    }
}

/// The attributes of a record's bytes in use from `at`, up to the end mark. The second value says what does not
/// parse, with its offset; the attributes before it stand.
pub(super) fn parse_all(used: &[u8], mut at: usize) -> (Vec<Attribute>, Option<String>) {
    let mut attributes = Vec::new();
    loop {
        match le32(used, at) {
            Some(END) => return (attributes, None),
            None => return (attributes, Some(format!("no end mark before {at:#x}"))),
            Some(kind) => match parse(used, at, kind) {
                Ok((attribute, next)) => {
                    attributes.push(attribute);
                    at = next;
                }
                Err(what) => return (attributes, Some(format!("attribute {kind:#x} at {at:#x}: {what}"))),
            },
        }
    }
}

fn parse(used: &[u8], at: usize, kind: u32) -> Result<(Attribute, usize), String> {
    let short = || "header cut short".to_owned();
    let length = len32(used, at.saturating_add(4)).ok_or_else(short)?;
    let bytes = slice(used, at, length)
        .filter(|_| length >= 0x18 && length.is_multiple_of(8))
        .ok_or_else(|| format!("length {length:#x} does not fit the record"))?;
    let inside = |from: Option<usize>, len: Option<usize>, what: &str| -> Result<Range<usize>, String> {
        let (from, len) = from.zip(len).ok_or_else(short)?;
        let end = from.checked_add(len).filter(|end| *end <= bytes.len());
        let end = end.ok_or_else(|| format!("{what} at {from:#x} of {len:#x} bytes leaves the attribute"))?;
        Ok(at.saturating_add(from)..at.saturating_add(end))
    };
    let name_units = byte(bytes, 9).map(|units| usize::from(units).saturating_mul(2));
    let name = match name_units {
        Some(0) => Vec::new(),
        len => units(used.get(inside(len16(bytes, 0x0A), len, "name")?).unwrap_or_default()).collect(),
    };
    let form = match byte(bytes, 8).ok_or_else(short)? {
        0 => Form::Resident(inside(len16(bytes, 0x14), len32(bytes, 0x10), "value")?),
        1 => {
            let field = |at| le64(bytes, at).ok_or_else(short);
            let lowest_vcn = field(0x10)?;
            let highest_vcn = field(0x18)?;
            let pairs_at = len16(bytes, 0x20).ok_or_else(short)?;
            let first = lowest_vcn == 0;
            Form::NonResident(NonResident {
                lowest_vcn,
                // An attribute without clusters has -1 here.
                end_vcn: highest_vcn.wrapping_add(1),
                pairs: inside(Some(pairs_at), bytes.len().checked_sub(pairs_at), "run list")?,
                unit_shift: byte(bytes, 0x22).ok_or_else(short)?,
                size: if first { field(0x30)? } else { 0 },
                initialized: if first { field(0x38)? } else { 0 },
            })
        }
        other => return Err(format!("form {other}, expected 0 (resident) or 1")),
    };
    let flags = le16(bytes, 0x0C).ok_or_else(short)?;
    let id = le16(bytes, 0x0E).ok_or_else(short)?;
    Ok((Attribute { kind, id, flags, name, form }, at.saturating_add(length)))
}
