//! A directory's bytes: slots of 32 bytes in a fixed area or in a chain of clusters.

use std::{collections::BTreeSet, ops::ControlFlow};

use super::{
    LAYER,
    boot_sector::{BootSector, Root},
    table::Table,
};
use crate::{
    error::{Error, Fault, Result},
    image::{Image, field::wide},
};

/// Length of an entry.
pub(super) const SLOT: u64 = 32;

/// A directory has at most 65,536 entries (section "FAT Directory Structure"); Linux and Windows stop there too.
pub(super) const MAX_DIRECTORY: u64 = 65_536 * SLOT;

/// Which directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dir {
    /// The fixed area of FAT12 and FAT16.
    Area { start: u64, len: u64 },
    /// A chain that begins with this cluster.
    Chain(u32),
}

impl Dir {
    pub(super) fn root(boot: &BootSector) -> Self {
        match boot.root {
            Root::Area { start, len } => Self::Area { start, len },
            Root::Chain(cluster) => Self::Chain(cluster),
        }
    }
}

/// What a directory is made of.
pub(super) enum Slot<'a> {
    /// An entry, and its offset on the volume.
    Raw { offset: u64, bytes: &'a [u8; 32] },
    /// A part that cannot be read; what follows may still come.
    Fault(Fault),
}

/// Hands out the slots of a directory in order. `may_read` is asked before each cluster; its error ends the
/// directory with a fault.
pub(super) fn slots(
    image: &dyn Image,
    boot: &BootSector,
    table: &mut Table<'_>,
    dir: Dir,
    may_read: &mut dyn FnMut(u32) -> Result<()>,
    each: &mut dyn FnMut(Slot<'_>) -> ControlFlow<()>,
) {
    let first = match dir {
        Dir::Area { start, len } => {
            let _ = area(image, start, len.min(MAX_DIRECTORY), each);
            return;
        }
        Dir::Chain(first) => first,
    };
    let mut next = Some(first);
    let mut seen = BTreeSet::new();
    while let Some(cluster) = next {
        let step = (|| {
            let offset = boot.offset(cluster)?;
            if !seen.insert(cluster) {
                return Err(Error::corrupt(
                    LAYER,
                    format!("cluster {cluster}"),
                    "the directory's chain leads back to it",
                ));
            }
            if wide(seen.len()).saturating_mul(boot.cluster_size) > MAX_DIRECTORY.max(boot.cluster_size) {
                return Err(Error::budget(LAYER, format!("directory longer than {MAX_DIRECTORY} bytes")));
            }
            may_read(cluster)?;
            Ok(offset)
        })();
        let flow = match step {
            Ok(offset) => area(image, offset, boot.cluster_size, each),
            Err(error) => {
                let _ = each(Slot::Fault(error.into()));
                return;
            }
        };
        if flow.is_break() {
            return;
        }
        next = match table.follow(cluster) {
            Ok(next) => next,
            Err(error) => {
                let _ = each(Slot::Fault(error.into()));
                return;
            }
        };
    }
}

fn area(image: &dyn Image, start: u64, len: u64, each: &mut dyn FnMut(Slot<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    if let Err(error) = image.read_at(start, &mut bytes) {
        return each(Slot::Fault(error.into()));
    }
    let mut offset = start;
    for slot in bytes.as_chunks().0 {
        each(Slot::Raw { offset, bytes: slot })?;
        offset = offset.saturating_add(SLOT);
    }
    ControlFlow::Continue(())
}
