//! The volume's inode tables in windows: pieces that were read once and are shared by all workers, so that neighbours
//! cost no reads of their own and no two readers fetch the same table. Those that were asked for last are kept, within a
//! budget that does not depend on the volume.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{error::Result, threads};

/// Parts that are locked each for itself; neighbouring windows are in different ones.
const SHARDS: u64 = 64;

/// Windows of a shard that are kept though they are done: what was asked for a moment ago is asked for again.
const FRESH: u64 = 2;

/// The inode tables of one volume, in windows, by the byte offset at which they begin there.
pub(super) struct InodeTables {
    shards: Vec<Mutex<Shard>>,
    /// Bytes of a window.
    len: u64,
    /// InodeTables that a shard keeps.
    kept: usize,
}

#[derive(Default)]
struct Shard {
    windows: HashMap<u64, Kept>,
    clock: u64,
}

struct Kept {
    window: Arc<Window>,
    used: u64,
}

/// Entries of a window that can be told apart: those of 128 bytes in 16 KiB. A window of more is never done.
const ENTRIES_MAX: usize = 128;

/// A piece of a table.
pub(super) struct Window {
    bytes: Vec<u8>,
    /// Bytes of an entry.
    entry: usize,
    /// Which entries were asked for, 64 in each.
    asked: [AtomicU64; ENTRIES_MAX / 64],
}

impl Window {
    fn new(bytes: Vec<u8>, entry: usize) -> Self {
        Self { bytes, entry: entry.max(1), asked: Default::default() }
    }

    /// The entry that begins at that byte.
    pub(super) fn entry(&self, from: usize) -> Option<&[u8]> {
        let entry = self.bytes.get(from..from.checked_add(self.entry)?)?;
        let number = from.checked_div(self.entry).unwrap_or(0);
        if let Some(word) = number.checked_div(64).and_then(|word| self.asked.get(word)) {
            let bit = 1_u64.wrapping_shl(u32::try_from(number).unwrap_or(0));
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Some(entry)
    }

    /// Whether every entry was asked for.
    fn is_done(&self) -> bool {
        let asked = self.asked.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum::<u64>();
        usize::try_from(asked).ok() == self.bytes.len().checked_div(self.entry)
    }
}

impl InodeTables {
    /// Keeps windows of `len` bytes, at most about `budget` bytes of them.
    pub(super) fn new(len: u64, budget: u64) -> Self {
        let kept = budget.checked_div(len.saturating_mul(SHARDS)).unwrap_or(0).max(1);
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, len: len.max(1), kept: usize::try_from(kept).unwrap_or(usize::MAX) }
    }

    /// The window of `len` bytes, in entries of `entry` bytes, that begins at `place`, which `read` fills where nobody
    /// has read it yet. Others that want a window of the same shard wait meanwhile, so that no window is read twice.
    ///
    /// # Errors
    /// Those of `read`; nothing is kept then.
    pub(super) fn get(
        &self,
        place: u64,
        len: usize,
        entry: usize,
        read: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Arc<Window>> {
        let window = |mut bytes: Vec<u8>| {
            bytes.resize(len, 0);
            read(&mut bytes)?;
            Ok(Arc::new(Window::new(bytes, entry)))
        };
        let shard = place.checked_div(self.len).and_then(|number| number.checked_rem(SHARDS)).unwrap_or(0);
        let Some(shard) = usize::try_from(shard).ok().and_then(|shard| self.shards.get(shard)) else {
            return window(Vec::new());
        };
        let mut shard = threads::lock(shard);
        shard.clock = shard.clock.wrapping_add(1);
        let now = shard.clock;
        if let Some(kept) = shard.windows.get_mut(&place) {
            kept.used = now;
            return Ok(Arc::clone(&kept.window));
        }
        let window = window(shard.room(self.kept))?;
        shard.windows.insert(place, Kept { window: Arc::clone(&window), used: now });
        Ok(window)
    }
}

impl Shard {
    /// Memory for one more window: that of one which is done, or where there is no room, that which was asked
    /// for least recently.
    fn room(&mut self, most: usize) -> Vec<u8> {
        let fresh = self.clock.saturating_sub(FRESH);
        let old = self.windows.iter().filter(|(_, kept)| kept.used < fresh && kept.window.is_done());
        let old = old.min_by_key(|(_, kept)| kept.used).map(|(place, _)| *place);
        let full = self.windows.len() >= most;
        let oldest = || self.windows.iter().min_by_key(|(_, kept)| kept.used).map(|(place, _)| *place);
        let gone = old.or_else(|| full.then(oldest).flatten()).and_then(|place| self.windows.remove(&place));
        gone.and_then(|gone| Arc::into_inner(gone.window)).map(|window| window.bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::Error;

    const LEN: usize = 16;
    const ENTRY: usize = 8;

    /// Asks for windows filled with what their places say, and counts the reads.
    struct Asked {
        windows: InodeTables,
        reads: Cell<usize>,
    }

    impl Asked {
        fn new(kept: u64) -> Self {
            Self { windows: InodeTables::new(16, kept.saturating_mul(16).saturating_mul(SHARDS)), reads: Cell::new(0) }
        }

        fn get(&self, place: u64) -> Arc<Window> {
            let byte = u8::try_from(place % 251).unwrap();
            let read = |window: &mut [u8]| {
                self.reads.set(self.reads.get().saturating_add(1));
                window.fill(byte);
                Ok(())
            };
            let window = self.windows.get(place, LEN, ENTRY, read).unwrap();
            assert_eq!(window.bytes, [byte; LEN]);
            window
        }

        fn kept(&self) -> usize {
            self.windows.shards.iter().map(|shard| shard.lock().unwrap().windows.len()).sum()
        }
    }

    #[test]
    fn a_window_is_read_once_and_the_ones_used_last_are_kept() {
        let asked = Asked::new(2);
        // Three windows of one shard, of which two are kept.
        let [a, b, c] = [0, 16 * SHARDS, 32 * SHARDS];
        for (place, reads_then) in [(a, 1), (b, 2), (a, 2), (c, 3), (a, 3), (b, 4), (16, 5), (b, 5)] {
            asked.get(place);
            assert_eq!(asked.reads.get(), reads_then, "after {place}");
        }
    }

    #[test]
    fn a_window_of_which_all_was_asked_for_makes_room_before_the_shard_is_full() {
        let asked = Asked::new(1000);
        let place = |number: u64| number.saturating_mul(16).saturating_mul(SHARDS);
        for number in 0..100 {
            let window = asked.get(place(number));
            // Of every fourth something is left, however often the rest is asked for.
            for at in [0, 0, if number % 4 == 0 { 0 } else { ENTRY }] {
                assert!(window.entry(at).is_some());
            }
        }
        let (kept, left) = (asked.kept(), 100 / 4);
        assert!((left..left + usize::try_from(FRESH).unwrap() + 2).contains(&kept), "{kept} are kept");
        for number in (0..100).step_by(4) {
            asked.get(place(number));
        }
        assert_eq!(asked.reads.get(), 100, "what is left is not read again");
        assert_eq!(asked.get(0).entry(LEN - 1), None);
        assert_eq!(asked.get(0).entry(usize::MAX), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        let windows = InodeTables::new(16, 1 << 10);
        assert!(windows.get(0, LEN, ENTRY, |_| Err(Error::Bug("no".to_owned()))).is_err());
        let read = |window: &mut [u8]| {
            window.fill(7);
            Ok(())
        };
        assert!(windows.get(0, 1, 1, read).is_ok_and(|window| window.bytes == [7]));
    }
}
