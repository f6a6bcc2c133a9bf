//! Hive bins, the blocks that cells lie in: \[regf\] "Hive bin".
//!
//! `hbin`; then at offset 4 the bin's own offset and at 8 its size, a multiple of 4096 (32 bits each), 20 a
//! FILETIME (of the first bin: when the hive was last written).

use super::{Replay, base_block::put};
use crate::field::{le64, len32, slice};

/// Bins are whole numbers of these.
pub(super) const PAGE: usize = 4096;
const HEADER: usize = 32;

/// The size of the bin at `at`, if what stands there is the header of a bin that belongs there.
pub(super) fn size_at(bins: &[u8], at: usize) -> Option<usize> {
    let header = slice(bins, at, HEADER)?;
    let size = len32(header, 8)?;
    let in_place = header.starts_with(b"hbin") && len32(header, 4) == Some(at);
    (in_place && size >= PAGE && size.is_multiple_of(PAGE) && bins.len().saturating_sub(at) >= size).then_some(size)
}

/// When the hive was last written, as its first bin says.
pub(super) fn timestamp(bins: &[u8]) -> Option<u64> {
    size_at(bins, 0).and_then(|_| le64(bins, 20))
}

/// Notes where bins are expected and none stand; cells there are read all the same.
pub(super) fn note_damage(bins: &[u8], replay: &mut Replay) {
    let (mut at, mut first, mut count) = (0_usize, None, 0_usize);
    while at < bins.len() {
        let size = size_at(bins, at);
        if size.is_none() {
            first.get_or_insert(at);
            count = count.saturating_add(1);
        }
        at = at.saturating_add(size.unwrap_or(PAGE));
    }
    if let Some(first) = first {
        replay.notes.push(format!("{count} pages do not belong to a hive bin, the first at {first:#x}"));
    }
}

/// Makes the page at `at` a bin with one free cell, as Windows does with a logged bin that is not one: \[regf\]
/// "Log entries", note 10.
pub(super) fn write_dummy(bins: &mut [u8], at: usize) {
    let Some(page) = at.checked_add(PAGE).and_then(|end| bins.get_mut(at..end)) else {
        return;
    };
    page.fill(0);
    if let Some(signature) = page.get_mut(..4) {
        signature.copy_from_slice(b"hbin");
    }
    put(page, 4, u32::try_from(at).unwrap_or(0));
    put(page, 8, 4096);
    put(page, HEADER, 4096 - 32);
}
