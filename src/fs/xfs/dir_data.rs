//! The data blocks of a directory, put together from filesystem blocks and handed out one by one.

use std::ops::ControlFlow;

use super::{
    LAYER,
    bytes::capped,
    inode::{Inode, Which},
    map,
    volume::Volume,
};
use crate::error::Fault;

/// `XFS_DIR2_LEAF_OFFSET`: the hash blocks of a directory begin at this byte, behind all entries.
const HASHES_AT: u64 = 1 << 35;

/// A block, or the loss of one.
pub(super) enum Block<'b> {
    /// Its number in the directory, its byte offset on the volume, and its bytes.
    Whole {
        number: u64,
        offset: u64,
        bytes: &'b [u8],
    },
    Lost(Fault),
}

/// A block that is being put together.
struct Partial {
    number: u64,
    offset: u64,
    filled: u64,
}

/// Hands out a directory's blocks in order.
pub(super) fn blocks(
    volume: &Volume,
    inode: &Inode,
    each: &mut dyn FnMut(Block<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let superblock = &volume.superblock;
    let limit = HASHES_AT.wrapping_shr(superblock.block_log);
    let (runs, errors) = map::collect(volume, inode, Which::Data, limit);
    let is_whole = errors.is_empty();
    for error in errors {
        each(Block::Lost(error.into()))?;
    }
    let lost = |number: u64, what: &str| {
        Block::Lost(Fault::new(LAYER, format!("{}, directory block {number}", inode.at()), what))
    };
    let shift = superblock.dir_block_log.saturating_sub(superblock.block_log);
    let per_block = 1_u64.wrapping_shl(shift);
    let block_bytes = superblock.block_bytes();
    if runs.first().is_none_or(|run| run.logical > 0) {
        each(lost(0, "is not mapped"))?;
    }
    let mut buffer = vec![0; capped(per_block.saturating_mul(block_bytes), usize::MAX)];
    let mut partial: Option<Partial> = None;
    for run in &runs {
        let end = run.end().min(limit);
        if run.unwritten {
            each(lost(run.logical.wrapping_shr(shift), "was never written"))?;
            continue;
        }
        let mut logical = run.logical;
        while logical < end {
            let number = logical.wrapping_shr(shift);
            let within = logical & per_block.saturating_sub(1);
            let part = per_block.saturating_sub(within).min(end.saturating_sub(logical));
            let done = logical.saturating_sub(run.logical).saturating_mul(block_bytes);
            let offset = run.offset.saturating_add(done);
            logical = logical.saturating_add(part);
            let mut current = match partial.take() {
                Some(current) if current.number == number => current,
                other => {
                    if let Some(other) = other {
                        each(lost(other.number, "is not mapped in full"))?;
                    }
                    Partial { number, offset, filled: 0 }
                }
            };
            let from = capped(within.saturating_mul(block_bytes), usize::MAX);
            let len = capped(part.saturating_mul(block_bytes), usize::MAX);
            let target = buffer.get_mut(from..).and_then(|rest| rest.get_mut(..len));
            if let Err(error) = volume.read_at(offset, target.unwrap_or_default()) {
                each(Block::Lost(error.into()))?;
                continue;
            }
            current.filled = current.filled.saturating_add(part);
            if current.filled == per_block {
                each(Block::Whole { number, offset: current.offset, bytes: &buffer })?;
            } else {
                partial = Some(current);
            }
        }
    }
    if let Some(rest) = partial {
        each(lost(rest.number, "is not mapped in full"))?;
    }
    // The size is where the last block of entries ends ("Directories", "Leaf Directories").
    let end = runs.last().map_or(0, |run| run.end().min(limit)).saturating_mul(block_bytes);
    if is_whole && end != inode.size {
        let number = end.wrapping_shr(superblock.dir_block_log);
        each(lost(number, &format!("the blocks of entries end at {end:#x}, the directory at {:#x}", inode.size)))?;
    }
    ControlFlow::Continue(())
}
