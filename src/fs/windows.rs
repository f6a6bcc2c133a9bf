//! Windows of a volume's metadata: pieces of inode tables that were read once and are shared by all workers, so
//! that neighbours cost no reads of their own and no two readers fetch the same table. Those that were asked for
//! last are kept, within a budget that does not depend on the volume.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::error::Result;

/// Parts that are locked each for itself; neighbouring windows are in different ones.
const SHARDS: u64 = 16;

/// The windows of one volume, by the byte offset at which they begin there.
pub(super) struct Windows {
    shards: Vec<Mutex<Shard>>,
    /// Bytes of a window.
    len: u64,
    /// Windows that a shard keeps.
    kept: usize,
}

#[derive(Default)]
struct Shard {
    windows: HashMap<u64, Kept>,
    clock: u64,
}

struct Kept {
    bytes: Arc<Vec<u8>>,
    used: u64,
}

impl Windows {
    /// Keeps windows of `len` bytes, at most about `budget` bytes of them.
    pub(super) fn new(len: u64, budget: u64) -> Self {
        let kept = budget.checked_div(len.saturating_mul(SHARDS)).unwrap_or(0).max(1);
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, len: len.max(1), kept: usize::try_from(kept).unwrap_or(usize::MAX) }
    }

    /// The window that begins at `place`, which `read` fills where nobody has read it yet. Others that want a window
    /// of the same shard wait meanwhile, so that no window is read twice.
    ///
    /// # Errors
    /// Those of `read`; nothing is kept then.
    pub(super) fn get(&self, place: u64, read: impl FnOnce() -> Result<Vec<u8>>) -> Result<Arc<Vec<u8>>> {
        let shard = place.checked_div(self.len).and_then(|number| number.checked_rem(SHARDS)).unwrap_or(0);
        let Some(shard) = usize::try_from(shard).ok().and_then(|shard| self.shards.get(shard)) else {
            return read().map(Arc::new);
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.clock = shard.clock.wrapping_add(1);
        let now = shard.clock;
        if let Some(kept) = shard.windows.get_mut(&place) {
            kept.used = now;
            return Ok(Arc::clone(&kept.bytes));
        }
        let bytes = Arc::new(read()?);
        if shard.windows.len() >= self.kept {
            let oldest = shard.windows.iter().min_by_key(|(_, kept)| kept.used).map(|(place, _)| *place);
            oldest.and_then(|place| shard.windows.remove(&place));
        }
        shard.windows.insert(place, Kept { bytes: Arc::clone(&bytes), used: now });
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::Error;

    #[test]
    fn a_window_is_read_once_and_the_ones_used_last_are_kept() {
        let windows = Windows::new(16, 2 * 16 * SHARDS);
        let reads = Cell::new(0);
        let get = |place: u64| {
            let read = || {
                reads.set(reads.get() + 1);
                Ok(vec![u8::try_from(place % 251).unwrap_or(0); 16])
            };
            windows.get(place, read).map(|bytes| bytes.first().copied())
        };
        // Three windows of one shard, of which two are kept.
        let [a, b, c] = [0, 16 * SHARDS, 32 * SHARDS];
        for (place, reads_then) in [(a, 1), (b, 2), (a, 2), (c, 3), (a, 3), (b, 4), (16, 5), (b, 5)] {
            assert_eq!(get(place).ok().flatten(), Some(u8::try_from(place % 251).unwrap_or(0)));
            assert_eq!(reads.get(), reads_then, "after {place}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        let windows = Windows::new(16, 1 << 10);
        assert!(windows.get(0, || Err(Error::Bug("no".to_owned()))).is_err());
        assert!(windows.get(0, || Ok(vec![7])).is_ok_and(|bytes| *bytes == [7]));
    }
}
