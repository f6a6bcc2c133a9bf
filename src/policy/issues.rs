//! Everything that is wrong with a policy, a line each.

use std::{ops::Range, sync::Arc};

use super::source::Source;
use crate::error::Error;

/// The most that are shown.
const SHOWN: usize = 50;

/// A message with its control characters escaped: what a policy holds must not break the line.
pub(super) fn one_line(message: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    message.chars().map(escaped).collect()
}

/// What is wrong with one policy, collected so that all of it can be put right at once.
pub(super) struct Issues {
    name: Arc<str>,
    /// Byte offsets where lines begin, without the first.
    lines: Vec<usize>,
    found: Vec<(usize, String)>,
}

impl Issues {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let lines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        Self { name: name.into(), lines, found: Vec::new() }
    }

    /// Where a part of the text stands.
    pub(super) fn source(&self, span: &Range<usize>) -> Source {
        Source { name: self.name.clone(), line: 1 + self.lines.partition_point(|start| *start <= span.start) }
    }

    /// Adds one, as `field: expected …, found …`.
    pub(super) fn add(&mut self, source: &Source, field: &str, what: &str) {
        self.found.push((source.line, one_line(&format!("{source}: {field}: {what}"))));
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them as one error, in the order of their lines.
    pub(super) fn into_result(mut self) -> Result<(), Error> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort();
        self.found.dedup();
        let more = self.found.len().saturating_sub(SHOWN);
        let mut lines = self.found.into_iter().take(SHOWN).map(|(_, line)| line).collect::<Vec<_>>();
        if more > 0 {
            lines.push(format!("{}: and {more} more", self.name));
        }
        Err(Error::Policy(lines.join("\n")))
    }
}
