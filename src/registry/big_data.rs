//! Big data: a value of more than 16,344 bytes, in segments.
//!
//! \[regf\] "Big data": `db`, number of segments (16 bits), offset of the list of segments (32 bits); the list is
//! one offset (32 bits) a segment. All segments but the last hold 16,344 bytes. Since version 1.4.

use super::cell;
use crate::{
    error::Fault,
    field::{le16, le32},
};

/// Bytes in a full segment, and the size up to which a value lies in one cell.
pub(super) const SEGMENT: usize = 16_344;

/// The value's `size` bytes; what could be read of them, and why not all.
pub(super) fn read(bins: &[u8], at: u32, record: &[u8], size: usize) -> (Vec<u8>, Option<Fault>) {
    let mut data = Vec::with_capacity(size.min(bins.len()));
    let fault = append(bins, at, record, size, &mut data).err();
    (data, fault)
}

fn append(bins: &[u8], at: u32, record: &[u8], size: usize, data: &mut Vec<u8>) -> Result<(), Fault> {
    if size > bins.len() {
        // Segments could be one cell, again and again.
        return Err(cell::fault(at, format!("{size} bytes of data stated, more than the hive's {}", bins.len())));
    }
    let count = le16(record, 2).unwrap_or(0);
    let list_at = le32(record, 4).unwrap_or(super::NIL);
    let list = cell::read(bins, list_at, "list of segments")?;
    for number in 0..usize::from(count) {
        let wanted = size.saturating_sub(data.len()).min(SEGMENT);
        if wanted == 0 {
            return Ok(());
        }
        let Some(segment_at) = le32(list, number.saturating_mul(4)) else {
            return Err(cell::fault(list_at, format!("list of segments ends after {number} of {count}")));
        };
        let segment = cell::read(bins, segment_at, "data segment")?;
        data.extend_from_slice(segment.get(..wanted.min(segment.len())).unwrap_or_default());
        if segment.len() < wanted {
            return Err(cell::fault(segment_at, format!("{wanted} bytes of data expected, found {}", segment.len())));
        }
    }
    if data.len() < size {
        return Err(cell::fault(at, format!("{size} bytes of data expected, {count} segments hold {}", data.len())));
    }
    Ok(())
}
