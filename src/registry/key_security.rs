//! Key security: one security descriptor, shared by all keys that have the same.
//!
//! \[regf\] "Key security": `sk`; then at offset 16 the descriptor's size (32 bits), 20 the descriptor.

use super::cell;
use crate::{
    error::Result,
    field::{le32, narrow, slice},
};

/// Which security descriptor of the hive; equal for keys that share one, so that its text can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecurityId(pub(super) u32);

/// The self-relative security descriptor of an `sk` cell.
pub(super) fn descriptor(bins: &[u8], id: SecurityId) -> Result<&[u8]> {
    let record = cell::record(bins, id.0, b"sk", "key security")?;
    let size = le32(record, 16).unwrap_or(0);
    slice(record, 20, narrow(size)).ok_or_else(|| {
        cell::corrupt(
            id.0,
            format!("security descriptor of {size:#x} bytes leaves its cell, {:#x} bytes", record.len()),
        )
    })
}
