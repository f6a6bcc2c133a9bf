//! Events and records for programs: one JSON object a line, as the state keeps them.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::changelog::{write_escaped, write_json};

/// Writes an event, or a scan's record, as one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write<T: Serialize>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    write_json(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A line of JSON that says the same, in which nothing deceives a reader's eye or terminal.
#[must_use]
pub fn escaped(line: &[u8]) -> Cow<'_, [u8]> {
    if line.is_ascii() && memchr::memchr(0x7f, line).is_none() {
        return Cow::Borrowed(line);
    }
    let mut out = Vec::new();
    match std::str::from_utf8(line).map(|text| write_escaped(&mut out, text)) {
        Ok(Ok(())) => Cow::Owned(out),
        _ => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_same_when_it_is_escaped() {
        let line = "{\"path\":\"/a\u{202e}\u{9b}2J\u{7f}ä\",\"xattrs\":{\"user.\u{200b}\":1}}";
        let shown = escaped(line.as_bytes());
        assert_eq!(shown, r#"{"path":"/a\u202e\u009b2J\u007fä","xattrs":{"user.\u200b":1}}"#.as_bytes());
    }
}
