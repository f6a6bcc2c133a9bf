//! The update sequence: the last two bytes of every 512 are replaced on disk by a number, so that a torn write shows.
//!
//! Reference: ntfs-3g `layout.h` (`NTFS_RECORD`, "update sequence array"), Linux `Documentation/filesystems/ntfs3`.

use crate::field::{len16, slice};

/// The stride of the update sequence; 512 on every volume, whatever its sectors.
const STRIDE: usize = 512;

/// Puts the true bytes back into a record (`FILE`, `INDX`, `RSTR`) whose header names the array at 0x04 and its
/// length at 0x06. `Err` says expected and found.
pub(super) fn apply(record: &mut [u8], magic: &[u8; 4]) -> Result<(), String> {
    if record.get(..4) != Some(magic) {
        let found = record.get(..4).unwrap_or_default();
        return Err(format!("expected {}, found {}", magic.escape_ascii(), found.escape_ascii()));
    }
    let at = len16(record, 4).unwrap_or(0);
    let count = len16(record, 6).unwrap_or(0);
    let blocks = record.len().checked_div(STRIDE).unwrap_or(0);
    if count.checked_sub(1) != Some(blocks) {
        return Err(format!("update sequence of {count} numbers, expected {}", blocks.saturating_add(1)));
    }
    let array = slice(record, at, count.saturating_mul(2))
        .filter(|_| at >= 8 && at.saturating_add(count.saturating_mul(2)) <= STRIDE.saturating_sub(2))
        .ok_or_else(|| format!("update sequence at {at:#x} lies outside the first block"))?
        .to_vec();
    let number = array.get(..2).unwrap_or_default();
    for (index, (block, saved)) in record.chunks_exact_mut(STRIDE).zip(array.chunks_exact(2).skip(1)).enumerate() {
        let Some(end) = block.last_chunk_mut::<2>() else { continue };
        if end != number {
            return Err(format!("torn write: block {index} ends in {end:02x?}, expected {number:02x?}"));
        }
        end.copy_from_slice(saved);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn restores_and_checks() {
        let mut record = vec![0_u8; 1024];
        record[..8].copy_from_slice(b"FILE\x30\x00\x03\x00");
        record[0x30..0x36].copy_from_slice(&[7, 0, 1, 2, 3, 4]);
        record[510] = 7;
        record[1022] = 7;
        let mut torn = record.clone();
        apply(&mut record, b"FILE").unwrap();
        assert_eq!((record[510], record[511], record[1022], record[1023]), (1, 2, 3, 4));
        torn[1022] = 8;
        assert_eq!(apply(&mut torn, b"FILE").unwrap_err(), "torn write: block 1 ends in [08, 00], expected [07, 00]");
        assert_eq!(apply(&mut torn, b"INDX").unwrap_err(), "expected INDX, found FILE");
    }
}
