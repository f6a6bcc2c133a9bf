//! A directory's bytes: slots of 32 bytes in a fixed area or in clusters.

use std::{collections::BTreeSet, ops::ControlFlow};

use super::Table;
use crate::{
    error::{Error, Fault, Result},
    field::wide,
    image::Image,
};

/// Length of an entry.
pub(in crate::fs) const SLOT: u64 = 32;

/// Read at once.
const PIECE: u64 = 16 << 10;

/// Which directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fs) enum Dir {
    /// The fixed area of FAT12 and FAT16.
    Area { start: u64, len: u64 },
    /// A chain that begins with this cluster; of `len` bytes, or as long as it goes.
    Chain { first: u32, len: Option<u64> },
    /// Clusters that follow one another on disk, and of which the table says nothing.
    Contiguous { first: u32, len: u64 },
}

/// What a directory is made of.
pub(in crate::fs) enum Slot<'a> {
    /// An entry, and its offset on the volume.
    Raw { offset: u64, bytes: &'a [u8; 32] },
    /// A part that cannot be read; what follows may still come.
    Fault(Fault),
}

/// A directory, and how far it may be read.
#[derive(Debug, Clone, Copy)]
pub(in crate::fs) struct Source {
    pub(in crate::fs) dir: Dir,
    /// Bytes that a directory has at most.
    pub(in crate::fs) max: u64,
}

/// Hands out the slots of a directory in order. `may_read` is asked before each cluster; its error ends the
/// directory with a fault.
pub(in crate::fs) fn slots(
    table: &mut Table<'_>,
    source: Source,
    may_read: &mut dyn FnMut(u32) -> Result<()>,
    each: &mut dyn FnMut(Slot<'_>) -> ControlFlow<()>,
) {
    let image = table.image();
    let result = source.areas(table, &mut |cluster, offset, len| {
        cluster.map_or(Ok(()), &mut *may_read)?;
        Ok(area(image, offset, len, each))
    });
    if let Err(error) = result {
        let _ = each(Slot::Fault(error.into()));
    }
}

impl Source {
    /// The clusters of the directory in order: number, offset, and how many bytes of it are the directory's. At the end
    /// comes an error where another table gives others: those that were handed out may not be all.
    pub(super) fn areas(
        self,
        table: &mut Table<'_>,
        each: &mut dyn FnMut(Option<u32>, u64, u64) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (mut cluster, mut left, contiguous) = match self.dir {
            Dir::Area { start, len } => {
                let _ = each(None, start, len.min(self.max))?;
                return Ok(());
            }
            Dir::Chain { first, len } => (first, len, false),
            Dir::Contiguous { first, len } => (first, Some(len), true),
        };
        if left == Some(0) {
            return Ok(());
        }
        let heap = table.heap();
        let mut seen = BTreeSet::new();
        let mut clusters = 0_u64;
        let mut contradiction = None;
        loop {
            let offset = heap.offset(cluster)?;
            if !contiguous && !seen.insert(cluster) {
                return Err(heap.corrupt(cluster, "the directory's chain leads back to it"));
            }
            clusters = clusters.saturating_add(1);
            if clusters.saturating_mul(heap.cluster_size) > self.max.max(heap.cluster_size) {
                return Err(Error::budget(heap.layer, format!("directory longer than {} bytes", self.max)));
            }
            let here = left.unwrap_or(u64::MAX).min(heap.cluster_size);
            if each(Some(cluster), offset, here)?.is_break() {
                return Ok(());
            }
            if let Some(left) = &mut left {
                *left = left.saturating_sub(here);
                if *left == 0 {
                    return Ok(());
                }
            }
            if !contiguous {
                contradiction = contradiction.or_else(|| table.contradiction(cluster));
            }
            let next = if contiguous { cluster.checked_add(1) } else { table.follow(cluster)? };
            cluster = match (next, left) {
                (Some(next), _) => next,
                (None, None) => return contradiction.map_or(Ok(()), Err),
                (None, Some(left)) => {
                    let what = format!("the directory's chain ends here; {left} bytes are missing");
                    return Err(heap.corrupt(cluster, what));
                }
            };
        }
    }

    /// Length of the directory in bytes; of a chain, as far as it can be followed.
    pub(in crate::fs) fn len(self, table: &mut Table<'_>) -> u64 {
        let (first, heap) = match self.dir {
            Dir::Area { len, .. } | Dir::Contiguous { len, .. } | Dir::Chain { len: Some(len), .. } => return len,
            Dir::Chain { first, len: None } => (first, table.heap()),
        };
        let mut cluster = first;
        if heap.offset(cluster).is_err() {
            return 0;
        }
        let mut len = heap.cluster_size;
        while len < self.max
            && let Ok(Some(next)) = table.follow(cluster)
        {
            cluster = next;
            len = len.saturating_add(heap.cluster_size);
        }
        len
    }
}

pub(super) fn area(
    image: &dyn Image,
    start: u64,
    len: u64,
    each: &mut dyn FnMut(Slot<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (mut offset, mut left) = (start, len);
    let mut bytes = Vec::new();
    while left > 0 {
        bytes.resize(usize::try_from(left.min(PIECE)).unwrap_or_default(), 0);
        if let Err(error) = image.read_at(offset, &mut bytes) {
            return each(Slot::Fault(error.into()));
        }
        left = left.saturating_sub(wide(bytes.len()));
        for slot in bytes.as_chunks().0 {
            each(Slot::Raw { offset, bytes: slot })?;
            offset = offset.saturating_add(SLOT);
        }
    }
    ControlFlow::Continue(())
}
