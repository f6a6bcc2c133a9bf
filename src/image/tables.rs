//! Mapping tables of containers, read page by page through a small cache, so that no table, however large
//! its header says it is, is ever held whole.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    error::{Error, Result},
    field::{array, narrow, wide},
    image::mapped::Layered,
};

/// Bytes of a table that are read at once.
const PAGE: u64 = 32 << 10;
/// Pages kept for one file: with 8-byte entries for 64 KiB clusters they map 8 GiB of disk.
const PAGES: usize = 32;

/// The most recently used values of a kind, shared by all threads.
pub(crate) struct Cache<V> {
    entries: Mutex<VecDeque<(u64, V)>>,
    capacity: usize,
}

impl<V: Clone> Cache<V> {
    /// A cache of at most `capacity` values.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity: capacity.max(1) }
    }

    /// The value of `key`; made by `make`, outside the lock, when it is not there.
    pub(crate) fn get(&self, key: u64, make: impl FnOnce() -> Result<V>) -> Result<V> {
        {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = entries.iter().position(|(k, _)| *k == key) {
                if found > 0
                    && let Some(entry) = entries.remove(found)
                {
                    entries.push_front(entry);
                }
                if let Some((_, value)) = entries.front() {
                    return Ok(value.clone());
                }
            }
        }
        let value = make()?;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push_front((key, value.clone()));
        entries.truncate(self.capacity);
        Ok(value)
    }
}

/// Which bit of a byte is the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BitOrder {
    HighFirst,
    LowFirst,
}

/// A bitmap in a file.
pub(crate) struct Bits {
    /// What to call it.
    pub(crate) what: &'static str,
    /// Where it begins.
    pub(crate) at: u64,
    /// How many bits it has.
    pub(crate) len: u64,
    pub(crate) order: BitOrder,
}

/// The tables of one file.
pub(crate) struct Tables {
    layer: &'static str,
    file: Arc<dyn Layered>,
    pages: Cache<Arc<[u8]>>,
}

/// The entries of a table from one of them to the end of its page.
pub(crate) struct Entries {
    page: Arc<[u8]>,
    from: usize,
}

impl Entries {
    /// The `index`-th entry of `N` bytes, when it lies wholly in this page.
    pub(crate) fn array<const N: usize>(&self, index: usize) -> Option<[u8; N]> {
        let at = index.checked_mul(N)?.checked_add(self.from)?;
        array(&self.page, at)
    }
}

impl Tables {
    /// The tables that lie in `file`.
    pub(crate) fn new(layer: &'static str, file: Arc<dyn Layered>) -> Self {
        Self::one_of(1, layer, file)
    }

    /// The same where `files` of its kind make up one disk, and share the memory for pages.
    pub(crate) fn one_of(files: usize, layer: &'static str, file: Arc<dyn Layered>) -> Self {
        let pages = PAGES.saturating_mul(8).checked_div(files).unwrap_or(PAGES).clamp(1, PAGES);
        Self { layer, file, pages: Cache::new(pages) }
    }

    /// The file that they lie in.
    pub(crate) fn file(&self) -> &Arc<dyn Layered> {
        &self.file
    }

    /// The entries from byte `at` of the file, as far as they are at hand: at least one of `N` bytes.
    pub(crate) fn entries<const N: usize>(&self, what: &str, at: u64) -> Result<Entries> {
        let from = narrow(at.checked_rem(PAGE).unwrap_or(0));
        let start = at.saturating_sub(wide(from));
        let end = self.file.len().min(start.saturating_add(PAGE));
        if at.checked_add(wide(N)).is_none_or(|needed| needed > self.file.len()) {
            return Err(Error::corrupt(
                self.layer,
                format!("{what} at {at:#x}"),
                format!("it lies past the end of the file: {:#x}", self.file.len()),
            ));
        }
        if from.saturating_add(N) > narrow(end.saturating_sub(start)) {
            // An entry on the seam of two pages, which only an unaligned table has.
            let page = self.read(at, wide(N))?;
            return Ok(Entries { page, from: 0 });
        }
        let page = self.pages.get(start, || self.read(start, end.saturating_sub(start)))?;
        Ok(Entries { page, from })
    }

    /// The one entry of `N` bytes at byte `at` of the file.
    pub(crate) fn entry<const N: usize>(&self, what: &str, at: u64) -> Result<[u8; N]> {
        self.entries::<N>(what, at)?
            .array(0)
            .ok_or_else(|| Error::Bug(format!("{}: {what} at {at:#x} is not in its page", self.layer)))
    }

    /// How many bits of a bitmap from its bit `first` on are alike, and whether they are set: at least 1, and no
    /// further than where `want` is reached.
    pub(crate) fn alike(&self, bits: &Bits, first: u64, want: u64) -> Result<(u64, bool)> {
        let mut at = first;
        let mut kind = None;
        while at < bits.len && at.saturating_sub(first) < want {
            let page = self.entries::<1>(bits.what, bits.at.saturating_add(at / 8))?;
            for byte in (0..).map_while(|n| page.array::<1>(n)) {
                let [byte] = byte.map(|b| if bits.order == BitOrder::LowFirst { b.reverse_bits() } else { b });
                let skip = u32::try_from(at % 8).unwrap_or(0);
                let here = byte.checked_shl(skip).unwrap_or(0);
                let set = *kind.get_or_insert(here & 0x80 != 0);
                let same = if set { here.leading_ones() } else { here.leading_zeros() };
                let left = 8_u32.saturating_sub(skip);
                at = at.saturating_add(same.min(left).into());
                if same < left || at >= bits.len || at.saturating_sub(first) >= want {
                    return Ok((at.min(bits.len).saturating_sub(first), set));
                }
            }
        }
        Ok((at.min(bits.len).saturating_sub(first).max(1), kind.unwrap_or(false)))
    }

    fn read(&self, at: u64, len: u64) -> Result<Arc<[u8]>> {
        let mut page = vec![0; narrow(len)];
        self.file.read_at(at, &mut page)?;
        Ok(page.into())
    }
}
