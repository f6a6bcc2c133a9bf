//! What a hive of its size can hold: cells may be shared, by whoever writes them, so that a small hive hands out more
//! than its bytes again and again.

use super::{KeyId, cell};
use crate::error::Fault;

/// Names, class names and data take so many bytes for each byte of the hive at most. Windows stores each of them once;
/// as UTF-8 a name is at most twice as long.
const OWN: usize = 2;
/// The same for what the paths of keys and values have beyond [`SHORT`].
const PATHS: usize = 64;
/// Paths of so many bytes are always handed out: those of real hives are shorter.
const SHORT: usize = 1024;
/// What a key or value takes at least: its record and its place in a list.
pub(super) const MIN_RECORD: usize = 24;

/// What is said where there is no more room.
pub(super) const BEYOND: &str = "more names, values or data than the hive has room for: the rest is not read";

/// What may still be handed out.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    own: usize,
    paths: usize,
}

impl Room {
    /// That of hive bins of so many bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { own: size.saturating_mul(OWN), paths: size.saturating_mul(PATHS) }
    }

    /// Takes what a key or value is handed out with, its record not counted, and its path. `false` where there is no
    /// more room: for anything, now and ever after, or for paths that are longer than those of others.
    pub(super) fn take(&mut self, own: usize, path: usize) -> bool {
        let Some(own) = self.own.checked_sub(own.saturating_add(MIN_RECORD)) else {
            self.own = 0;
            return false;
        };
        let Some(paths) = self.paths.checked_sub(path.saturating_sub(SHORT)) else { return false };
        (self.own, self.paths) = (own, paths);
        true
    }

    pub(super) fn is_spent(&self) -> bool {
        self.own == 0
    }
}

/// The fault of a key at which there is no more room.
pub(super) fn beyond_room(id: KeyId) -> Fault {
    cell::fault(id.0, BEYOND)
}
