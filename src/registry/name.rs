//! Names: Latin-1 or UTF-16LE on disk, WTF-8 (UTF-8 that can hold lone surrogates) outside.

use std::borrow::Cow;

use crate::field::le16;

/// A name or class name as WTF-8; a trailing odd byte counts as a character of its own.
pub(super) fn from_utf16(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks(2).map(|pair| le16(pair, 0).unwrap_or_else(|| pair.first().copied().unwrap_or(0).into()));
    let mut name = Vec::with_capacity(bytes.len());
    for letter in char::decode_utf16(units) {
        match letter {
            Ok(letter) => name.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => name.extend_from_slice(&surrogate(lone.unpaired_surrogate())),
        }
    }
    name
}

/// The three bytes that UTF-8 would have for it, if it were a character.
fn surrogate(unit: u16) -> [u8; 3] {
    let low = |shift: u16| u8::try_from(unit >> shift & 0x3F).unwrap_or(0);
    [0xED, 0x80 | low(6), 0x80 | low(0)]
}

/// "ASCII (extended)", \[regf\] "Fast leaf": the characters below 256 in one byte each.
pub(super) fn from_latin1(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.is_ascii() {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes())
}

/// How many characters, of 8 or 16 bits, the bytes of a name are.
pub(super) fn characters(bytes: &[u8], latin1: bool) -> usize {
    if latin1 { bytes.len() } else { bytes.len().div_ceil(2) }
}

/// Whether two names are the same to Windows, which compares upper-case forms character by character.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.is_ascii() || other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    match (str::from_utf8(one), str::from_utf8(other)) {
        (Ok(one), Ok(other)) => one.chars().map(upper).eq(other.chars().map(upper)),
        _ => one == other,
    }
}

/// The upper-case form where it is one character; `ß` stays what it is.
fn upper(letter: char) -> char {
    let mut forms = letter.to_uppercase();
    match (forms.next(), forms.next()) {
        (Some(form), None) => form,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_becomes_wtf8() {
        assert_eq!(from_utf16(&[0x41, 0, 0xE9, 0, 0x3D, 0xD8, 0, 0xDE]), "Aé😀".as_bytes());
        assert_eq!(from_utf16(&[0, 0xD8, 0x41, 0]), [0xED, 0xA0, 0x80, b'A']);
        assert_eq!(from_utf16(&[0xFF, 0xDF, 0x41]), [0xED, 0xBF, 0xBF, b'A']);
    }

    #[test]
    fn latin1_becomes_utf8() {
        assert_eq!(from_latin1(b"Run").as_ref(), b"Run");
        assert_eq!(from_latin1(b"\xFCml").as_ref(), "üml".as_bytes());
    }

    #[test]
    fn names_match_without_case() {
        assert!(same(b"RUN", b"run"));
        assert!(same("ÄÖ例".as_bytes(), "äö例".as_bytes()));
        assert!(!same("straße".as_bytes(), b"STRASSE"));
        assert!(same(&[0xED, 0xA0, 0x80], &[0xED, 0xA0, 0x80]));
    }
}
