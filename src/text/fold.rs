//! Names without case, as NTFS and the registry compare them: each UTF-16 unit by its simple upper case.
//!
//! Names are WTF-8: UTF-8 that may also hold lone surrogates. Bytes that are neither stand for themselves.

use std::borrow::Cow;

/// The first unit that is not a character: byte `b` of a name that does not decode is `BYTE + b`.
const BYTE: u32 = 0x11_0000;

/// The next character of a name with its length in bytes; a byte that does not decode is a unit of its own.
/// `None` at the end.
pub(crate) fn next_unit(name: &[u8]) -> Option<(u32, usize)> {
    let first = *name.first()?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let (len, lead, least) = match first {
        0xC2..=0xDF => (2, first & 0x1F, 0x80),
        0xE0..=0xEF => (3, first & 0x0F, 0x800),
        0xF0..=0xF4 => (4, first & 0x07, 0x1_0000),
        _ => return Some((BYTE | u32::from(first), 1)),
    };
    let mut unit = u32::from(lead);
    for byte in name.get(1..len).unwrap_or_default() {
        if byte & 0xC0 != 0x80 {
            return Some((BYTE | u32::from(first), 1));
        }
        unit = unit << 6 | u32::from(byte & 0x3F);
    }
    if name.len() < len || unit < least || unit >= BYTE {
        return Some((BYTE | u32::from(first), 1));
    }
    Some((unit, len))
}

/// The one character that `many` yields, or `None` when it yields several.
fn single(mut many: impl Iterator<Item = char>) -> Option<char> {
    let one = many.next()?;
    many.next().is_none().then_some(one)
}

/// The simple upper case of one unit: of all that NTFS folds by its table `$UpCase`, and of letters that came into
/// Unicode later; for a monitor, taking two names for one is the safer mistake. Characters outside the basic plane are
/// two UTF-16 units, which have no case; no character outside ASCII is the lower case of one inside (the dotless i and
/// the long s keep theirs).
pub(crate) fn upper(unit: u32) -> u32 {
    match char::from_u32(unit) {
        Some(c) if c.is_ascii() => u32::from(c.to_ascii_uppercase()),
        // Greek with iota below: the standard library knows only the full upper case, of two characters
        // (UnicodeData.txt, field 12, has the simple one).
        _ if matches!(unit, 0x1F80..=0x1F87 | 0x1F90..=0x1F97 | 0x1FA0..=0x1FA7) => unit + 8,
        _ if matches!(unit, 0x1FB3 | 0x1FC3 | 0x1FF3) => unit + 9,
        Some(c) if unit < 0x1_0000 => match single(c.to_uppercase()) {
            Some(up) if !up.is_ascii() && u32::from(up) < 0x1_0000 => u32::from(up),
            _ => unit,
        },
        _ => unit,
    }
}

/// The simple lower case of one unit, for testing whether a range like `a-z` holds it in either case.
pub(crate) fn lower(unit: u32) -> u32 {
    match char::from_u32(unit) {
        Some(c) if c.is_ascii() => u32::from(c.to_ascii_lowercase()),
        Some(c) if unit < 0x1_0000 => single(c.to_lowercase()).map_or(unit, u32::from),
        _ => unit,
    }
}

/// A name in upper case, the form in which names without case are compared.
pub(crate) fn fold(name: &[u8]) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        if name.iter().any(u8::is_ascii_lowercase) {
            return Cow::Owned(name.to_ascii_uppercase());
        }
        return Cow::Borrowed(name);
    }
    let mut folded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((unit, len)) = next_unit(rest) {
        let (raw, tail) = rest.split_at(len);
        match char::from_u32(upper(unit)) {
            Some(c) => folded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => folded.extend_from_slice(raw),
        }
        rest = tail;
    }
    Cow::Owned(folded)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn folds_more_than_ascii() {
        for (name, want) in [
            ("userinit.exe", "USERINIT.EXE"),
            ("écran", "ÉCRAN"),
            ("Ελλάς", "ΕΛΛΆΣ"),
            ("straße", "STRAßE"),
            ("ſıK", "ſıK"),
            ("\u{10428}", "\u{10428}"),
        ] {
            assert_eq!(fold(name.as_bytes()), want.as_bytes(), "{name}");
        }
    }

    #[test]
    fn folds_all_that_ntfs_folds() {
        let table = include_str!("../../fixtures/policy/upcase.txt");
        let pairs = table.lines().map(|line| line.split_once(' ').unwrap());
        let ntfs = pairs.map(|(unit, up)| (unit.parse().unwrap(), up.parse().unwrap())).collect::<HashMap<u32, u32>>();
        assert_eq!(ntfs.len(), 973);
        let mut beyond = 0;
        for unit in 0..0x1_0000 {
            match ntfs.get(&unit) {
                Some(up) => assert_eq!(upper(unit), *up, "{unit:#x}"),
                None if upper(unit) == unit => {}
                None => {
                    assert!(unit > 0x7F && upper(unit) > 0x7F, "{unit:#x}");
                    beyond += 1;
                }
            }
        }
        assert!(beyond < 250, "{beyond}");
    }

    #[test]
    fn keeps_what_is_not_text() {
        assert_eq!(&*fold(b"a\xffb\xed\xa0\x80c\xc3"), b"A\xffB\xed\xa0\x80C\xc3");
    }

    #[test]
    fn decodes_as_the_standard_library_does() {
        for c in ['\u{7f}', '\u{80}', 'ÿ', '\u{7ff}', '\u{800}', '\u{ffff}', '\u{10000}', '\u{10ffff}'] {
            let text = c.to_string();
            assert_eq!(next_unit(text.as_bytes()), Some((u32::from(c), text.len())));
        }
        for overlong in [&b"\xc0\x80"[..], b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
            assert_eq!(next_unit(overlong).map(|(_, len)| len), Some(1));
        }
    }
}
