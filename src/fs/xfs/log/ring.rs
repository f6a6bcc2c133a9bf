//! The log as a ring of blocks of 512 bytes, each stamped with the cycle in which it was written.

use super::{
    super::{
        LAYER,
        bytes::{be32, capped, wide},
        verify::BASIC_BLOCK,
        volume::Volume,
    },
    header::{Header, MAGIC},
    overlay::SECTOR,
};
use crate::error::{Error, Result};

/// Blocks read at once.
const CHUNK: u64 = 256;
/// A log of 2 GiB, the most that the kernel mounts.
const MAX_BLOCKS: u64 = 1 << 22;

/// The log's place. All numbers but `start` are in blocks of 512 bytes.
pub(super) struct Ring<'a> {
    pub(super) volume: &'a Volume,
    /// Byte offset on the volume.
    start: u64,
    pub(super) len: u64,
}

/// The cycle of a block: its first word, or the second where it begins a record.
pub(super) fn cycle(block: &[u8]) -> u32 {
    let first = be32(block, 0);
    if first == MAGIC { be32(block, 4) } else { first }
}

/// What is wrong with the log.
pub(super) fn bad(block: u64, what: impl Into<String>) -> Error {
    Error::corrupt(LAYER, format!("log block {block:#x}"), what)
}

impl<'a> Ring<'a> {
    pub(super) fn new(volume: &'a Volume) -> Result<Self> {
        let superblock = &volume.superblock;
        let blocks = u64::from(superblock.log_blocks);
        let start = superblock.block_place(superblock.log_start, blocks).ok_or_else(|| {
            let what = format!("{blocks} blocks at {:#x} have no place", superblock.log_start);
            Error::corrupt(LAYER, "log", what)
        })?;
        let len = blocks.saturating_mul(superblock.block_bytes()).checked_div(BASIC_BLOCK).unwrap_or(0);
        if !(2..=MAX_BLOCKS).contains(&len) {
            return Err(Error::corrupt(LAYER, "log", format!("{len} sectors, not 2 to {MAX_BLOCKS}")));
        }
        Ok(Self { volume, start, len })
    }

    pub(super) fn wrap(&self, block: u64) -> u64 {
        block.checked_rem(self.len).unwrap_or(0)
    }

    /// How many blocks lie from one block to before another; the whole ring where they are the same.
    pub(super) fn distance(&self, from: u64, to: u64) -> u64 {
        if to > from { to.saturating_sub(from) } else { to.saturating_add(self.len).saturating_sub(from) }
    }

    /// Fills `buf`, which is whole blocks, from `block` on, around the end of the ring.
    pub(super) fn read(&self, block: u64, buf: &mut [u8]) -> Result<()> {
        let block = self.wrap(block);
        let to_end = self.len.saturating_sub(block).saturating_mul(BASIC_BLOCK);
        let (before_end, from_start) = buf.split_at_mut(capped(to_end, buf.len()));
        self.volume.read_at(self.start.saturating_add(block.saturating_mul(BASIC_BLOCK)), before_end)?;
        self.volume.read_at(self.start, from_start)
    }

    pub(super) fn cycle_of(&self, block: u64) -> Result<u32> {
        let mut first = [0; SECTOR];
        self.read(block, &mut first)?;
        Ok(cycle(&first))
    }

    /// The first of `count` blocks from `start` on of which `wanted` holds.
    fn find(&self, start: u64, count: u64, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<(u64, Vec<u8>)>> {
        let mut done = 0;
        let mut buf = Vec::new();
        while done < count {
            let here = CHUNK.min(count.saturating_sub(done));
            let at = start.saturating_add(done);
            buf.resize(capped(here.saturating_mul(BASIC_BLOCK), usize::MAX), 0);
            self.read(at, &mut buf)?;
            if let Some((index, block)) = buf.chunks_exact(SECTOR).enumerate().find(|(_, block)| wanted(block)) {
                return Ok(Some((at.saturating_add(wide(index)), block.to_vec())));
            }
            done = done.saturating_add(here);
        }
        Ok(None)
    }

    /// The first of `count` blocks from `start` on that was written in the cycle `stop`.
    pub(super) fn find_cycle(&self, start: u64, count: u64, stop: u32) -> Result<Option<u64>> {
        Ok(self.find(start, count, |block| cycle(block) == stop)?.map(|(at, _)| at))
    }

    /// Whether a record of the cycle begins in `count` blocks from `start` on.
    pub(super) fn begins_record(&self, start: u64, count: u64, wanted: u32) -> Result<bool> {
        Ok(self.find(start, count, |block| be32(block, 0) == MAGIC && cycle(block) == wanted)?.is_some())
    }

    /// The first header of a record in `count` blocks from `start` on.
    pub(super) fn header_from(&self, start: u64, count: u64) -> Result<Option<(u64, Header)>> {
        let found = self.find(start, count, |block| be32(block, 0) == MAGIC)?;
        Ok(found.and_then(|(at, block)| Some((self.wrap(at), Header::parse(&block)?))))
    }

    /// The last header of a record in the `count` blocks before `end`, not wrapped: `end` may be beyond the ring.
    pub(super) fn header_before(&self, end: u64, count: u64) -> Result<Option<(u64, Header)>> {
        let mut left = count;
        let mut buf = Vec::new();
        while left > 0 {
            let here = CHUNK.min(left);
            let at = end.saturating_sub(count).saturating_add(left).saturating_sub(here);
            buf.resize(capped(here.saturating_mul(BASIC_BLOCK), usize::MAX), 0);
            self.read(at, &mut buf)?;
            let mut blocks = buf.chunks_exact(SECTOR).enumerate().rev();
            if let Some((index, header)) = blocks.find_map(|(index, block)| Some((index, Header::parse(block)?))) {
                return Ok(Some((at.saturating_add(wide(index)), header)));
            }
            left = left.saturating_sub(here);
        }
        Ok(None)
    }
}
