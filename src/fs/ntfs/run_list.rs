//! Run lists: which clusters of the volume hold which clusters of an attribute.
//!
//! Reference: ntfs-3g `layout.h` (`ATTR_RECORD.mapping_pairs_offset`) and `runlist.c`'s description of mapping pairs:
//! a byte with the sizes of two little-endian numbers, the length and the signed step to the first cluster; no step
//! is a hole.

use std::cmp::Ordering;

use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::Image,
};

use super::LAYER;

/// Runs of one attribute; a file on a real volume has at most about 1.5 million.
const MAX_RUNS: usize = 2 << 20;

/// Clusters that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// First cluster in the attribute.
    pub(super) vcn: u64,
    /// Clusters; at least 1.
    pub(super) len: u64,
    /// First cluster on the volume; `None` is a hole.
    pub(super) lcn: Option<u64>,
}

impl Run {
    /// One past its last cluster in the attribute.
    pub(super) fn end(&self) -> u64 {
        self.vcn.saturating_add(self.len)
    }
}

/// The runs of an attribute from cluster 0, without gaps.
#[derive(Debug, Clone, Default)]
pub(super) struct RunMap {
    runs: Vec<Run>,
    /// Clusters that are not holes.
    stored: u64,
}

impl RunMap {
    /// The clusters that are mapped.
    pub(super) fn end(&self) -> u64 {
        self.runs.last().map_or(0, Run::end)
    }

    /// The clusters that are not holes.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Appends the part `lowest_vcn..end_vcn`, which must begin where the map ends. No run may reach cluster `limit`
    /// of the volume. `Err` says expected and found.
    pub(super) fn extend(&mut self, lowest_vcn: u64, end_vcn: u64, pairs: &[u8], limit: u64) -> Result<(), String> {
        if lowest_vcn != self.end() {
            return Err(format!("a part begins at cluster {lowest_vcn:#x}, expected {:#x}", self.end()));
        }
        let mut rest = pairs;
        let mut lcn = 0_i64;
        let mut vcn = lowest_vcn;
        while let Some((&header, tail)) = rest.split_first().filter(|(header, _)| **header != 0) {
            let (len_bytes, tail) = split(tail, header & 0xF)?;
            let (step_bytes, tail) = split(tail, header >> 4)?;
            rest = tail;
            let len = u64::try_from(signed(len_bytes)).ok().filter(|len| *len > 0);
            let next = len.and_then(|len| vcn.checked_add(len)).filter(|next| *next <= end_vcn);
            let (Some(len), Some(next)) = (len, next) else {
                return Err(format!(
                    "a run at cluster {vcn:#x} of {} clusters, the part ends at {end_vcn:#x}",
                    signed(len_bytes)
                ));
            };
            let place = if step_bytes.is_empty() {
                None
            } else {
                lcn = lcn.checked_add(signed(step_bytes)).ok_or("a run's place overflows")?;
                let first = u64::try_from(lcn).ok();
                match first.and_then(|first| first.checked_add(len)) {
                    Some(end) if end <= limit => first,
                    // What NT 3 and 4 wrote for a hole.
                    _ if lcn == -1 => None,
                    _ => return Err(format!("a run of {len} clusters at {lcn:#x}, the volume has {limit:#x}")),
                }
            };
            // Runs may not share clusters: a few bytes of runs would stand for more data than anyone can read.
            self.stored = self.stored.saturating_add(if place.is_some() { len } else { 0 });
            if self.stored > limit {
                return Err(format!("runs of more clusters than the volume has ({limit:#x})"));
            }
            if self.runs.len() >= MAX_RUNS {
                return Err(format!("more than {MAX_RUNS} runs"));
            }
            self.runs.push(Run { vcn, len, lcn: place });
            vcn = next;
        }
        if vcn != end_vcn {
            return Err(format!("the runs end at cluster {vcn:#x}, expected {end_vcn:#x}"));
        }
        Ok(())
    }

    /// The run that holds a cluster, and those behind it.
    pub(super) fn runs_from(&self, vcn: u64) -> &[Run] {
        let index = self.runs.binary_search_by(|run| {
            if run.end() <= vcn {
                Ordering::Less
            } else if run.vcn > vcn {
                Ordering::Greater
            } else {
                Ordering::Equal
            }
        });
        index.ok().and_then(|index| self.runs.get(index..)).unwrap_or_default()
    }

