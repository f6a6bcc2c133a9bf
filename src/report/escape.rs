//! Names made safe to look at. The machine in the image may belong to an attacker, who chooses its names: one that
//! holds terminal sequences, or that reads differently than it is, must not reach a terminal, a text file or a
//! spreadsheet as it is.
//!
//! The form: C0 controls and DEL as `\x1b`, all other characters that deceive (C1 controls, bidirectional marks,
//! zero width, separators and blanks that are no space, tags, variation selectors) as `\u{202e}`, bytes that are
//! not UTF-8 as `\xff`. A backslash stays as it is, for Windows paths are full of them; where it must be told
//! whether a name holds a control character or the text of its escape, the NDJSON form tells. [`unescaped`] reads a
//! copied name back; who looks for one tries it as it stands first.

use std::borrow::Cow;
use std::fmt::Write;

use crate::changelog::is_deceptive;

/// Text with everything that deceives escaped.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len().saturating_add(16));
    push_escaped(&mut safe, text);
    Cow::Owned(safe)
}

/// Bytes that are usually text, with everything that deceives escaped.
#[must_use]
pub fn escaped_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return escaped(text);
    }
    let mut safe = String::with_capacity(bytes.len().saturating_add(16));
    for chunk in bytes.utf8_chunks() {
        push_escaped(&mut safe, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(safe, "\\x{byte:02x}");
        }
    }
    Cow::Owned(safe)
}

/// The bytes that are spelled so by [`escaped_bytes`], where that escapes any of them: of a name that was copied from
/// a report. What it never writes, as `\x41` or the escape of a byte of valid UTF-8, spells nothing.
#[must_use]
pub fn unescaped(spelled: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(spelled.len());
    let mut rest = spelled;
    while let Some(c) = rest.chars().next() {
        rest = match take_escape(rest, &mut bytes) {
            Some(behind) => behind,
            None => {
                let (plain, behind) = rest.split_at(c.len_utf8());
                bytes.extend_from_slice(plain.as_bytes());
                behind
            }
        };
    }
    (bytes != spelled.as_bytes() && escaped_bytes(&bytes) == spelled).then_some(bytes)
}

/// Takes what the escape stands for that text begins with; what follows it. A report writes it in one way only.
fn take_escape<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix("\\x") {
        let (digits, behind) = rest.split_at_checked(2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| format!("{byte:02x}") == digits)?;
        (!byte.is_ascii() || byte.is_ascii_control()).then(|| bytes.push(byte))?;
        return Some(behind);
    }
    let (digits, behind) = text.strip_prefix("\\u{")?.split_once('}')?;
    let number = u32::from_str_radix(digits, 16).ok().filter(|number| format!("{number:x}") == digits)?;
    let c = char::from_u32(number).filter(|c| is_deceptive(*c) && !c.is_ascii())?;
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(behind)
}

fn push_escaped(safe: &mut String, text: &str) {
    for c in text.chars() {
        let _ = match c {
            c if !is_deceptive(c) => safe.write_char(c),
            c if c.is_ascii() => write!(safe, "\\x{:02x}", u32::from(c)),
            c => write!(safe, "\\u{{{:x}}}", u32::from(c)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_escaped_and_the_rest_stays() {
        for (text, expected) in [
            ("plain name.txt", "plain name.txt"),
            (r"C:\Windows\x1b", r"C:\Windows\x1b"),
            ("\x1b[2Jx", r"\x1b[2Jx"),
            ("a\nb\tc\r\0\x7f", r"a\x0ab\x09c\x0d\x00\x7f"),
            ("exe.\u{202e}gpj", r"exe.\u{202e}gpj"),
            ("\u{85}\u{9b}31m", r"\u{85}\u{9b}31m"),
            ("\u{2066}a\u{2069}\u{61c}\u{200e}", r"\u{2066}a\u{2069}\u{61c}\u{200e}"),
            ("pass\u{200b}wd\u{feff}\u{ad}", r"pass\u{200b}wd\u{feff}\u{ad}"),
            ("a\u{2028}b\u{2029}", r"a\u{2028}b\u{2029}"),
            ("\u{e0041}\u{e007f}", r"\u{e0041}\u{e007f}"),
            ("passwd\u{a0}\u{3000}", r"passwd\u{a0}\u{3000}"),
            ("naïve 漢字 😀", "naïve 漢字 😀"),
        ] {
            assert_eq!(escaped(text), expected);
            assert_eq!(escaped_bytes(text.as_bytes()), expected);
        }
        assert_eq!(escaped_bytes(b"caf\xe9\x1b"), r"caf\xe9\x1b");
    }

    #[test]
    fn what_a_report_spells_is_read_back_to_the_same_bytes() {
        for bytes in [
            &b"nl\nx"[..],
            b"esc\x1b[2J",
            "rtl\u{202e}x".as_bytes(),
            "\u{e0041}\u{a0}\u{85}".as_bytes(),
            b"caf\xe9\x1b",
            b"C:\\\xed\xa0\x80\x7f",
            b"a\\x41\\x+1\\x1B\n",
            b"\\u{41}\xff\\u{zz}\\x",
        ] {
            assert_eq!(unescaped(&escaped_bytes(bytes)).as_deref(), Some(bytes), "{}", bytes.escape_ascii());
        }
        // Spelled otherwise than a report does, or nothing to escape.
        for text in ["plain", r"C:\x64", r"\x41", r"\xc3\xa9", r"\x1B", r"\u{0202e}", r"\u{41}", r"\xé", r"\x+1", "\n"]
        {
            assert_eq!(unescaped(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_that_deceives_is_left_of_any_character() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let text = c.to_string();
            let safe = escaped(&text);
            assert!(safe == text || safe.chars().all(|c| c.is_ascii_graphic()), "{:x}", u32::from(c));
            let must = c.is_control() || matches!(u32::from(c), 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2069);
            assert!(!must || safe != text, "{:x}", u32::from(c));
        }
    }
}
