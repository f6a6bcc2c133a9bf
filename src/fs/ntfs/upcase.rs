//! `$UpCase`: the volume's own table of upper-case letters.
//!
//! Reference: ntfs-3g `layout.h` (`FILE_UpCase`): 65,536 units, one for each.

use crate::{error::Result, field::units, fs::upcase::UpCase};

use super::{attribute, reader::Reader, record::Reference};

/// Record of `$UpCase`.
const RECORD: u64 = 10;
const UNITS: usize = 1 << 16;

/// Reads the table; without one, the simple upper-case mapping of Unicode stands in, and `gaps` says so.
pub(super) fn load(reader: &mut Reader<'_>, gaps: &mut Vec<String>) -> UpCase {
    UpCase::new(read(reader).unwrap_or_else(|error| {
        gaps.push(format!("$UpCase cannot be read, names are folded by Unicode's table: {error}"));
        Vec::new()
    }))
}

fn read(reader: &mut Reader<'_>) -> Result<Vec<u16>> {
    let file = reader.file(Reference(RECORD))?;
    let bytes = file.small_value(reader.volume, attribute::DATA, &[], UNITS.saturating_mul(2))?;
    Ok(units(&bytes.unwrap_or_default()).collect())
}