    /// Fills `buf` from a byte offset of the attribute; holes read as zeros, behind the last run is an error.
    pub(super) fn read_at(&self, image: &dyn Image, cluster_size: u64, offset: u64, mut buf: &mut [u8]) -> Result<()> {
        let cluster_size = cluster_size.max(1);
        let mut at = offset;
        for run in self.runs_from(offset.checked_div(cluster_size).unwrap_or(0)) {
            if buf.is_empty() {
                return Ok(());
            }
            let skip = at.saturating_sub(run.vcn.saturating_mul(cluster_size));
            let left = run.len.saturating_mul(cluster_size).saturating_sub(skip);
            let take = buf.len().min(narrow(left));
            let (part, rest) =
                buf.split_at_mut_checked(take).ok_or_else(|| Error::Bug("ntfs: a split past the end".to_owned()))?;
            match run.lcn {
                Some(lcn) => image.read_at(lcn.saturating_mul(cluster_size).saturating_add(skip), part)?,
                None => part.fill(0),
            }
            at = at.saturating_add(wide(take));
            buf = rest;
        }
        if buf.is_empty() {
            return Ok(());
        }
        Err(Error::corrupt(
            LAYER,
            format!("offset {at:#x} of an attribute"),
            format!(
                "{} bytes wanted behind its last cluster, which ends at {:#x}",
                buf.len(),
                self.end().saturating_mul(cluster_size)
            ),
        ))
    }
}

fn split(bytes: &[u8], len: u8) -> Result<(&[u8], &[u8]), String> {
    let len = usize::from(len);
    bytes
        .split_at_checked(len)
        .filter(|_| len <= 8)
        .ok_or_else(|| format!("a number of {len} bytes leaves the run list"))
}

/// A little-endian signed number of up to 8 bytes; no bytes are 0.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|last| *last >= 0x80);
    let mut wide = [if negative { 0xFF } else { 0 }; 8];
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    i64::from_le_bytes(wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Memory;

    #[test]
    fn mapping_pairs() {
        let mut map = RunMap::default();
        // 4 clusters at 0x10, a hole of 2, 3 clusters at 0x10 - 6.
        map.extend(0, 9, &[0x11, 4, 0x10, 0x01, 2, 0x11, 3, 0xFA, 0], 0x14).unwrap();
        let runs: Vec<_> = map.runs().iter().map(|run| (run.vcn, run.len, run.lcn)).collect();
        assert_eq!(runs, [(0, 4, Some(0x10)), (4, 2, None), (6, 3, Some(0x0A))]);
        let image = Memory((0..0x14).flat_map(|lcn| [lcn; 512]).collect());
        let mut buf = [9; 1024];
        map.read_at(&image, 512, 3 * 512 + 256, &mut buf).unwrap();
        assert_eq!((buf[255], buf[256], buf[1023]), (0x13, 0, 0));
        map.read_at(&image, 512, 5 * 512, &mut buf).unwrap();
        assert_eq!((buf[511], buf[512]), (0, 0x0A));
        assert!(map.read_at(&image, 512, 8 * 512, &mut buf).is_err());
    }

    #[test]
    fn hostile_pairs_are_refused() {
        for (end, pairs) in [
            (4, &[0x11, 4, 0x11][..]), // past the volume
            (4, &[0x11, 5, 1]),        // past the part
            (4, &[0x11, 3, 1]),        // short of the part
            (4, &[0x11, 0xFF, 1]),     // negative length
            (4, &[0x10, 1]),           // no length
            (4, &[0x91, 4, 1]),        // nine bytes
            (4, &[0x11, 4]),           // cut short
            (4, &[0x11, 4, 0x80]),     // before the volume
        ] {
            assert!(RunMap::default().extend(0, end, pairs, 0x14).is_err(), "{pairs:x?}");
        }
        assert!(RunMap::default().extend(1, 5, &[0x11, 4, 1, 0], 0x14).is_err());
    }
}
