//! Log entries, what a log of the new form is made of.
//!
//! \[regf\] "Log entries": `HvLE`; then at offset 4 the entry's size, 8 flags, 12 sequence number, 16 size of the
//! hive bins, 20 number of pages (32 bits each), 24 the hash of what follows the header, 32 the hash of the
//! header before it (64 bits each), 40 references of offset and size (32 bits each), then the pages.

use super::{
    super::{base_block, hive_bin},
    LOG_HEADER, marvin32,
};
use crate::field::{le32, le64, len32, slice};

const HEADER: usize = 40;
const HASHED_HEADER: usize = 32;
const REFERENCE: usize = 8;
const ALIGNMENT: usize = 512;
const SIGNATURE: &[u8] = b"HvLE";

/// Where in a log headers of entries stand that are whole, and their sequence numbers; of what follows a header
/// nothing is known.
pub(super) fn headers(log: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    (LOG_HEADER..log.len()).step_by(ALIGNMENT).filter_map(|at| {
        let head = slice(log, at, HEADER).filter(|head| is_whole_header(head))?;
        Some((at, le32(head, 12)?))
    })
}

/// Why an entry that should be applied is not.
pub(super) enum Refusal {
    /// The power may have failed while it was written: a disk writes its first sector, and with it the header and its
    /// hash, whole or not at all, and what follows is not yet all there.
    Torn,
    /// Nothing that Windows leaves behind.
    Damaged(&'static str),
}

fn is_whole_header(head: &[u8]) -> bool {
    head.starts_with(SIGNATURE)
        && head.get(..HASHED_HEADER).is_some_and(|hashed| le64(head, 32) == Some(marvin32::hash(hashed)))
}

/// An entry whose hashes and sizes are right.
pub(super) struct LogEntry<'l> {
    pub(super) size: usize,
    pub(super) flags: u32,
    pub(super) bins_size: usize,
    references: &'l [u8],
    pages: &'l [u8],
}

impl<'l> LogEntry<'l> {
    /// The entry at `at`, if it is in order and bears the number `sequence`; whatever else stands there is the
    /// end of the log.
    pub(super) fn parse(log: &'l [u8], at: usize, sequence: u32) -> Option<Self> {
        let head = slice(log, at, HEADER)?;
        let size = len32(head, 4)?;
        let bins_size = len32(head, 16)?;
        let count = len32(head, 20)?;
        let in_order = head.starts_with(SIGNATURE)
            && size >= ALIGNMENT
            && size.is_multiple_of(ALIGNMENT)
            && le32(head, 12)? == sequence
            && bins_size >= hive_bin::PAGE
            && bins_size.is_multiple_of(hive_bin::PAGE)
            && count > 0;
        if !in_order || le64(head, 32)? != marvin32::hash(head.get(..HASHED_HEADER)?) {
            return None;
        }
        let body = slice(log, at, size)?.get(HEADER..)?;
        if le64(head, 24)? != marvin32::hash(body) {
            return None;
        }
        let (references, pages) = body.split_at_checked(count.checked_mul(REFERENCE)?)?;
        Some(Self { size, flags: le32(head, 8)?, bins_size, references, pages })
    }

    /// Why what stands at `at` is refused although it is the entry that should follow; `None` where it is another,
    /// or none, and the log ends before it.
    pub(super) fn refusal(log: &[u8], at: usize, sequence: u32) -> Option<Refusal> {
        let rest = log.get(at..).filter(|rest| rest.starts_with(SIGNATURE))?;
        let Some(head) = rest.get(..HEADER) else {
            return Some(Refusal::Damaged("it leaves the log"));
        };
        if !is_whole_header(head) {
            return Some(Refusal::Damaged("its header is damaged"));
        }
        if le32(head, 12)? != sequence {
            return None;
        }
        match len32(head, 4).and_then(|size| rest.get(..size)).and_then(|entry| entry.get(HEADER..)) {
            None => Some(Refusal::Damaged("it leaves the log")),
            Some(body) if le64(head, 24)? == marvin32::hash(body) => Some(Refusal::Damaged("its sizes are wrong")),
            Some(_) => Some(Refusal::Torn),
        }
    }

    /// Offset in the bins and content of each page; an item is `None` where a reference leaves the entry or the
    /// bins.
    fn pages(&self) -> impl Iterator<Item = Option<(usize, &'l [u8])>> {
        let mut taken = 0_usize;
        self.references.chunks_exact(REFERENCE).map(move |reference| {
            let (offset, size) = (len32(reference, 0)?, len32(reference, 4)?);
            let page = slice(self.pages, taken, size)?;
            taken = taken.checked_add(size)?;
            (offset.checked_add(size)? <= self.bins_size).then_some((offset, page))
        })
    }

    /// Writes the pages to the hive, which grows to the size that the entry states; all or none of them.
    /// `touched` learns which pages of 4096 bytes were written.
    pub(super) fn apply(&self, hive: &mut Vec<u8>, touched: &mut Vec<bool>) -> Option<usize> {
        self.pages().try_for_each(|page| page.map(drop))?;
        let end = base_block::LEN.checked_add(self.bins_size)?;
        if hive.len() < end {
            hive.resize(end, 0);
        }
        let bin_pages = self.bins_size.checked_div(hive_bin::PAGE)?;
        if touched.len() < bin_pages {
            touched.resize(bin_pages, false);
        }
        let bins = hive.get_mut(base_block::LEN..)?;
        let mut count = 0_usize;
        for (offset, page) in self.pages().flatten().filter(|(_, page)| !page.is_empty()) {
            let last = offset.checked_add(page.len())?;
            bins.get_mut(offset..last)?.copy_from_slice(page);
            let first = offset.checked_div(hive_bin::PAGE)?;
            touched.get_mut(first..last.div_ceil(hive_bin::PAGE))?.fill(true);
            count = count.checked_add(1)?;
        }
        Some(count)
    }
}
