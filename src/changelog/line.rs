//! How an event is written as one line of JSON: as any JSON, except that characters which deceive a reader's eye
//! or terminal stand as `\uXXXX`, so that the log can be looked at with `less` and `grep` as it lies.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Characters that a reader does not see, or that change how what is around them is seen: controls, characters
/// of no width, bidirectional marks, separators that look like a space, tags, variation selectors.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Writes a value as JSON on one line, without the line's end.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json<W: Write, T: Serialize + ?Sized>(out: W, value: &T) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Plain)).map_err(io::Error::from)
}

/// Writes a text of JSON with `\uXXXX` in place of every character that deceives.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_escaped<W: Write + ?Sized>(out: &mut W, text: &str) -> io::Result<()> {
    let mut shown = 0;
    for (at, c) in text.char_indices().filter(|(_, c)| is_deceptive(*c)) {
        out.write_all(text.get(shown..at).unwrap_or_default().as_bytes())?;
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}")?;
        }
        shown = at.saturating_add(c.len_utf8());
    }
    out.write_all(text.get(shown..).unwrap_or_default().as_bytes())
}

struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly all of them: the serializer has escaped all controls but one.
        if fragment.is_ascii() && memchr::memchr(0x7f, fragment.as_bytes()).is_none() {
            return CompactFormatter.write_string_fragment(out, fragment);
        }
        write_escaped(out, fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_escaped_and_reads_back_the_same() {
        for text in ["plain ä 漢", "a\u{202e}b\u{200b}", "\u{7f}\u{85}\n\"\\", "\u{e0041}x\u{2028}", "\u{a0}"] {
            let mut line = Vec::new();
            write_json(&mut line, text).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert!(!line.chars().any(is_deceptive), "{line}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
        let mut line = Vec::new();
        write_json(&mut line, "a\u{202e}\u{e0041}ä").unwrap();
        assert_eq!(line, "\"a\\u202e\\udb40\\udc41ä\"".as_bytes());
    }
}
