//! What a record of a node rests on: its inode's bytes and those of its attribute block. Nodes that keep more than
//! that elsewhere (a long map, a long target, values in other inodes) have no evidence here and are read in full.

use super::{
    bytes::wide,
    extent,
    features::INCOMPAT_EA_INODE,
    inode::{FLAG_ENCRYPT, FLAG_EXTENTS, FLAG_INLINE_DATA, Outline},
    reader::Reader,
    superblock::Superblock,
};
use crate::fs::{Evidence, Kind};

impl Reader<'_> {
    /// Gathers what a node's record rests on.
    pub(super) fn gather(&mut self, number: u32, evidence: &mut Evidence) -> Option<Kind> {
        let volume = self.volume();
        let superblock = &volume.superblock;
        evidence.clear();
        if superblock.features.incompat(INCOMPAT_EA_INODE) {
            return None;
        }
        self.load_bytes(number).ok()?;
        let outline = Outline::of(superblock, &self.raw);
        let kind = outline.kind()?;
        if outline.is_unused() || outline.flags & FLAG_ENCRYPT != 0 {
            return None;
        }
        evidence.bytes.extend_from_slice(&number.to_le_bytes());
        // All inodes are of one length, so zeros at the end need not be told.
        let used = without_zeros(&self.raw);
        evidence.bytes.extend_from_slice(&wide(used.len()).to_le_bytes());
        evidence.bytes.extend_from_slice(used);
        match kind {
            // Its content is hashed once for all its names, by whoever comes by first.
            Kind::File if outline.links > 1 => return None,
            Kind::File if outline.size > 0 => {
                if outline.flags & FLAG_INLINE_DATA != 0 || outline.flags & FLAG_EXTENTS == 0 {
                    return None;
                }
                evidence.size = outline.size;
                let block_bytes = superblock.block_bytes();
                for run in extent::in_inode(&outline.block)? {
                    let run = run?;
                    let end = run.physical.checked_add(run.len)?;
                    // What the journal serves is nowhere that a list of changes could tell about.
                    if !volume.overlay().range(run.physical, end).is_empty() {
                        return None;
                    }
                    // Blocks behind the end of the file are not read.
                    let first = run.logical.checked_mul(block_bytes)?;
                    let len = run.len.checked_mul(block_bytes)?.min(outline.size.saturating_sub(first));
                    if !run.unwritten && len > 0 {
                        let start = run.physical.checked_mul(block_bytes)?;
                        evidence.stored.push(start..start.checked_add(len)?);
                    }
                }
            }
            Kind::Symlink if !outline.has_short_target(superblock, &self.raw) => return None,
            _ => {}
        }
        if outline.attribute_block != 0 {
            let block = self.attribute_block(outline.attribute_block).ok()?;
            evidence.bytes.extend_from_slice(&wide(block.len()).to_le_bytes());
            evidence.bytes.extend_from_slice(&block);
        }
        Some(kind)
    }
}

/// Without the zeros at the end, but for those of the last word that is not all zeros.
fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    while let Some((rest, [0, 0, 0, 0, 0, 0, 0, 0])) = bytes.split_last_chunk() {
        bytes = rest;
    }
    bytes
}

/// What of the superblock says how an inode is read.
pub(super) fn geometry(superblock: &Superblock) -> Vec<u8> {
    let (features, mut bytes) = (superblock.features, Vec::new());
    bytes.extend_from_slice(&superblock.blocks_count.to_le_bytes());
    bytes.extend_from_slice(&superblock.cluster_sectors.to_le_bytes());
    bytes.extend_from_slice(&superblock.inode_size.to_le_bytes());
    for word in [
        features.compat,
        features.incompat,
        features.ro_compat,
        superblock.first_data_block,
        superblock.block_size,
        superblock.first_inode,
        superblock.checksum_seed,
    ] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}
