//! What is one of a kind on either side.

use super::super::{change::ChangeKind, draft::Draft};
use crate::{
    error::Result,
    manifest::{Runs, sorter::merge},
};

/// What is found.
pub(super) enum Match<'a> {
    /// The only deleted and the only created candidate of a key.
    Pair(Draft<'a>, Draft<'a>),
    /// A candidate that is in no pair.
    Single(Draft<'a>),
}

/// Candidates of the same key, as far as they must be held back.
#[derive(Debug, Default)]
struct Held {
    deleted: Option<Vec<u8>>,
    created: Option<Vec<u8>>,
}

/// Finds the keys that exactly one deleted and one created candidate have.
pub(super) fn unique(runs: Runs, memory: usize, found: &mut dyn FnMut(Match<'_>) -> Result<()>) -> Result<()> {
    let mut merged = merge(vec![runs], memory)?;
    let mut key: Option<Vec<u8>> = None;
    let mut held = Held::default();
    let mut ambiguous = false;
    while let Some((next, bytes)) = merged.next()? {
        if key.as_deref() != Some(next) {
            held.release(true, found)?;
            ambiguous = false;
            key = Some(next.to_vec());
        }
        let draft = Draft::decode(bytes)?;
        let place = match draft.kind {
            ChangeKind::Deleted => &mut held.deleted,
            _ => &mut held.created,
        };
        if !ambiguous && place.is_none() {
            *place = Some(bytes.to_vec());
            continue;
        }
        ambiguous = true;
        held.release(false, found)?;
        found(Match::Single(draft))?;
    }
    held.release(true, found)
}

impl Held {
    fn release(&mut self, unique: bool, found: &mut dyn FnMut(Match<'_>) -> Result<()>) -> Result<()> {
        match (self.deleted.take(), self.created.take()) {
            (Some(old), Some(new)) if unique => found(Match::Pair(Draft::decode(&old)?, Draft::decode(&new)?)),
            (old, new) => old.into_iter().chain(new).try_for_each(|bytes| found(Match::Single(Draft::decode(&bytes)?))),
        }
    }
}
