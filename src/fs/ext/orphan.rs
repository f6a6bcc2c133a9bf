//! Inodes that were deleted while they were open, or were being truncated, when the disk was imaged: a list through
//! the inodes, and the orphan file. No name leads to the deleted ones; see "Orphan file" in the kernel's ext4
//! documentation.

use std::{collections::HashSet, ops::ControlFlow};

use super::{Ext, bytes::le32, features, reader::Reader};
use crate::fs::Sink;

/// Orphans are counted up to here.
const MAX_ORPHANS: usize = 4096;
/// Bytes of the orphan file that are looked at.
const MAX_FILE: u64 = 32 << 20;
/// Magic number and checksum at the end of each block of the orphan file.
const TAIL: usize = 8;

/// How many inodes wait for their end.
pub(super) fn count(ext: &Ext) -> usize {
    let superblock = &ext.volume.superblock;
    let mut reader = Reader::new(ext);
    let mut seen = HashSet::new();
    let mut next = superblock.last_orphan;
    while next != 0 && seen.len() < MAX_ORPHANS && seen.insert(next) {
        next = reader.load(next).map_or(0, |inode| inode.deleted);
    }
    let features = superblock.features;
    if features.compat(features::COMPAT_ORPHAN_FILE)
        && features.ro_compat(features::RO_ORPHAN_PRESENT)
        && let Ok(file) = reader.load(superblock.orphan_file_inode)
        && file.size <= MAX_FILE
    {
        let mut slots = Slots { block_len: superblock.block_len(), used: 0 };
        // What cannot be read of it is not counted: nothing else hangs on it.
        let _ = reader.read_mapped(&file, &mut slots);
        return seen.len().saturating_add(slots.used);
    }
    seen.len()
}

/// Counts the used slots of the orphan file.
struct Slots {
    block_len: usize,
    used: usize,
}

impl Sink for Slots {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        for block in bytes.chunks(self.block_len.max(1)) {
            let slots = block.get(..block.len().saturating_sub(TAIL)).unwrap_or_default();
            let used = slots.as_chunks::<4>().0.iter().filter(|slot| le32(*slot, 0) != 0).count();
            self.used = self.used.saturating_add(used);
        }
        ControlFlow::Continue(())
    }

    fn hole(&mut self, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
