//! The sectors that the log holds newer than the volume, in memory: what a record holds are pieces of blocks, with
//! the log's own marks in between, so nothing on the disk could be read in their stead.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::super::{LAYER, bytes::wide, verify::BASIC_BLOCK};
use crate::error::{Error, Result};

pub(super) const SECTOR: usize = 512;
/// Sectors that are held, by all volumes that are open together: half a GiB.
const MAX_SECTORS: usize = 1 << 20;
/// How many are held now: a small log can ask for many, and a disk can hold many volumes.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Inodes whose trees change their owner.
const MAX_REOWNED: usize = 1 << 16;

/// All replayed sectors, in order.
#[derive(Default)]
pub(in crate::fs::xfs) struct Overlay {
    sectors: BTreeMap<u64, Box<[u8; SECTOR]>>,
    reowned: BTreeSet<u64>,
}

impl Drop for Overlay {
    fn drop(&mut self) {
        HELD.fetch_sub(self.sectors.len(), Ordering::Relaxed);
    }
}

impl Overlay {
    pub(in crate::fs::xfs) fn is_empty(&self) -> bool {
        self.sectors.is_empty() && self.reowned.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.sectors.len()
    }

    /// Byte offsets of the replayed sectors from one offset to before another, those included that begin earlier.
    pub(in crate::fs::xfs) fn within(&self, offset: u64, end: u64) -> impl Iterator<Item = u64> {
        let first = offset.checked_div(BASIC_BLOCK).unwrap_or(0);
        let last = end.div_ceil(BASIC_BLOCK).max(first);
        self.sectors.range(first..last).map(|(sector, _)| sector.saturating_mul(BASIC_BLOCK))
    }

    /// Whether any of `len` bytes from an offset was replayed.
    pub(in crate::fs::xfs) fn touches(&self, offset: u64, len: usize) -> bool {
        self.within(offset, offset.saturating_add(wide(len))).next().is_some()
    }

    /// Puts what was replayed over bytes that were read from an offset of the volume.
    pub(in crate::fs::xfs) fn patch(&self, offset: u64, buf: &mut [u8]) {
        let first = offset.checked_div(BASIC_BLOCK).unwrap_or(0);
        let last = offset.saturating_add(wide(buf.len())).div_ceil(BASIC_BLOCK).max(first);
        for (sector, bytes) in self.sectors.range(first..last) {
            let start = sector.saturating_mul(BASIC_BLOCK);
            let skipped = usize::try_from(offset.saturating_sub(start)).unwrap_or(SECTOR);
            let from = usize::try_from(start.saturating_sub(offset)).unwrap_or(usize::MAX);
            let source = bytes.get(skipped..).unwrap_or_default();
            let target = buf.get_mut(from..).unwrap_or_default();
            for (to, byte) in target.iter_mut().zip(source) {
                *to = *byte;
            }
        }
    }

    /// Keeps a sector's newest content.
    pub(in crate::fs::xfs) fn put(&mut self, sector: u64, bytes: &[u8; SECTOR]) -> Result<()> {
        if self.sectors.insert(sector, Box::new(*bytes)).is_none()
            && HELD.fetch_add(1, Ordering::Relaxed) >= MAX_SECTORS
        {
            return Err(Error::budget(
                LAYER,
                format!("the logs of all volumes replace more than {MAX_SECTORS} sectors"),
            ));
        }
        Ok(())
    }

    /// Says that the blocks of an inode's trees may still name the inode that had them before.
    pub(super) fn reown(&mut self, inode: u64) -> Result<()> {
        self.reowned.insert(inode);
        if self.reowned.len() > MAX_REOWNED {
            return Err(Error::budget(LAYER, format!("the log changes the owner of more than {MAX_REOWNED} trees")));
        }
        Ok(())
    }

    /// Whether the log gave an inode the tree of another one.
    pub(in crate::fs::xfs) fn is_reowned(&self, inode: u64) -> bool {
        self.reowned.contains(&inode)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "this is a test")]
mod tests {
    use super::{Overlay, SECTOR};

    #[test]
    fn sectors_lie_over_what_was_read() {
        let mut overlay = Overlay::default();
        overlay.put(2, &[2; SECTOR]).unwrap();
        overlay.put(4, &[4; SECTOR]).unwrap();
        for (offset, len) in [(0, 4096), (1000, 2000), (1024, 512), (1030, 7), (1535, 2), (1536, 512), (2000, 600)] {
            let mut bytes = vec![0; len];
            overlay.patch(offset, &mut bytes);
            for (at, byte) in bytes.iter().enumerate() {
                let sector = (usize::try_from(offset).unwrap() + at) / SECTOR;
                assert_eq!(usize::from(*byte), if matches!(sector, 2 | 4) { sector } else { 0 }, "{offset} {len} {at}");
            }
            assert_eq!(overlay.touches(offset, len), bytes.iter().any(|byte| *byte != 0));
        }
        assert!(!overlay.touches(1024, 0));
        assert_eq!(overlay.within(1500, 2049).collect::<Vec<_>>(), [1024, 2048]);
    }
}
