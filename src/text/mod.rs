//! Bytes as text, for the rooms that show or keep them so, and names without case.

pub(crate) mod fold;

use std::fmt::Write as _;

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(2));
    push_hex(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// The same behind what is there.
pub(crate) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Bytes as text, each that is not part of valid UTF-8 as `\xNN`.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        push_escaped(chunk.invalid(), &mut text);
    }
    text
}

/// Each byte as `\xNN`, behind what is there.
pub(crate) fn push_escaped(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// Cuts a text that is longer than `max` bytes, and puts `…` behind it.
pub(crate) fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_unicode_are_shown() {
        assert_eq!(readable(b"a\xffb\xed\xa0\x80"), "a\\xffb\\xed\\xa0\\x80");
        assert_eq!(readable("ä".as_bytes()), "ä");
        assert_eq!(hex(&[0, 0x7f, 0xa0, 0xff]), "007fa0ff");
    }
}
