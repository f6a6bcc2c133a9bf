//! What every list comes down to.

use std::ops::Range;

use super::{LAYER, MAX_RANGES, malformed};
use crate::error::{Error, Result};

/// Where a disk may differ from an earlier snapshot of it: half-open byte ranges, in order, not touching each other.
/// Whether a range was written, zeroed or discarded makes no difference to who must read it, and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRanges {
    ranges: Vec<Range<u64>>,
    /// The format that the list was in, for people.
    pub provenance: &'static str,
    /// The size of the disk, where the list covers all of it and so tells.
    disk_size: Option<u64>,
    /// How far ranges may reach past the disk's end: the last block of a format may be larger than what is left.
    slack: u64,
}

impl ChangedRanges {
    /// Ranges of a format that names changed blocks only, in units of `unit` bytes.
    pub(super) fn sparse(provenance: &'static str, ranges: Vec<Range<u64>>, slack: u64) -> Self {
        Self { ranges: merged(ranges), provenance, disk_size: None, slack }
    }

    /// Ranges of a format that describes all of a disk of `disk_size` bytes.
    pub(super) fn covering(provenance: &'static str, ranges: Vec<Range<u64>>, disk_size: u64) -> Self {
        Self { ranges: merged(ranges), provenance, disk_size: Some(disk_size), slack: 0 }
    }

    /// Ranges that a container's own tables give for a disk of `disk_size` bytes.
    #[must_use]
    pub fn of_layers(ranges: Vec<Range<u64>>, disk_size: u64) -> Self {
        Self::covering("layers of the image", ranges, disk_size)
    }

    /// Adds what another list of the same disk tells.
    pub fn join(&mut self, other: Self) {
        self.ranges.extend(other.ranges);
        self.ranges = merged(std::mem::take(&mut self.ranges));
        self.disk_size = self.disk_size.or(other.disk_size);
        self.slack = self.slack.max(other.slack);
    }

    /// Holds the list against the disk that it is said to be about.
    ///
    /// # Errors
    /// When the list covers another size, or names a block that the disk does not have.
    pub fn check_size(&self, disk: u64) -> Result<()> {
        if let Some(said) = self.disk_size.filter(|said| *said != disk) {
            return Err(malformed(self.provenance, format!("covers {said:#x} bytes, the disk has {disk:#x}")));
        }
        let end = self.ranges.last().map_or(0, |range| range.end);
        if end > disk.saturating_add(self.slack) {
            return Err(malformed(self.provenance, format!("reaches to {end:#x}, the disk has {disk:#x} bytes")));
        }
        Ok(())
    }

    /// Which of these bytes may have changed.
    pub fn within(&self, Range { start, end }: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let next = self.ranges.partition_point(|range| range.end <= start);
        let touched = self.ranges.iter().skip(next).take_while(move |range| range.start < end);
        touched.map(move |range| range.start.max(start)..range.end.min(end))
    }

    /// How many bytes may have changed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().fold(0, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)))
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }
}

fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|next, kept| {
        let joins = next.start <= kept.end;
        if joins {
            kept.end = kept.end.max(next.end);
        }
        joins
    });
    ranges
}

/// Takes one more range of `len` bytes.
pub(super) fn push(ranges: &mut Vec<Range<u64>>, format: &str, start: u64, len: u64) -> Result<()> {
    let end = start
        .checked_add(len)
        .ok_or_else(|| malformed(format, format!("{len:#x} bytes at {start:#x} end past what 64 bits hold")))?;
    if ranges.len() >= MAX_RANGES {
        return Err(Error::budget(LAYER, format!("{format}: more than {MAX_RANGES} ranges")));
    }
    match ranges.last_mut().filter(|last| last.end == start) {
        Some(last) => last.end = end,
        None => ranges.push(start..end),
    }
    Ok(())
}

/// The rows of a format that describes the whole disk must follow each other without gap or overlap.
pub(super) fn follows(format: &str, end: u64, start: u64, len: u64) -> Result<u64> {
    if start != end || len == 0 {
        let what = format!("{len:#x} bytes at {start:#x}, expected a row that begins at {end:#x}: the list has a gap");
        return Err(malformed(format, what));
    }
    start.checked_add(len).ok_or_else(|| malformed(format, format!("{len:#x} bytes at {start:#x} end past 64 bits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged_and_half_open() {
        let list = ChangedRanges::sparse("test", vec![30..40, 0..10, 10..12, 35..50, 7..7], 0);
        assert_eq!(list.ranges(), [0..12, 30..50]);
        assert_eq!(list.bytes(), 32);
        for (start, len, touches) in
            [(12, 18, false), (11, 1, true), (12, 19, true), (49, 1, true), (50, u64::MAX, false), (0, 0, false)]
        {
            assert_eq!(list.within(start..start.saturating_add(len)).next().is_some(), touches, "{start} {len}");
        }
        assert_eq!(list.within(5..35).collect::<Vec<_>>(), [5..12, 30..35]);
        assert!(list.check_size(50).is_ok() && list.check_size(49).is_err());
        let whole = ChangedRanges::covering("test", vec![0..1, 5..6], 64);
        assert!(whole.check_size(64).is_ok() && whole.check_size(65).is_err());
    }
}
