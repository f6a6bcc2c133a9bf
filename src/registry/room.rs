//! What a hive of its size can hold: cells may be shared, by whoever writes them, so that a small hive hands out more
//! than its bytes again and again.

use super::{KeyId, cell};
use crate::error::Fault;

/// Names, class names and data take so many bytes for each byte of the hive at most. Windows stores each of them once;
/// as UTF-8 a name is at most twice as long.
const OWN: usize = 2;
/// The same for the paths under which keys and values are handed out. In real hives they come to about the hive's
/// size.
const PATHS: usize = 64;
/// What a key or value takes at least: its record and its place in a list.
pub(super) const MIN_RECORD: usize = 24;

/// What is said where there is no more room.
pub(super) const BEYOND: &str = "more names, values or data than the hive has room for: the rest is not read";

/// What may still be handed out.
#[derive(Debug, Clone)]
pub(super) struct Room {
    own: usize,
    paths: usize,
}

impl Room {
    /// That of hive bins of so many bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { own: size.saturating_mul(OWN), paths: size.saturating_mul(PATHS) }
    }

    /// Takes what a key or value is handed out with, its record not counted, and its path; `false`, now and ever after,
    /// where there is no more room.
    pub(super) fn take(&mut self, own: usize, path: usize) -> bool {
        let left = self.own.checked_sub(own.saturating_add(MIN_RECORD)).zip(self.paths.checked_sub(path));
        (self.own, self.paths) = left.unwrap_or_default();
        left.is_some()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.own == 0
    }
}

/// The fault of a key at which there is no more room.
pub(super) fn beyond_room(id: KeyId) -> Fault {
    cell::fault(id.0, BEYOND)
}
