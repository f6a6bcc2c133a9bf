//! The built-in profiles, as data. To add one: a file here in the language of a policy, and a row in `text`.

use super::document::{Author, Document, Reader};
use super::issues::Issues;
use crate::error::Result;

/// The names of the built-in profiles.
pub const NAMES: [&str; 3] = ["recommended", "extended", "full"];

/// A built-in profile as it is written, with the reason for every entry in its comments.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    match name {
        "recommended" => Some(include_str!("recommended.toml")),
        "extended" => Some(include_str!("extended.toml")),
        "full" => Some(include_str!("full.toml")),
        _ => None,
    }
}

/// The profile of that name, taken apart; `None` when there is none.
pub(super) fn load(name: &str) -> Result<Option<Document>> {
    let Some(text) = text(name) else { return Ok(None) };
    let issues = Issues::new(&format!("{name}.toml"), text);
    let mut reader = Reader { issues, known: &[], author: Author::Profile(name) };
    let document = reader.read(text);
    reader.issues.into_result()?;
    Ok(Some(document))
}
