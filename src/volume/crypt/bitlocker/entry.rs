//! The entries of the metadata, and those inside of them. Reference: libbde, 5 "FVE metadata entry".

use crate::field::{le16, len16};

/// Kinds of entries (5.1).
pub(super) const VMK: u16 = 2;
pub(super) const FVEK: u16 = 3;
pub(super) const STARTUP_KEY: u16 = 6;
pub(super) const VOLUME_HEADER: u16 = 15;

/// Types of values (5.2).
pub(super) const KEY: u16 = 1;
pub(super) const STRETCH_KEY: u16 = 3;
pub(super) const SEALED_KEY: u16 = 5;
pub(super) const EXTERNAL_KEY: u16 = 9;

/// Bytes in front of an entry's data.
const HEADER: usize = 8;

/// An entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'b> {
    pub(super) kind: u16,
    pub(super) value: u16,
    pub(super) data: &'b [u8],
}

/// All entries, up to one without a size or the end. Each takes at least [`HEADER`] bytes, so they are few.
pub(super) fn all(mut bytes: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, String>> {
    std::iter::from_fn(move || {
        let size = len16(bytes, 0).filter(|size| *size > 0)?;
        let entry = bytes
            .get(HEADER..size)
            .and_then(|data| Some(Entry { kind: le16(bytes, 2)?, value: le16(bytes, 4)?, data }));
        bytes = bytes.get(size..).filter(|_| entry.is_some()).unwrap_or_default();
        Some(entry.ok_or_else(|| format!("its metadata are damaged: an entry of {size} bytes")))
    })
}
