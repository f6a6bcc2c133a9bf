//! A file that a person names, where `-` is standard input.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// What standard input is called in messages.
const STANDARD_INPUT: &str = "standard input";

/// Whether a name means standard input; a file that is called so is `./-`.
#[must_use]
pub fn is_standard(name: impl AsRef<OsStr>) -> bool {
    name.as_ref() == "-"
}

/// A name for people.
#[must_use]
pub fn shown(name: &Path) -> String {
    if is_standard(name) { STANDARD_INPUT.to_owned() } else { name.display().to_string() }
}

/// Opens it.
///
/// # Errors
/// When there is no such file, or it cannot be opened.
pub fn open(name: &Path) -> io::Result<Box<dyn Read + Send>> {
    Ok(if is_standard(name) { Box::new(io::stdin()) } else { Box::new(File::open(name)?) })
}

/// Reads all of it, and at most one byte more than `max`, so that what is longer shows.
///
/// # Errors
/// When it cannot be opened or read.
pub fn read(name: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(name)?.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
