//! A line of a policy, and where it stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a line of a policy stands; empty for one that was read from a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The policy's name as it was given, or `recommended.toml` for a built-in profile.
    pub name: std::sync::Arc<str>,
    /// The line, counted from 1; 0 where there is none.
    pub line: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.name, self.line) {
            ("", _) => f.write_str("the effective policy"),
            (name, 0) => f.write_str(name),
            (name, line) => write!(f, "{name}:{line}"),
        }
    }
}

/// A string of a policy as written. Where it stands is no part of what it means: it is neither stored in a
/// manifest nor compared.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Entry {
    /// The string.
    pub text: String,
    /// Where it stands.
    pub source: Source,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Entry {}

impl From<String> for Entry {
    fn from(text: String) -> Self {
        Self { text, source: Source::default() }
    }
}

impl From<Entry> for String {
    fn from(entry: Entry) -> Self {
        entry.text
    }
}
