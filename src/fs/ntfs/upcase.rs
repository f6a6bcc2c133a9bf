//! `$UpCase`: the volume's own table of upper-case letters.
//!
//! Reference: ntfs-3g `layout.h` (`FILE_UpCase`): 65,536 units, one for each.

use crate::error::Result;

use super::{attribute, reader::Reader, record::Reference, wtf8};

/// Record of `$UpCase`.
const RECORD: u64 = 10;
const UNITS: usize = 1 << 16;

/// Folds case as this volume does.
pub(super) struct UpCase {
    table: Vec<u16>,
}

impl UpCase {
    /// Reads the table; without one, the simple upper-case mapping of Unicode stands in, and `gaps` says so.
    pub(super) fn load(reader: &mut Reader<'_>, gaps: &mut Vec<String>) -> Self {
        let table = Self::read(reader).unwrap_or_else(|error| {
            gaps.push(format!("$UpCase cannot be read, names are folded by Unicode's table: {error}"));
            Vec::new()
        });
        Self { table }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Vec<u16>> {
        let file = reader.file(Reference(RECORD))?;
        let bytes = file.small_value(reader.volume, attribute::DATA, &[], UNITS.saturating_mul(2))?;
        Ok(wtf8::units(&bytes.unwrap_or_default()).collect())
    }

    /// The upper-case form of a unit.
    pub(super) fn fold(&self, unit: u16) -> u16 {
        self.table.get(usize::from(unit)).copied().unwrap_or_else(|| simple(unit))
    }
}

fn simple(unit: u16) -> u16 {
    let Some(c) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}
