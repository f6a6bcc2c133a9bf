//! Cells, the pieces of a hive bin that records lie in: \[regf\] "Cell".
//!
//! A size (32 bits, signed; negative where the cell is in use, and counting itself), then the record.

use super::LAYER;
use crate::{
    error::{Error, Fault, Result},
    field::{le32, narrow, slice},
};

const SIZE: usize = 4;
/// A cell and its size take at least this.
const MIN_CELL: u32 = 8;

/// What a cell holds, behind its size.
///
/// Cells that are marked as free are read as well: a live record that leads to one is a live record.
pub(super) fn read<'h>(bins: &'h [u8], at: u32, what: &str) -> Result<&'h [u8]> {
    let offset = narrow(at);
    let Some(size) = le32(bins, offset) else {
        return Err(corrupt(at, format!("{what} past the end of the hive bins, {:#x} bytes", bins.len())));
    };
    let size = size.cast_signed().unsigned_abs();
    if size < MIN_CELL {
        return Err(corrupt(at, format!("{what} in a cell of {size} bytes: at least {MIN_CELL} expected")));
    }
    slice(bins, offset, narrow(size)).and_then(|cell| cell.get(SIZE..)).ok_or_else(|| {
        corrupt(at, format!("{what} in a cell of {size:#x} bytes that leaves the hive bins, {:#x} bytes", bins.len()))
    })
}

/// The cell of a record with a signature.
pub(super) fn record<'h>(bins: &'h [u8], at: u32, signature: &[u8; 2], what: &str) -> Result<&'h [u8]> {
    let cell = read(bins, at, what)?;
    if cell.starts_with(signature) {
        return Ok(cell);
    }
    let expected = signature.escape_ascii();
    let found = cell.get(..2).unwrap_or_default().escape_ascii();
    Err(corrupt(at, format!("{what}: signature {expected} expected, found {found}")))
}

/// Damage in the cell at an offset.
pub(super) fn corrupt(at: u32, what: impl Into<String>) -> Error {
    Error::corrupt(LAYER, place(at), what)
}

/// The same as a fact about one key or value.
pub(super) fn fault(at: u32, what: impl Into<String>) -> Fault {
    Fault::new(LAYER, place(at), what)
}

fn place(at: u32) -> String {
    format!("cell {at:#x}")
}
