//! Events for spreadsheets, after RFC 4180 with line feeds as line ends: the columns of
//! [`COLUMNS`] in their order, led by a line with their names. `Old` and `New`
//! are JSON; lists are joined by commas.
//!
//! Cells are escaped like all names. A spreadsheet takes what begins with `=`, `+`, `-` or `@` for a formula, so a
//! cell that begins so, or with a tab or a return, is led by a `'`.

use std::io::{self, Write};

use super::escape::escaped;
use crate::changelog::Event;
use crate::changelog::column::COLUMNS;

/// Writes the line with the columns' names.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_header(out: &mut dyn Write) -> io::Result<()> {
    write_row(out, COLUMNS.iter().map(|column| column.name))
}

/// Writes an event as one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, event: &Event) -> io::Result<()> {
    let cells: Vec<_> = COLUMNS.iter().map(|column| (column.get)(event).unwrap_or_default()).collect();
    write_row(out, cells.iter().map(AsRef::as_ref))
}

/// Writes any cells as one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_row<'c>(out: &mut dyn Write, cells: impl Iterator<Item = &'c str>) -> io::Result<()> {
    for (at, text) in cells.enumerate() {
        let separator = if at > 0 { "," } else { "" };
        write!(out, "{separator}{}", cell(text))?;
    }
    out.write_all(b"\n")
}

fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    let safe = escaped(text);
    if guard.is_empty() && !safe.contains([',', '"']) {
        return safe.into_owned();
    }
    format!("\"{guard}{}\"", safe.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_guarded_and_escaped() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@5d1e", "\"'@5d1e\""),
            ("\t=1", "\"'\\x09=1\""),
            ("\r=1", "\"'\\x0d=1\""),
            ("a\nb", "a\\x0ab"),
            ("\u{202e}=1", "\\u{202e}=1"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
