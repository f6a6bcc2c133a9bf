//! Resource attributes, the data of `RA` entries.
//!
//! `CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1`, [MS-DTYP] 2.4.10.1, little-endian: offset of the name (32 bits), type
//! (16), reserved (16), flags (32), number of values (32), then the offset of each value (32 each). Offsets count
//! from the start of the structure; names and strings are UTF-16LE with a terminator.

use super::{condition::quoted, hex, sid};
use crate::field::{le16, le32, le64, len32, slice};

const VALUES: usize = 16;
/// An ACE has at most 65,535 bytes, and a value takes 4 of them.
const MAX_VALUES: usize = 16_384;
/// Offsets may all lead to one long string: the text stays below this.
const MAX_TEXT: usize = 1 << 18;

/// `("name",type,flags,value,…)`; `None` where it does not parse.
pub(super) fn to_text(claim: &[u8]) -> Option<String> {
    let name = string(claim, len32(claim, 0)?)?;
    let (kind, flags, count) = (le16(claim, 4)?, le32(claim, 8)?, len32(claim, 12)?);
    let token = match kind {
        0x01 => "TI",
        0x02 => "TU",
        0x03 => "TS",
        0x05 => "TD",
        0x06 => "TB",
        0x10 => "TX",
        _ => return None,
    };
    if count > MAX_VALUES {
        return None;
    }
    let offsets = slice(claim, VALUES, count.checked_mul(4)?)?;
    let mut text = format!("({name},{token},{flags:#x}");
    for offset in offsets.chunks_exact(4) {
        text.push(',');
        text.push_str(&value(kind, claim, len32(offset, 0)?)?);
        if text.len() > MAX_TEXT {
            return None;
        }
    }
    text.push(')');
    Some(text)
}

fn value(kind: u16, claim: &[u8], at: usize) -> Option<String> {
    match kind {
        0x01 => le64(claim, at).map(|number| number.cast_signed().to_string()),
        0x02 | 0x06 => le64(claim, at).map(|number| number.to_string()),
        0x03 => string(claim, at),
        0x05 => {
            let sid = slice(claim, at.checked_add(4)?, len32(claim, at)?)?;
            sid::parse(sid).map(|(sid, _)| sid::alias(&sid).map_or(sid.clone(), str::to_owned))
        }
        _ => {
            let octets = slice(claim, at.checked_add(4)?, len32(claim, at)?)?;
            Some(hex(octets).replacen("hex:", "#", 1))
        }
    }
}

/// Up to the terminator, in quotation marks.
fn string(claim: &[u8], at: usize) -> Option<String> {
    let rest = claim.get(at..)?;
    let len = rest.chunks_exact(2).position(|unit| unit == [0, 0])?.checked_mul(2)?;
    Some(format!("\"{}\"", quoted(rest.get(..len)?, |letter| letter != '"' && !letter.is_control())))
}
