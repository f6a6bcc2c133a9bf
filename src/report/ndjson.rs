//! Events and records for programs: one JSON object a line, as the state keeps them.

use std::io::{self, Write};

use serde::Serialize;

use crate::changelog::write_json;

/// Writes an event, or a scan's record, as one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write<T: Serialize>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    write_json(&mut *out, value)?;
    out.write_all(b"\n")
}
