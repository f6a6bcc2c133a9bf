//! Whether the log holds changes that the volume lacks. The log is a ring of records; a clean unmount writes one last
//! record that says so. See "Journaling Log" in *XFS Algorithms & Data Structures*.

use super::{
    LAYER,
    bytes::{be32, capped, len64, u8_at},
    verify::BASIC_BLOCK,
    volume::Volume,
};
use crate::error::Result;

/// First word of a record's header; of any other block, the first word is the cycle in which it was written.
const RECORD: u32 = 0xFEED_BABE;
/// What may be in flight at once, and so may be torn: eight buffers of 256 KiB.
const WINDOW: u64 = 4096;
/// Offsets in a record's header: cycle, version, length of what follows in bytes, block of the oldest record that is
/// still needed, number of operations, size of the buffers.
const CYCLE_AT: usize = 4;
const VERSION_AT: usize = 8;
const LEN_AT: usize = 12;
const TAIL_BLOCK_AT: usize = 28;
const OPERATIONS_AT: usize = 40;
const SIZE_AT: usize = 320;
/// A header has room for the cycles of so many bytes; larger records of version 2 have more headers.
const BYTES_A_HEADER: u64 = 1 << 15;
/// Flags of an operation, behind its transaction, length and client; and what an unmount sets there.
const OPERATION: usize = 12;
const FLAGS_AT: usize = 9;
const UNMOUNT: u8 = 0x20;

/// How the log was left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Clean,
    Dirty,
    /// Not a log, or not one that can be followed.
    Unclear(String),
}

/// What to tell about the log, if anything.
pub(super) fn gap(volume: &Volume) -> Option<String> {
    let superblock = &volume.superblock;
    let blocks = u64::from(superblock.log_blocks);
    if superblock.log_start == 0 {
        return Some(format!("{LAYER}: the log is on another device; whether it is clean cannot be told"));
    }
    let Some(start) = superblock.block_place(superblock.log_start, blocks) else {
        return Some(format!("{LAYER}: the log of {blocks} blocks at {:#x} has no place", superblock.log_start));
    };
    let len = blocks.saturating_mul(superblock.block_bytes()).checked_div(BASIC_BLOCK).unwrap_or(0);
    match (Log { volume, start, len }).left() {
        Ok(Left::Clean) => None,
        Ok(Left::Dirty) => Some(format!(
            "{LAYER}: the log was not clean and was not replayed: the latest changes to names and metadata may be missing"
        )),
        Ok(Left::Unclear(what)) => Some(format!("{LAYER}: log at {start:#x}: {what}; it was not replayed")),
        Err(error) => Some(format!("the log cannot be read: {error}")),
    }
}

struct Log<'a> {
    volume: &'a Volume,
    start: u64,
    /// In blocks of 512 bytes, as all numbers here.
    len: u64,
}

/// The cycle of a block, by its first bytes.
fn cycle(block: &[u8]) -> u32 {
    let first = be32(block, 0);
    if first == RECORD { be32(block, CYCLE_AT) } else { first }
}

impl Log<'_> {
    fn read(&self, block: u64, buf: &mut [u8]) -> Result<()> {
        self.volume.read_at(self.start.saturating_add(block.saturating_mul(BASIC_BLOCK)), buf)
    }

    fn cycle_of(&self, block: u64) -> Result<u32> {
        let mut first = [0; 8];
        self.read(block, &mut first)?;
        Ok(cycle(&first))
    }

    /// The first block of which `after` holds; all behind it do.
    fn boundary(&self, after: impl Fn(u32) -> bool) -> Result<u64> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            if after(self.cycle_of(middle)?) {
                high = middle;
            } else {
                low = middle.saturating_add(1);
            }
        }
        Ok(low)
    }

    fn left(&self) -> Result<Left> {
        if self.len < 2 {
            return Ok(Left::Unclear(format!("{} sectors are too few", self.len)));
        }
        let (first, last) = (self.cycle_of(0)?, self.cycle_of(self.len.saturating_sub(1))?);
        // Where the writing stopped: behind it are zeros, or the cycle before.
        let head = match (first, last) {
            (0, 0) => return Ok(Left::Clean),
            (first, last) if first == last => self.len,
            (_, last) => self.boundary(|cycle| cycle == last)?,
        };
        self.last_record(head)
    }

    /// What the last whole record before `head` says; one that was not finished counts as not written.
    fn last_record(&self, head: u64) -> Result<Left> {
        let mut head = self.ring(head);
        for _ in 0..2 {
            let Some((at, header)) = self.record_before(head)? else {
                return Ok(Left::Unclear(format!("no record in the {WINDOW} sectors before {head:#x}")));
            };
            let size = if be32(&header, VERSION_AT) & 2 != 0 { u64::from(be32(&header, SIZE_AT)) } else { 0 };
            let body = at.saturating_add(size.div_ceil(BYTES_A_HEADER).max(1));
            let end = body.saturating_add(u64::from(be32(&header, LEN_AT)).div_ceil(BASIC_BLOCK));
            if self.ring(end) == head && be32(&header, OPERATIONS_AT) == 1 {
                let mut operation = [0; OPERATION];
                self.read(self.ring(body), &mut operation)?;
                if u8_at(&operation, FLAGS_AT) & UNMOUNT != 0 {
                    return Ok(Left::Clean);
                }
            }
            // Nothing to replay, where the oldest change that may be missing would be the next to be written.
            if u64::from(be32(&header, TAIL_BLOCK_AT)) == head {
                return Ok(Left::Clean);
            }
            if self.ring(end) == head {
                return Ok(Left::Dirty);
            }
            head = at;
        }
        Ok(Left::Dirty)
    }

    /// The last header of a record before `head`, in the ring.
    fn record_before(&self, head: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let window = WINDOW.min(self.len);
        let sector = capped(BASIC_BLOCK, usize::MAX);
        let first = self.ring(head.saturating_add(self.len).saturating_sub(window));
        let mut bytes = vec![0; capped(window.saturating_mul(BASIC_BLOCK), usize::MAX)];
        let to_end = capped(self.len.saturating_sub(first).saturating_mul(BASIC_BLOCK), bytes.len());
        let (before_end, from_start) = bytes.split_at_mut(to_end);
        self.read(first, before_end)?;
        self.read(0, from_start)?;
        let found = bytes.chunks_exact(sector).enumerate().rev().find(|(_, header)| be32(header, 0) == RECORD);
        Ok(found.map(|(index, header)| (self.ring(first.saturating_add(len64(index))), header.to_vec())))
    }

    fn ring(&self, block: u64) -> u64 {
        block.checked_rem(self.len).unwrap_or(0)
    }
}
