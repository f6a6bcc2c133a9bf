//! LZNT1, the compression of NTFS: chunks of up to 4 KiB, each stored or a sequence of literals and back references.
//!
//! Reference: [MS-XCA] section 2.5.

use crate::field::{le16, slice};

const CHUNK: usize = 4096;
const IS_COMPRESSED: u16 = 0x8000;
const SIZE_MASK: u16 = 0x0FFF;
/// The shortest back reference.
const MIN_MATCH: usize = 3;

/// Decodes a compression unit into `out`; what the chunks leave open are zeros. `Err` says what does not fit, with
/// its offset in `data`.
pub(super) fn decode(data: &[u8], out: &mut [u8]) -> Result<(), String> {
    let mut at = 0_usize;
    for target in out.chunks_mut(CHUNK) {
        let header = le16(data, at).unwrap_or(0);
        let written = if header == 0 {
            // The end of the data: no more chunks follow.
            at = data.len();
            0
        } else {
            let size = usize::from(header & SIZE_MASK).saturating_add(1);
            let body = slice(data, at.saturating_add(2), size);
            let body = body
                .ok_or_else(|| format!("chunk at {at:#x} of {size:#x} bytes leaves the unit of {:#x}", data.len()))?;
            let written = if header & IS_COMPRESSED == 0 {
                let written = body.len().min(target.len());
                target.iter_mut().zip(body).for_each(|(to, from)| *to = *from);
                written
            } else {
                chunk(body, target)
                    .ok_or_else(|| format!("chunk at {at:#x} refers to bytes before its beginning or is cut short"))?
            };
            at = at.saturating_add(2).saturating_add(size);
            written
        };
        target.get_mut(written..).unwrap_or_default().fill(0);
    }
    Ok(())
}

/// Decodes a chunk, and says how many bytes it gave.
fn chunk(body: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut input = body.iter();
    let mut pos = 0_usize;
    while let Some(&flags) = input.next() {
        for bit in 0..8_u32 {
            if pos >= out.len() {
                return Some(pos);
            }
            let Some(&first) = input.next() else { return Some(pos) };
            if flags >> bit & 1 == 0 {
                *out.get_mut(pos)? = first;
                pos = pos.saturating_add(1);
                continue;
            }
            let pair = u16::from_le_bytes([first, *input.next()?]);
            // The further into the chunk, the more bits the distance takes and the fewer the length: from 4 and 12
            // in the first 16 bytes to 12 and 4.
            let distance_bits =
                pos.saturating_sub(1).checked_ilog2().map_or(4, |log| log.saturating_add(1).max(4)).min(12);
            let length_bits = 16_u32.saturating_sub(distance_bits);
            let distance = usize::from(pair.checked_shr(length_bits)?).saturating_add(1);
            let length = usize::from(pair & u16::MAX.checked_shr(distance_bits)?).saturating_add(MIN_MATCH);
            pos = copy_back(out, pos, distance, length)?;
        }
    }
    Some(pos)
}

/// Repeats `length` bytes from `distance` before `pos`, as far as `out` has room, and says where it ends. `None`
/// where there are no such bytes.
pub(super) fn copy_back(out: &mut [u8], pos: usize, distance: usize, length: usize) -> Option<usize> {
    let from = pos.checked_sub(distance).filter(|_| distance > 0)?;
    let end = pos.saturating_add(length).min(out.len());
    if distance >= length {
        out.copy_within(from..from.checked_add(end.saturating_sub(pos))?, pos);
    } else {
        // The bytes overlap: those just written are read again.
        for (source, to) in (from..).zip(pos..end) {
            *out.get_mut(to)? = *out.get(source)?;
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of [MS-XCA] section 3.4.
    #[test]
    fn example_of_the_specification() {
        let data = [
            0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47, 0x01, 0xa0, 0x45,
            0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4,
            0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00,
            0x04, 0x01, 0x18, 0x90, 0x00,
        ];
        let text = "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        let mut out = vec![0xAA; 4096];
        decode(&data, &mut out).unwrap();
        assert_eq!(out.get(..text.len()).unwrap(), text.as_bytes());
        assert!(out.get(text.len()..).unwrap().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn hostile_chunks_are_refused() {
        let mut out = [0; 4096];
        assert!(decode(&[0x00, 0xB0, 0xFF], &mut out).is_ok(), "flags without what they announce");
        assert!(decode(&[0x02, 0xB0, 0x01, 0x00, 0x00], &mut out).is_err(), "a reference before the beginning");
        assert!(decode(&[0xFF, 0xBF, 0x01], &mut out).is_err(), "longer than the unit");
    }
}
